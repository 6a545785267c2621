"""Steering of models of random weights, without any cause, for `calibrate_analysis.py`."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from emoact.causes.passes import Text, UpperLayers
from emoact.causes.settings import SteerSettings
from emoact.causes.steering import directions_of, split_scenarios
from emoact.causes.verdict import Cell, effects_of
from emoact.extraction.engine import Tokenised
from emoact.models.resolve import resolve_model
from emoact.schema import ExtractionOptions
from emoact.stats.design import Design, design_of
from tests.support.tiny_models import engine_of, save_tiny

SHIPPED = Path(__file__).parents[1] / "data" / "prompts.jsonl"
N_SCENARIOS, LAYER, EMOTION, NEUTRAL = 25, 1, "anger", "neutral"
FAMILIES = {"llama": "untied", "gpt2": "tied"}
"""Families of tiny models, and their input and output embeddings."""


def called_causal(family: str, seed: tuple[int, ...]) -> bool:
    """True where the direction of an emotion is called causal in a model of random weights.

    Args:
        family: One of `FAMILIES`.
        seed: Of the weights, of the split of the scenarios and of the controls.
    """
    engine, design, names, texts = _model(family)
    torch.manual_seed(int(np.random.SeedSequence(seed).generate_state(1)[0]))
    with torch.no_grad():
        for parameter in engine.bridge.original_model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0.0, parameter.shape[-1] ** -0.5)
    settings = SteerSettings(
        emotions=(EMOTION,), layers=(LAYER,), doses=(1.0,), control_doses=(1.0,), seed=seed[-1]
    )
    split = split_scenarios(design, names, design.labels, settings, seed=settings.seed)
    read = UpperLayers(engine.bridge, texts, layer=0, direct=True).edited(lambda _: [], LAYER)
    pooled = np.stack(
        [
            one.stream[slice(*text.scored)].mean(axis=0)
            for one, text in zip(read, texts, strict=True)
        ]
    )
    drawn = directions_of(pooled[split.train], design.take(split.train), EMOTION, settings)
    vectors = np.concatenate([0 * drawn.own[None], drawn.own[None], drawn.random, drawn.shuffled])
    upper = UpperLayers(engine.bridge, texts, layer=LAYER, direct=True)
    changes = {}
    for label in (EMOTION, NEUTRAL):
        chosen = np.flatnonzero(split.test & (design.label_of == design.index(label))).tolist()
        said = np.concatenate(upper.log_probs(vectors, chosen), axis=1).mean(axis=1)
        changes[label] = said[1:] - said[0]
    both = np.stack([changes[EMOTION], changes[NEUTRAL]], axis=1)
    cell = Cell(
        emotion=EMOTION,
        layer=LAYER,
        dose=1.0,
        by_class={EMOTION: float(both[0, 0]), NEUTRAL: float(both[0, 1])},
        other_directions=float("nan"),
        random=both[1 : 1 + settings.n_random],
        shuffled=both[1 + settings.n_random :],
        exchanged=np.empty((0, 2)),
        prompt_only=float("nan"),
        prompt_neutral=float("nan"),
        intervals={},
        splits=np.empty(0),
    )
    (row,) = effects_of([cell], neutral=NEUTRAL, control_doses=(1.0,), alpha=settings.alpha)
    return row["verdict"] == "causal"


@functools.cache
def _model(family: str) -> tuple[Any, Design, list[str], list[Text]]:
    """A tiny model, whose weights are drawn anew for each seed, and the prompts that it reads."""
    lines = SHIPPED.read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if int(row["scenario_id"][1:]) <= N_SCENARIOS]
    prompts = [row["text"] for row in rows]
    names = [row["scenario_id"] for row in rows]
    with tempfile.TemporaryDirectory() as name:
        source = resolve_model(str(save_tiny(family, Path(name) / "model")))
        options = ExtractionOptions(sites=("resid_pre",))
        engine = engine_of(source, options, texts=prompts[:3])
    texts = [_text(each) for each in engine.tokenise(prompts)]
    return engine, design_of([row["emotion"] for row in rows], names), names, texts


def _text(prompt: Tokenised) -> Text:
    return Text(ids=prompt.ids, changed_from=prompt.content_start, scored=prompt.content)
