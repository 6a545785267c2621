"""The shipped data set passes emoact's own audit on everything but lexis."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from emoact.data import read_prompts
from emoact.stats.audit import audit_dataset

ROOT = Path(__file__).resolve().parents[2]
DATASET = read_prompts(ROOT / "data" / "prompts.jsonl")
COUNTS = json.loads(Path(__file__).with_name("gpt2_token_counts.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_shipped_data_set_passes_on_everything_but_lexis(seed: int) -> None:
    tokens = np.array([COUNTS[prompt.id]["tokens"] for prompt in DATASET.prompts], dtype=np.int64)
    report = audit_dataset(DATASET, seed=seed, token_counts=tokens)
    assert {finding.code for finding in report.findings} == {"lexis"}
    assert report.ok


def test_its_explicit_and_implicit_halves_are_reported_apart() -> None:
    report = audit_dataset(DATASET)
    accuracy = {
        check.where: check.tests[0].value for check in report.checks if check.aspect == "lexis"
    }
    assert set(accuracy) == {"dataset", "explicit", "implicit"}
    assert accuracy["explicit"] > 0.75
    assert accuracy["implicit"] < 0.55
