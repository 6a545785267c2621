from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

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


def test_files_made_alike_need_no_word() -> None:
    assert configuration.warnings([unit(), unit(emotion="neutral")]) == []


def test_a_file_of_unknown_origin_is_named() -> None:
    (warning,) = configuration.warnings([unit(), unit(emotion="joy", known=False)])
    assert "`gpt2` (joy) is unknown" in warning


def test_a_field_that_differs_is_named() -> None:
    (warning,) = configuration.warnings([unit(), unit(emotion="neutral", dtype="bfloat16")])
    assert "differ in `dtype`" in warning


def test_two_models_may_differ_in_what_belongs_to_the_model() -> None:
    other = unit(
        "pythia-160m",
        model_name="EleutherAI/pythia-160m",
        revision="step3000",
        bos={"policy": "prepend", "prepended": True, "token": "<|endoftext|>", "token_id": 0},
    )
    assert configuration.warnings([unit(), other]) == []


def test_two_revisions_within_one_folder_are_mixed() -> None:
    (warning,) = configuration.warnings([unit(), unit(emotion="neutral", revision="other")])
    assert "`revision`" in warning


def test_a_bos_beside_none_is_mixed_between_models_too() -> None:
    bare = unit("pythia-160m", model_name="p", bos={"policy": "none", "prepended": False})
    (warning,) = configuration.warnings([unit(), bare])
    assert "`bos`" in warning


def test_random_weights_carry_a_warning() -> None:

    (warning,) = configuration.warnings([dataclasses.replace(unit(), random_weights=True)])
    assert "random weights" in warning
    assert "nothing about emotion" in warning


def test_footnotes_of_the_models_shown() -> None:
    pythia = unit("pythia-160m")

    pythia = dataclasses.replace(pythia, model_name="EleutherAI/pythia-160m")
    assert configuration.footnotes([unit(), pythia]) == [
        "pythia-160m: Attention and MLP read the same residual stream in parallel."
    ]


def test_a_configuration_in_few_words() -> None:
    assert configuration.short_words(unit()) == "raw, float32, BOS prepended"
    assert configuration.short_words(unit(bos={"prepended": False})) == "raw, float32, no BOS"
    assert configuration.short_words(unit(known=False)) == "unknown"
