"""Steering and ablation of the real models equal a loop over plain Hugging Face."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from emoact.causes.ablation import Ablations, Part
from emoact.causes.passes import Text, UpperLayers
from emoact.models.resolve import resolve_model
from emoact.schema import ExtractionOptions
from tests.support.brute_force import PROJECTIONS, ablated, log_probs
from tests.support.reference import hugging_face, hugging_face_activations
from tests.support.tiny_models import engine_of

pytestmark = pytest.mark.slow

TEXTS = (
    "I cannot thank you enough for braving that wind to save our gutter.",
    # Begins as the first one does.
    "I cannot thank you enough for nothing at all, as you did it again.",
    "The bus leaves at nine.",
)
N_VECTORS = 20
"""So many that the normalisation over a large vocabulary is estimated."""


@pytest.mark.parametrize("name", ["smollm2-135m", "gemma-3-270m"])
def test_real_models_are_steered_and_ablated_as_by_plain_hooks(name: str) -> None:
    source = resolve_model(name)
    if source.path is None:
        pytest.skip(f"{name} is not installed")
    options = ExtractionOptions(sites=("resid_pre",))
    engine = engine_of(source, options, texts=TEXTS)
    texts = [
        Text(ids=each.ids, changed_from=1, scored=each.content) for each in engine.tokenise(TEXTS)
    ]
    plain, precise = hugging_face(source.path), hugging_face(source.path).double()
    read = engine.facts.n_layers // 2
    streams = [hugging_face_activations(plain, text.ids.tolist())["resid_pre"] for text in texts]
    directions = np.stack(
        [streams[0][layer][1:].mean(0) - streams[2][layer][1:].mean(0) for layer in range(read + 1)]
    )
    rng = np.random.default_rng(0)
    vectors = directions[read] * np.linspace(-2, 2, N_VECTORS)[:, None]
    drawn = rng.normal(size=vectors.shape)
    drawn *= np.linalg.norm(directions[read]) / np.linalg.norm(drawn, axis=1, keepdims=True)
    vectors = np.concatenate([vectors, drawn])
    upper = UpperLayers(engine.bridge, texts, layer=read, direct=True)
    together = upper.log_probs(vectors, range(len(texts)))
    largest: dict[str, float] = {}
    rounding: dict[str, list[np.ndarray]] = {"ours": [], "plain float32": []}

    def note(what: str, apart: Any) -> None:
        largest[what] = max(largest.get(what, 0.0), float(np.max(np.abs(apart))))

    for at, text in enumerate(texts):
        (alone,) = upper.log_probs(vectors, [at])
        few = upper.log_probs(vectors[[0, 9]], [at])[0]
        note("alone", alone - together[at])
        for vector in (0, 9, N_VECTORS, N_VECTORS + 1):
            expected = log_probs(plain, text.ids.tolist(), read, vectors[vector])
            note("a token, candidates", together[at][vector] - expected)
            note("a mean, candidates", (together[at][vector] - expected).mean())
            if vector in (0, 9):
                exact = few[(0, 9).index(vector)] - expected
                note("a token, all logits", exact)
                note("a mean, all logits", exact.mean())
                truth = log_probs(precise, text.ids.tolist(), read, vectors[vector])
                rounding["plain float32"].append(expected - truth)
                rounding["ours"].append(exact + expected - truth)

    found = Ablations(engine.bridge, texts, read=read, directions=directions, direct=True)
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    heads = next(part for part in found.parts if part.kind == "head")
    size = plain.config.head_dim
    for layer in (0, read - 1):
        for part in (
            Part(kind="head", layer=layer, heads=heads.heads),
            Part(kind="mlp", layer=layer),
            Part(kind="direction", layer=layer),
        ):
            value: Any = np.zeros((1, size), np.float32)
            if part.kind != "head":
                value = (
                    unit[layer]
                    if part.kind == "direction"
                    else np.zeros(engine.facts.d_model, np.float32)
                )
            changed, before = found.ablated(part, None), found.without(layer)
            for at, text in enumerate(texts):
                ids = text.ids.tolist()
                first, second = (
                    ablated(plain, PROJECTIONS["llama"], ids, p, value, unit[read], read_layer=read)
                    for p in (part, None)
                )
                ours = changed[at].projection - before[at].projection
                note("a projection", (ours - (first[0] - second[0])) / abs(second[0]))
                said = changed[at].log_prob - before[at].log_prob
                note("log-probability a token", (said - first[1] + second[1]) / text.n_scored)
    print(name, {what: f"{value:.1e}" for what, value in largest.items()})
    rms = {name: np.sqrt(np.mean(np.concatenate(each) ** 2)) for name, each in rounding.items()}
    print(name, {which: f"{value:.1e} from float64" for which, value in rms.items()})
    assert rms["ours"] <= 1.5 * rms["plain float32"]
    for what, value in largest.items():
        # A single token of float32 passes is known less well than what is reported, a mean.
        assert value < (5e-5 if what.startswith("a token") or what == "alone" else 1e-5), what
