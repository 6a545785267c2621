import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from emoact.errors import RequestError
from emoact.jobs.config import DatasetRef, config_from_json
from emoact.schema import ExtractionOptions
from tests.support.run_files import ESTIMATE, a_config, a_model


def test_a_config_survives_its_file(tmp_path: Path) -> None:
    config = a_config(tmp_path, estimate=ESTIMATE, overwrite=True)
    again = config_from_json(json.loads(json.dumps(config.to_json())))
    assert again == config
    assert again.to_json() == config.to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"run_id": "other"},
        {"command": "another"},
        {"created_at": "1999-01-01T00:00:00+00:00"},
        {"emotions": ("neutral", "anger")},
        {"models": (a_model("b"), a_model("a"))},
        {"estimate": ESTIMATE},
        {"options": ExtractionOptions(sites=("mlp_out", "resid_pre"))},
    ],
)
def test_the_fingerprint_ignores_the_rest(tmp_path: Path, change: dict[str, Any]) -> None:
    config = a_config(tmp_path, models=(a_model("a"), a_model("b")))
    assert dataclasses.replace(config, **change).fingerprint() == config.fingerprint()


@pytest.mark.parametrize(
    "change",
    [
        {"emotions": ("anger",)},
        {"models": (a_model("other"),)},
        {"models": (a_model(commit="d" * 40),)},
        {"options": ExtractionOptions(bos="none")},
        {"options": ExtractionOptions(sites=("resid_pre",))},
        {"dataset": DatasetRef(source="p.jsonl", path="/nowhere/p.jsonl", sha256="1" * 64)},
        {"results": "/elsewhere"},
        {"overwrite": True},
    ],
)
def test_the_fingerprint_follows_the_files(tmp_path: Path, change: dict[str, Any]) -> None:
    config = a_config(tmp_path)
    assert dataclasses.replace(config, **change).fingerprint() != config.fingerprint()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "written by a newer emoact"),
        ({"schema_version": None}, "no run that this emoact knows"),
        ({"kind": "party"}, "no run that this emoact knows"),
        ({"models": []}, "at least one model"),
        ({"emotions": ["anger", "anger"]}, "no emotion twice"),
        ({"counts": {"anger": 1}}, "the number of prompts of 'neutral' is missing"),
        ({"options": {"bos": "maybe"}}, "options.bos is 'maybe'"),
        ({"unheard_of": 1}, "unheard_of: this field is unknown"),
        ({"run_id": 3}, "run_id is int 3"),
    ],
)
def test_a_foreign_config_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        config_from_json({**a_config(tmp_path).to_json(), **change})


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_a_config_that_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(RequestError, match="expected a JSON object"):
        config_from_json(value)


@pytest.mark.parametrize("counts", [{"anger": 2**62}, {"anger": 10**30}, {"anger": -1}])
def test_counts_beyond_any_run_are_refused(tmp_path: Path, counts: dict[str, int]) -> None:
    with pytest.raises(RequestError, match="counts ask for"):
        a_config(tmp_path, counts={"neutral": 2, **counts})
    models = tuple(a_model(f"m{number}") for number in range(1000))
    with pytest.raises(RequestError, match=r"counts ask for 101,000 files"):
        a_config(tmp_path, models=models, counts={"anger": 500_000, "neutral": 2})
    assert len(a_config(tmp_path, counts={"anger": 50_000_000, "neutral": 2}).units) == 10_001
