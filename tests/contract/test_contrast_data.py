"""What data/README.md promises about data/contrast.jsonl: agent and event are crossed."""

import hashlib
import itertools
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from emoact.data import read_prompts

ROOT = Path(__file__).resolve().parents[2]
LABELS = ("self_good", "self_bad", "other_good", "other_bad")
DATASET = read_prompts(ROOT / "data" / "contrast.jsonl")
COUNTS = json.loads(Path(__file__).with_name("gpt2_token_counts.json").read_text(encoding="utf-8"))
EVENTS: dict[str | None, dict[str, str]] = {}
for prompt in DATASET.prompts:
    EVENTS.setdefault(prompt.scenario_id, {})[prompt.emotion] = prompt.text
PERSON = {"i": "A", "me": "A", "my": "A's", "you": "B", "your": "B's"}
OTHER = {"A": "B", "A's": "B's", "B": "A", "B's": "A's"}


def words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def persons(text: str) -> list[str]:
    """Words with the persons as A, who speaks, and B, who is spoken to."""
    return [PERSON.get(word, word) for word in words(text)]


def test_twenty_five_events_are_each_written_in_four_versions() -> None:
    assert [list(versions) for versions in EVENTS.values()] == [list(LABELS)] * 25
    assert all(p.id == f"{p.scenario_id}-{p.emotion}" for p in DATASET.prompts)
    assert {prompt.lang for prompt in DATASET.prompts} == {"en"}


@pytest.mark.parametrize("event", EVENTS)
def test_good_and_bad_differ_in_the_verb_alone(event: str) -> None:
    versions = EVENTS[event]
    verbs = set()
    for agent, subject in (("self", "i"), ("other", "you")):
        good, bad = words(versions[f"{agent}_good"]), words(versions[f"{agent}_bad"])
        (place,) = [n for n, (a, b) in enumerate(zip(good, bad, strict=True)) if a != b]
        assert good[place - 1] == bad[place - 1] == subject
        verbs.add((good[place], bad[place]))
    assert len(verbs) == 1


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("valence", ["good", "bad"])
def test_self_and_other_exchange_the_persons_and_nothing_else(event: str, valence: str) -> None:
    own, others = (persons(EVENTS[event][f"{agent}_{valence}"]) for agent in ("self", "other"))
    assert [OTHER.get(word, word) for word in own] == others


@pytest.mark.parametrize("event", EVENTS)
def test_versions_begin_and_end_alike_and_are_as_long(event: str) -> None:
    versions = [words(text) for text in EVENTS[event].values()]
    assert len({(text[0], PERSON.get(text[-1], text[-1]), len(text)) for text in versions}) == 1
    tokens = [COUNTS[f"{event}-{label}"]["tokens"] for label in LABELS]
    assert max(tokens) - min(tokens) <= 1
    assert min(tokens) >= 9
    assert max(tokens) <= 14


def test_token_counts_belong_to_the_texts() -> None:
    for prompt in DATASET.prompts:
        digest = hashlib.sha256(prompt.text.encode()).hexdigest()
        assert COUNTS[prompt.id]["sha256"] == digest, "run scripts/count_gpt2_tokens.py"


def test_no_verb_and_no_opening_is_used_twice_and_no_word_names_an_emotion() -> None:
    first = [words(versions["self_good"]) for versions in EVENTS.values()]
    bad = [words(versions["self_bad"]) for versions in EVENTS.values()]
    verbs = [
        (a, b)
        for good, ill in zip(first, bad, strict=True)
        for a, b in zip(good, ill, strict=True)
        if a != b
    ]
    assert max(Counter(itertools.chain(*verbs)).values()) == 1
    assert max(Counter(tuple(text[:3]) for text in first).values()) == 1
    naming = re.compile(r"\b(?:thank\w*|grat\w+|ang\w+|furious|sorry|apolog\w*|forgiv\w*|mad)\b")
    assert not any(naming.search(prompt.text.lower()) for prompt in DATASET.prompts)
