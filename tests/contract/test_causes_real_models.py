"""Steering, ablation and contributions of the real models equal plain Hugging Face."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from emoact.causes.ablation import Ablations, Part
from emoact.causes.components import collect_terms
from emoact.causes.contributions import TERM_SITES, Target, project
from emoact.causes.passes import Text, UpperLayers
from emoact.extraction.bridge_engine import BridgeEngine
from emoact.models.resolve import resolve_model
from emoact.models.source import ModelSource
from emoact.schema import ExtractionOptions
from emoact.sites import SiteName
from tests.support.brute_force import PROJECTIONS, ablated, log_probs
from tests.support.reference import (
    hugging_face,
    hugging_face_activations,
    hugging_face_outputs,
)
from tests.support.tiny_models import engine_of

pytestmark = pytest.mark.slow

MODELS = ["smollm2-135m", "gemma-3-270m"]
TEXTS = (
    "I cannot thank you enough for braving that wind to save our gutter.",
    # Begins as the first one does.
    "I cannot thank you enough for nothing at all, as you did it again.",
    "The bus leaves at nine.",
)
N_VECTORS = 20
"""So many that the normalisation over a large vocabulary is estimated."""
WORDS = (2_000, 30_000)


def installed(name: str) -> ModelSource:
    source = resolve_model(name)
    if source.path is None:
        pytest.skip(f"{name} is not installed")
    return source


def loaded(name: str, sites: tuple[SiteName, ...]) -> tuple[BridgeEngine, Any, list[Text]]:
    """The model as emoact loads it, the plain one, and the texts."""
    source = installed(name)
    engine = engine_of(source, ExtractionOptions(sites=sites), texts=TEXTS)
    texts = [
        Text(ids=each.ids, changed_from=1, scored=each.content, words=WORDS)
        for each in engine.tokenise(TEXTS)
    ]
    assert source.path is not None
    return engine, hugging_face(source.path), texts


def directions_of(plain: Any, texts: list[Text], read: int) -> np.ndarray:
    """Difference of the first and the last text at the input of every layer up to one."""
    streams = [hugging_face_activations(plain, text.ids.tolist())["resid_pre"] for text in texts]
    return np.stack(
        [streams[0][layer][1:].mean(0) - streams[2][layer][1:].mean(0) for layer in range(read + 1)]
    )


@pytest.mark.parametrize("precise", [False, True], ids=["float32", "float64"])
@pytest.mark.parametrize("name", MODELS)
def test_real_models_are_steered_and_ablated_as_by_plain_hooks(name: str, precise: bool) -> None:
    engine, plain, texts = loaded(name, ("resid_pre",))
    read = engine.facts.n_layers // 2
    directions = directions_of(plain, texts, read)
    if precise:
        # The same weights without the rounding of float32 passes, on both sides.
        engine.bridge.original_model.double()
        plain.double()
    rng = np.random.default_rng(0)
    vectors = directions[read] * np.linspace(-2, 2, N_VECTORS)[:, None]
    drawn = rng.normal(size=vectors.shape)
    drawn *= np.linalg.norm(directions[read]) / np.linalg.norm(drawn, axis=1, keepdims=True)
    vectors = np.concatenate([vectors, drawn])
    plain_texts = [Text(ids=t.ids, changed_from=1, scored=t.scored) for t in texts]
    upper = UpperLayers(engine.bridge, plain_texts, layer=read, direct=True)
    together = upper.log_probs(vectors, range(len(texts)))
    largest: dict[str, float] = {}

    def note(what: str, apart: Any) -> None:
        largest[what] = max(largest.get(what, 0.0), float(np.max(np.abs(apart))))

    for at, text in enumerate(texts):
        (alone,) = upper.log_probs(vectors, [at])
        few = upper.log_probs(vectors[[0, 9]], [at])[0]
        note("a mean, alone", (alone - together[at]).mean(axis=1))
        for vector in (0, 9, N_VECTORS, N_VECTORS + 1):
            expected = log_probs(plain, text.ids.tolist(), read, vectors[vector])
            note("a token, candidates", together[at][vector] - expected)
            note("a mean, candidates", (together[at][vector] - expected).mean())
            if vector in (0, 9):
                exact = few[(0, 9).index(vector)] - expected
                note("a token, all logits", exact)
                note("a mean, all logits", exact.mean())

    found = Ablations(engine.bridge, texts, read=read, directions=directions, direct=True)
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    heads = next(part for part in found.parts if part.kind == "head")
    size = plain.config.head_dim
    for layer in (0, read - 1):
        for part in (
            Part(kind="head", layer=layer, heads=heads.heads),
            Part(kind="mlp", layer=layer),
            Part(kind="direction", layer=layer),
            Part(kind="directions", layer=layer, layers=tuple(range(layer, read))),
        ):
            value: Any = np.zeros((1, size), np.float32)
            if part.kind != "head":
                value = (
                    unit
                    if part.kind in ("direction", "directions")
                    else np.zeros(engine.facts.d_model, np.float32)
                )
            changed, before = found.ablated(part, None), found.without(layer)
            for at, text in enumerate(texts):
                ids = text.ids.tolist()
                first, second = (
                    ablated(
                        plain,
                        PROJECTIONS["llama"],
                        ids,
                        p,
                        value,
                        unit[read],
                        read_layer=read,
                        words=WORDS,
                    )
                    for p in (part, None)
                )
                ours = changed[at].projection - before[at].projection
                note("a projection", (ours - (first[0] - second[0])) / abs(second[0]))
                said = changed[at].log_prob - before[at].log_prob
                note("a mean of an ablation", (said - first[1] + second[1]) / text.n_scored)
                odds = changed[at].log_odds - before[at].log_odds
                note("log-odds of a token", odds - first[2] + second[2])
    print(name, precise, {what: f"{value:.1e}" for what, value in largest.items()})
    for what, value in largest.items():
        # A token of float32 passes is known less well than a mean: plain Hugging Face is off its
        # own float64 by as much. Candidates give a token within 3e-5 by design.
        exact = precise and what != "a token, candidates"
        assert value < (5e-5 if "a token" in what and not exact else 1e-5), what


@pytest.mark.parametrize("name", MODELS)
def test_contributions_of_a_real_model_sum_to_the_stream_of_plain_hugging_face(name: str) -> None:
    engine, plain, texts = loaded(name, (*TERM_SITES, "resid_post"))
    middle, last = engine.facts.n_layers // 2, engine.facts.n_layers - 1
    direction = directions_of(plain, texts, middle)[middle]
    direction /= np.linalg.norm(direction)
    outputs = [hugging_face_outputs(plain, text.ids.tolist()) for text in texts]
    prompts = engine.tokenise(TEXTS)
    for target, after in (
        (Target(layer=middle), middle - 1),
        (Target(site="resid_post", layer=last), last),
    ):
        values = project(collect_terms(engine, prompts, target), direction)
        expected = [rows[after][1:].mean(axis=0) @ direction for rows in outputs]
        gap = np.abs(values.sum(axis=1) - expected).max() / np.abs(values).max()
        print(name, target.site, f"{gap:.1e}")
        assert gap < 1e-5
