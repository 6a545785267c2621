"""The shipped data set passes emoact's own audit on all but words that name an emotion."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from emoact.data import read_prompts
from emoact.stats.audit import audit_dataset
from emoact.stats.audit.register import MARKERS, sentences_of

ROOT = Path(__file__).resolve().parents[2]
DATASET = read_prompts(ROOT / "data" / "prompts.jsonl")
COUNTS = json.loads(Path(__file__).with_name("gpt2_token_counts.json").read_text(encoding="utf-8"))


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
