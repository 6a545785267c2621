import dataclasses
from typing import Any

import numpy as np
import pytest

from emoact.store.summaries.measures import UnitMeasures
from emoact.ui import configuration
from tests.support.measured import measured_unit

CONFIGURATION: dict[str, Any] = {
    "model_name": "gpt2",
    "revision": "main",
    "weight_source": "Hugging Face hub",
    "processing": "raw",
    "dtype": "float32",
    "bos": {"policy": "prepend", "prepended": True, "token": "<|endoftext|>"},
    "dataset": "d" * 64,
    "schema_version": 1,
}


def unit(
    folder: str = "gpt2", emotion: str = "anger", *, known: bool = True, **changes: Any
) -> UnitMeasures:
    sample = np.ones((3, 4), dtype=np.float32)
    return measured_unit(
        {"resid_pre": [[sample]]},
        folder=folder,
        emotion=emotion,
        configuration={**CONFIGURATION, **changes} if known else None,
    )


PYTHIA: dict[str, Any] = {
    "model_name": "EleutherAI/pythia-160m",
    "revision": "step3000",
    "bos": {"policy": "prepend", "prepended": True, "token": "<|endoftext|>", "token_id": 0},
}


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (unit(emotion="neutral"), []),
        # Two models may differ in what belongs to the model, two files of a folder may not.
        (unit("pythia-160m", **PYTHIA), []),
        (unit(emotion="neutral", revision="other"), ["`revision`"]),
        (unit(emotion="neutral", dtype="bfloat16"), ["differ in `dtype`"]),
        (unit("pythia-160m", bos={"policy": "none", "prepended": False}), ["`bos`"]),
        (unit(emotion="joy", known=False), ["`gpt2` (joy) is unknown"]),
        (
            dataclasses.replace(unit(), random_weights=True),
            ["random weights", "nothing about emotion"],
        ),
    ],
)
def test_a_warning_names_what_differs_or_is_unknown(other: UnitMeasures, words: list[str]) -> None:
    warnings = configuration.warnings([unit(), other])
    assert len(warnings) == bool(words)
    assert all(word in warnings[0] for word in words)


def test_footnotes_of_the_models_shown() -> None:
    pythia = dataclasses.replace(unit("pythia-160m"), model_name="EleutherAI/pythia-160m")
    assert configuration.footnotes([unit(), pythia]) == [
        "pythia-160m: Attention and MLP read the same residual stream in parallel."
    ]


def test_a_configuration_in_few_words() -> None:
    assert configuration.short_words(unit()) == "raw, float32, BOS prepended"
    assert configuration.short_words(unit(bos={"prepended": False})) == "raw, float32, no BOS"
    assert configuration.short_words(unit(known=False)) == "unknown"
