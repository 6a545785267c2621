"""Ablations of held-out sentences, in the process that has the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from emoact.causes.ablation import Ablations, Means, Part, Readout, part_means
from emoact.causes.contributions import Target, bootstrap_weights
from emoact.causes.direction import pooled_at
from emoact.causes.loaded import Loaded, design_of_units, saved_texts, scenarios_of
from emoact.causes.passes import Text
from emoact.causes.settings import AblateSettings
from emoact.causes.steering import Split, split_scenarios
from emoact.decode import encode
from emoact.errors import RequestError
from emoact.extraction.bridge_engine import BridgeEngine
from emoact.stats.design import Design, contrast_against
from emoact.stats.null.uncertainty import bootstrap_counts, small_sample_interval
from emoact.store.unit import Unit


def found_ablations(asked: Loaded) -> dict[str, Any]:
    """Changes of the read-outs without each of the parts that are asked for.

    Raises:
        CancelledError: The reporter was asked to stop.
        RequestError: A scenario lacks what stands in place of a part.
    """
    units, settings, engine = asked.units, asked.request.settings, asked.engine
    design, reporter = design_of_units(units), asked.reporter
    names = scenarios_of(units)
    labels = (settings.emotion, settings.neutral)
    split = split_scenarios(design, names, labels, settings, seed=settings.seed)
    prompts = saved_texts(units, _first_tokens(engine, settings.class_words))
    test = np.flatnonzero(split.test)
    texts = [prompts[at] for at in test]
    ablations = Ablations(
        engine.bridge,
        texts,
        read=settings.layer,
        directions=_directions(units, settings, split),
        direct=asked.direct,
        on_pass=reporter.check_cancelled,
    )
    replacement = None
    if settings.by != "zero":
        reporter.step("analyze", model="", detail="what stands in place of the parts", share=0.0)
        is_neutral = design.label_of == design.index(settings.neutral)
        replacement = _replacement(
            engine, prompts, settings, split, is_neutral, np.asarray(names), asked.direct
        )
    at = settings.at or tuple(range(settings.layer))
    # All parts of a layer share the passes up to it.
    parts = [part for part in ablations.parts if part.kind in settings.parts and part.layer in at]
    if "directions" in settings.parts and (len(at) > 1 or "direction" not in settings.parts):
        parts.append(Part(kind="directions", layer=min(at), layers=tuple(sorted(at))))
    own = design.take(split.test)
    rows = []
    for number, part in enumerate(parts):
        reporter.step(
            "analyze",
            model="",
            detail=f"{part.kind} of layer {part.layer}",
            done=number,
            total=len(parts),
            share=0.99 * number / max(len(parts), 1),
        )
        before = ablations.without(part.layer)
        after = ablations.ablated(part, replacement)
        rows.append(_row(part, before, after, own, settings, texts))
    totals = [row["total"] for row in rows]
    for row in rows:
        row["tied"] = totals.count(row["total"]) > 1
    (weights,) = _weights(own, settings, np.ones((1, own.n_scenarios), int))
    contrast = weights @ np.array([each.projection for each in before])
    return {
        "settings": encode(settings),
        "train_scenarios": list(split.train_scenarios),
        "test_scenarios": list(split.test_scenarios),
        "contrast": float(contrast),
        "words": list(settings.class_words),
        "ablations": rows,
    }


def _first_tokens(engine: BridgeEngine, words: Sequence[str]) -> tuple[int, ...]:
    """The first token of each word within a sentence."""
    found = dict[int, None]()
    for word in words:
        # Some tokenizers put a space before the first word of all.
        before, both = (
            engine.bridge.tokenizer(text, add_special_tokens=False)["input_ids"]
            for text in ("the", f"the {word.strip()}")
        )
        if len(both) <= len(before):
            raise RequestError(f"the word {word!r} has no token of its own")
        found[int(both[len(before)])] = None
    return tuple(found)


def _row(
    part: Part,
    before: Sequence[Readout],
    after: Sequence[Readout],
    design: Design,
    settings: AblateSettings,
    texts: Sequence[Text],
) -> dict[str, Any]:
    pairs = list(zip(before, after, strict=True))
    change = np.array([new.projection - old.projection for old, new in pairs])
    counts = bootstrap_counts(design, settings.n_bootstrap, seed=settings.seed)
    once = np.ones((1, design.n_scenarios), counts.dtype)
    weights, *drawn = _weights(design, settings, np.concatenate([once, counts]))
    total = float(weights @ change)
    direct = float(weights @ np.array([new.direct for new in after]))
    low, high = small_sample_interval(np.stack(drawn) @ change, design.n_scenarios)
    said = np.array([new.log_prob - old.log_prob for old, new in pairs])
    lengths = np.array([text.n_scored for text in texts])
    odds = np.array([new.log_odds - old.log_odds for old, new in pairs])
    emotion, neutral = (
        design.label_of == design.index(label) for label in (settings.emotion, settings.neutral)
    )
    return {
        "part": part.kind,
        "layer": part.layer,
        "heads": ", ".join(map(str, part.heads)),
        "layers": ", ".join(map(str, part.layers)),
        "total": total,
        "low": float(low) if np.isfinite(low) else None,
        "high": float(high) if np.isfinite(high) else None,
        "direct": direct,
        "repair": total - direct,
        "log_prob": float(said[emotion].sum() / lengths[emotion].sum()),
        "log_prob_neutral": float(said[neutral].sum() / lengths[neutral].sum()),
        "log_odds": float(odds[emotion].mean()),
        "log_odds_neutral": float(odds[neutral].mean()),
    }


def _weights(design: Design, settings: AblateSettings, counts: np.ndarray) -> np.ndarray:
    """Weights of the prompts in each draw: mean of the emotion minus mean of neutral."""
    contrast = contrast_against(design, settings.emotion, settings.neutral)
    return bootstrap_weights(design, counts, contrast)


def _directions(units: Sequence[Unit], settings: AblateSettings, split: Split) -> np.ndarray:
    """Directions of the training prompts at the input of every layer up to the read one."""
    emotion = np.array([unit.emotion == settings.emotion for unit in units for _ in unit.lengths])
    found = []
    for layer in range(settings.layer + 1):
        pooled = np.concatenate([pooled_at(unit, Target(layer=layer)) for unit in units])
        first, second = (
            pooled[split.train & own].mean(axis=0, dtype=np.float64) for own in (emotion, ~emotion)
        )
        found.append(first - second)
    if not np.linalg.norm(found[-1]):
        raise RequestError(f"{settings.emotion} and {settings.neutral} have the same mean")
    return np.array(found)


def _replacement(
    engine: BridgeEngine,
    prompts: Sequence[Text],
    settings: AblateSettings,
    split: Split,
    is_neutral: np.ndarray,
    names: np.ndarray,
    direct: bool,
) -> Means:
    """Values that stand in place of the parts, for every test text."""
    side = split.train if settings.by == "mean" else split.test
    chosen = [int(at) for at in np.flatnonzero(side & is_neutral)]
    means = part_means(
        engine.bridge, [prompts[at] for at in chosen], n_layers=settings.layer, direct=direct
    )
    test = np.flatnonzero(split.test)
    if settings.by == "mean":
        rows = [list(range(len(chosen)))] * len(test)
    else:
        rows = [np.flatnonzero(names[chosen] == names[at]).tolist() for at in test]
        lacking = sorted({str(names[at]) for at, own in zip(test, rows, strict=True) if not own})
        if lacking:
            raise RequestError(
                f"scenario {lacking[0]} has no {settings.neutral} prompt to resample from "
                f"({len(lacking)} scenarios)",
                remedy="Use --by mean.",
            )
    z, attention, mlp = (
        np.stack([values[own].mean(axis=0) for own in rows])
        for values in (means.z, means.attention, means.mlp)
    )
    return Means(z=z, attention=attention, mlp=mlp)
