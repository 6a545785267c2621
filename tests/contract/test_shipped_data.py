"""What data/README.md promises about data/prompts.jsonl."""

import hashlib
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from emoact.data import read_prompts
from emoact.stats.audit import audit_dataset
from emoact.stats.audit.register import MARKERS, sentences_of

ROOT = Path(__file__).resolve().parents[2]
EMOTIONS = ("gratitude", "anger", "apology", "neutral")
SUBSETS = ("explicit", "implicit")
FIELDS = ["id", "scenario_id", "emotion", "subset", "text", "lang"]
CHANCE = 1 / len(EMOTIONS)

PERSONS = {
    "first": {"i", "me", "my", "mine", "myself", "we", "us", "our", "ours", "ourselves"},
    "second": {"you", "your", "yours", "yourself", "yourselves"},
    "third": {
        *("he", "him", "his", "himself", "she", "her", "hers", "herself", "it", "its"),
        *("they", "them", "their", "theirs", "themselves"),
    },
}
PRONOUNS = frozenset().union(*PERSONS.values())

# Words that name the act or the emotion; the implicit half and all neutral prompts do without.
NAMING = re.compile(
    r"""\b(?:
        thank\w*|grat\w+|ungrateful|appreciat\w*|indebted|
        ang(?:er|ry|r\w+)|furious\w*|fury|livid|mad|mad(?:der|dening)|fum(?:e|es|ed|ing)|irate|
        infuriat\w*|enrag\w*|rage|raging|outrag\w*|seeth\w*|hate[sd]?|annoy\w*|upset\w*|
        sorry|apolog\w*|regret\w*|forgiv\w*|pardon\w*|excuse\w*|asham\w*|guilt\w*|fault\w*|blam\w+
    )\b""",
    re.VERBOSE,
)
BRITISH = re.compile(r"apologis|olour|avour|eighbour|ravell|shovell|\bgrey\b")
CUES = ("just to", "should have", "the one who", "again", "without asking", "because i", "of me")


class Prompt(NamedTuple):
    """One line of the file with its words in small letters and its GPT-2 tokens counted."""

    id: str
    scenario: str
    emotion: str
    subset: str
    text: str
    words: tuple[str, ...]
    tokens: int


LINES = (ROOT / "data" / "prompts.jsonl").read_text(encoding="utf-8").splitlines()
ROWS: list[dict[str, str]] = [json.loads(line) for line in LINES]
COUNTS = json.loads(Path(__file__).with_name("gpt2_token_counts.json").read_text(encoding="utf-8"))
PROMPTS = [
    Prompt(
        id=row["id"],
        scenario=row["scenario_id"],
        emotion=row["emotion"],
        subset=row["subset"],
        text=row["text"],
        words=tuple(re.findall(r"[a-z']+", row["text"].lower())),
        tokens=COUNTS.get(row["id"], {}).get("tokens", 0),
    )
    for row in ROWS
]
SCENARIOS = {
    name: [prompt for prompt in PROMPTS if prompt.scenario == name]
    for name in dict.fromkeys(prompt.scenario for prompt in PROMPTS)
}


def of_class(emotion: str) -> list[Prompt]:
    return [prompt for prompt in PROMPTS if prompt.emotion == emotion]


def test_every_line_has_the_same_fields_in_order() -> None:
    assert [list(row) for row in ROWS] == [FIELDS] * 200
    assert {row["lang"] for row in ROWS} == {"en"}


def test_fifty_scenarios_are_each_written_once_per_class() -> None:
    assert list(SCENARIOS) == [f"s{number:02d}" for number in range(1, 51)]
    for name, prompts in SCENARIOS.items():
        assert [prompt.id for prompt in prompts] == [f"{name}-{emotion}" for emotion in EMOTIONS]
        assert [prompt.emotion for prompt in prompts] == list(EMOTIONS)


def test_half_the_scenarios_are_explicit_and_half_implicit() -> None:
    subsets = [{prompt.subset for prompt in prompts} for prompts in SCENARIOS.values()]
    assert Counter(map(tuple, subsets)) == {("explicit",): 25, ("implicit",): 25}


def test_every_text_is_one_plain_sentence() -> None:
    for prompt in PROMPTS:
        assert re.fullmatch(r"[A-Z][A-Za-z',]*(?: [A-Za-z',]+)+[.?!]", prompt.text), prompt.id
        assert not BRITISH.search(prompt.text.lower()), prompt.id


def test_versions_of_a_scenario_close_with_the_same_punctuation() -> None:
    for name, prompts in SCENARIOS.items():
        assert len({prompt.text[-1] for prompt in prompts}) == 1, name


def test_token_counts_belong_to_the_shipped_texts() -> None:
    texts = {row["id"]: hashlib.sha256(row["text"].encode()).hexdigest() for row in ROWS}
    counted = {name: COUNTS.get(name, {}).get("sha256") for name in texts}
    assert counted == texts, "run scripts/count_gpt2_tokens.py after a change of data/prompts.jsonl"


def test_versions_of_a_scenario_are_within_two_tokens() -> None:
    for name, prompts in SCENARIOS.items():
        tokens = [prompt.tokens for prompt in prompts]
        assert max(tokens) - min(tokens) <= 2, name


def test_prompts_have_nine_to_eighteen_tokens() -> None:
    tokens = [prompt.tokens for prompt in PROMPTS]
    assert min(tokens) >= 9
    assert max(tokens) <= 18
    assert 10 <= float(np.mean(tokens)) <= 16


def test_no_two_prompts_are_nearly_the_same() -> None:
    for one, other in itertools.combinations(PROMPTS, 2):
        shared = set(one.words) & set(other.words)
        either = set(one.words) | set(other.words)
        assert len(shared) / len(either) <= 0.6, (one.text, other.text)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_no_opening_occurs_more_than_twice_in_a_class(emotion: str) -> None:
    openings = Counter(prompt.words[:3] for prompt in of_class(emotion))
    assert max(openings.values()) <= 2, openings.most_common(1)


def test_only_explicit_emotion_prompts_name_the_act() -> None:
    for prompt in PROMPTS:
        named = NAMING.search(prompt.text.lower()) is not None
        assert named == (prompt.subset == "explicit" and prompt.emotion != "neutral"), prompt.id


def test_no_prompt_ends_in_a_word_that_names_the_act() -> None:
    for prompt in PROMPTS:
        assert not NAMING.fullmatch(prompt.words[-1]), prompt.id


@pytest.mark.parametrize("emotion", EMOTIONS)
@pytest.mark.parametrize("cue", CUES)
def test_no_cue_is_leaned_on_in_the_implicit_half(emotion: str, cue: str) -> None:
    texts = [" ".join(p.words) for p in of_class(emotion) if p.subset == "implicit"]
    assert sum(bool(re.search(rf"\b{cue}\b", text)) for text in texts) <= 4


@pytest.mark.parametrize("person", PERSONS)
def test_classes_use_each_grammatical_person_alike(person: str) -> None:
    shares = [
        float(np.mean([bool(PERSONS[person] & set(prompt.words)) for prompt in of_class(emotion)]))
        for emotion in EMOTIONS
    ]
    assert max(shares) - min(shares) <= 0.10 + 1e-9, dict(zip(EMOTIONS, shares, strict=True))


# Views of a prompt that should say nothing about its class.
VIEWS: dict[str, Callable[[Prompt], dict[str, float]]] = {
    "token count": lambda p: {"tokens": p.tokens},
    "lengths": lambda p: {"tokens": p.tokens, "chars": len(p.text), "words": len(p.words)},
    "punctuation": lambda p: {
        **Counter(character for character in p.text if character in ",.'?!"),
        "capitals": sum(map(str.isupper, p.text)),
    },
    "first word": lambda p: {p.words[0]: 1},
    "last word": lambda p: {p.words[-1]: 1},
    "pronouns": lambda p: {word: p.words.count(word) for word in p.words if word in PRONOUNS},
    "persons": lambda p: {name: bool(words & set(p.words)) for name, words in PERSONS.items()},
}


def accuracy(model: Pipeline, features: list[object], prompts: list[Prompt]) -> float:
    """Share of right guesses for scenarios left out, averaged over ten five-fold partitions."""
    emotions = np.array([prompt.emotion for prompt in prompts])
    scenarios = [prompt.scenario for prompt in prompts]
    partitions = (GroupKFold(n_splits=5, shuffle=True, random_state=seed) for seed in range(10))
    with threadpool_limits(limits=1):  # many tiny fits; more threads only wait for one another
        right = [
            cross_val_predict(model, features, emotions, groups=scenarios, cv=folds) == emotions
            for folds in partitions
        ]
    return float(np.mean(right))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("subsets", [SUBSETS, *((subset,) for subset in SUBSETS)], ids="+".join)
def test_form_alone_does_not_give_the_class_away(view: str, subsets: tuple[str, ...]) -> None:
    prompts = [prompt for prompt in PROMPTS if prompt.subset in subsets]
    # A blind guesser exceeds chance by 2.58 binomial standard errors once in 200 data sets:
    # the limit is 0.33 for all 200 prompts and 0.36 for one half.
    limit = CHANCE + 2.58 * math.sqrt(CHANCE * (1 - CHANCE) / len(prompts))
    model = make_pipeline(
        DictVectorizer(sparse=False), StandardScaler(), LogisticRegression(max_iter=2000)
    )
    assert accuracy(model, [VIEWS[view](prompt) for prompt in prompts], prompts) <= limit


def test_single_words_do_not_solve_the_implicit_half() -> None:
    prompts = [prompt for prompt in PROMPTS if prompt.subset == "implicit"]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(C=10, max_iter=2000))
    # Some words must differ for the act to differ; less than half the way from chance to certainty.
    assert accuracy(model, [prompt.text for prompt in prompts], prompts) < (CHANCE + 1) / 2


DATASET = read_prompts(ROOT / "data" / "prompts.jsonl")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_shipped_data_set_passes_on_everything_but_words(seed: int) -> None:
    tokens = np.array([COUNTS[prompt.id]["tokens"] for prompt in DATASET.prompts], dtype=np.int64)
    report = audit_dataset(DATASET, seed=seed, token_counts=tokens)
    assert {finding.code for finding in report.findings} == {"lexis", "single_words"}
    assert report.ok


def test_only_words_that_name_the_emotion_separate_by_themselves() -> None:
    found = next(c for c in audit_dataset(DATASET).checks if c.aspect == "single_words")
    words = set(re.findall(r'"(.+?)" occurs', found.verdict))
    assert words <= {"apologize", "sorry", "thank", "grateful", "furious", "angry", "livid"}


@pytest.mark.parametrize("aspect", MARKERS)
def test_words_and_forms_are_as_frequent_in_neutral_as_in_the_other_classes(aspect: str) -> None:
    for name, has in MARKERS[aspect].items():
        shares = {
            emotion: np.mean(
                [
                    any(has(*sentence) for sentence in sentences_of(prompt.text))
                    for prompt in DATASET.prompts
                    if prompt.emotion == emotion
                ]
            )
            for emotion in DATASET.emotions
        }
        neutral = shares.pop("neutral")
        # Ten points are five of fifty prompts.
        low, high = min(shares.values()) - 0.1, max(shares.values()) + 0.1
        assert low <= neutral <= high, (name, neutral, shares)
        assert high - low <= 0.5, (name, shares)


def test_its_explicit_and_implicit_halves_are_reported_apart() -> None:
    report = audit_dataset(DATASET)
    accuracy = {
        check.where: check.tests[0].value for check in report.checks if check.aspect == "lexis"
    }
    assert set(accuracy) == {"dataset", "explicit", "implicit"}
    assert accuracy["explicit"] > 0.75
    assert accuracy["implicit"] < 0.55


LABELS = ("self_good", "self_bad", "other_good", "other_bad")
CONTRASTS = read_prompts(ROOT / "data" / "contrast.jsonl")

EVENTS: dict[str | None, dict[str, str]] = {}
for prompt in CONTRASTS.prompts:
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
    assert all(p.id == f"{p.scenario_id}-{p.emotion}" for p in CONTRASTS.prompts)
    assert {prompt.lang for prompt in CONTRASTS.prompts} == {"en"}


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
    for prompt in CONTRASTS.prompts:
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
    assert not any(naming.search(prompt.text.lower()) for prompt in CONTRASTS.prompts)
