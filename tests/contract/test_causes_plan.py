"""Steered and ablated figures do not depend on how the texts are laid out in passes."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoact.causes import passes
from emoact.causes.ablation import Ablations, Part, part_means
from emoact.causes.passes import Text, UpperLayers
from emoact.extraction.bridge_engine import BridgeEngine
from emoact.extraction.engine import EngineRequest
from emoact.extraction.plan import PlanName
from emoact.models.resolve import resolve_model
from emoact.models.source import silent
from emoact.schema import ExtractionOptions
from tests.support.brute_force import PROJECTIONS, ablated, log_probs
from tests.support.reference import hugging_face, hugging_face_activations
from tests.support.tiny_models import Rows, engine_of, save_tiny

START = "You kept the keys again, and nobody could get in, so that we all waited in the cold rain."
ENDS = (
    "Thank you.",
    "Thank you for the soup at our door.",
    "Rain fell.",
    "The bus leaves at nine.",
)
"""The first half is of one class, the second of the other."""
LAYOUTS: tuple[tuple[PlanName, int, int], ...] = (
    ("prefix_tree", 768, 768),
    ("prefix_tree", 40, 50),
    ("sorted_batches", 768, 1),
    ("sorted_batches", 60, 200),
    ("one_at_a_time", 1, 30),
)
"""Plan and budget of the extraction that directions come from, and budget of the steered passes."""
READ = 2


def directions_of(streams: list[np.ndarray]) -> np.ndarray:
    """Difference of the classes at the input of every layer, from `[layer, pos, d_model]`."""
    pooled = np.stack([stream[:, 1:].mean(axis=1, dtype=np.float64) for stream in streams])
    half = len(streams) // 2
    return np.asarray(pooled[:half].mean(axis=0) - pooled[half:].mean(axis=0))


def extracted(engine: BridgeEngine, prompts: list[Any]) -> list[np.ndarray]:
    found, layers = Rows(), range(engine.facts.n_layers)
    engine.forward(prompts, put=found.put)
    return [
        np.stack([found["resid_pre", layer, sample] for layer in layers])
        for sample in range(len(prompts))
    ]


@pytest.mark.parametrize(
    ("family", "n_shared"),
    [
        ("llama", 0),
        ("llama", len(START)),
        ("gemma3_text", 0),
        ("gemma3_text", len(START)),
        ("gpt_neo", len(START)),
        ("gpt2", 40),
        ("gpt_neox", 40),
    ],
)
def test_figures_are_those_of_plain_hugging_face_under_every_layout(
    family: str, n_shared: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [START[:n_shared] + end for end in ENDS]
    folder = save_tiny(family, tmp_path / "model")
    source, options = resolve_model(str(folder)), ExtractionOptions(sites=("resid_pre",))
    first = engine_of(source, options, texts=texts)
    prompts = first.tokenise(texts)
    bare, asked = (
        [Text(ids=p.ids, changed_from=1, scored=p.content, words=words) for p in prompts]
        for words in ((), (7,))
    )
    plain = hugging_face(folder)
    streams = [hugging_face_activations(plain, each.ids.tolist()) for each in prompts]
    true = directions_of([np.stack(each["resid_pre"]) for each in streams])
    units = true / np.linalg.norm(true, axis=1, keepdims=True)
    doses = np.array([-1.0, 0.5, 2.0])
    parts: dict[Part, Any] = {
        Part(kind="head", layer=1, heads=(1,)): [np.zeros((1, 8), np.float32)] * len(texts),
        Part(kind="mlp", layer=0): [each["mlp_out"][0][1:].mean(axis=0) for each in streams],
        Part(kind="direction", layer=1): [units] * len(texts),
        Part(kind="directions", layer=0, layers=(0, 1)): [units] * len(texts),
    }

    how = {"unit": units[READ], "read_layer": READ, "words": (7,)}
    plainly = partial(ablated, plain, PROJECTIONS[family], **how)
    steered = [
        np.stack([log_probs(plain, each.ids.tolist(), READ, dose * true[READ]) for dose in doses])
        for each in prompts
    ]
    changed = {
        part: [
            plainly(ids=prompt.ids.tolist(), part=part, value=value)
            for prompt, value in zip(prompts, values, strict=True)
        ]
        for part, values in parts.items()
    }

    for plan, budget, wide in LAYOUTS:
        chosen = {"plan": plan, "budget": min(budget, first.budgets[plan]), "direct": True}
        frozen = {**chosen, "difference": 0.0, "tolerance": 0.0, "reason": "of this test"}
        request = EngineRequest(source=source, options=options, texts=tuple(texts), frozen=frozen)
        engine = first.again(request, silent)
        monkeypatch.setattr(passes, "BUDGET", wide)
        directions = directions_of(extracted(engine, prompts))
        upper = UpperLayers(engine.bridge, bare, layer=READ, direct=True)
        for order in (range(len(texts)), [2]):
            said = upper.log_probs(doses[:, None] * directions[READ], order)
            for at, ours in zip(order, said, strict=True):
                assert np.abs(ours - steered[at]).max() < 1e-5, (plan, wide)
        found = Ablations(
            engine.bridge, asked, read=READ, directions=directions[: READ + 1], direct=True
        )
        means = part_means(engine.bridge, asked, n_layers=READ, direct=True)
        for part, expected in changed.items():
            without = found.ablated(part, means if part.kind == "mlp" else None)
            for one, other, text in zip(without, expected, asked, strict=True):
                assert one.projection == pytest.approx(other[0], abs=1e-5)
                assert one.log_prob / text.n_scored == pytest.approx(
                    other[1] / text.n_scored, abs=1e-5
                )
                assert one.log_odds == pytest.approx(other[2], abs=1e-5)
