"""NaN and infinite values, and layers whose norm is zero or far below that of their neighbours."""

from __future__ import annotations

import numpy as np

from emoact import numbers
from emoact.stats.findings.finding import ActivationFinding, span
from emoact.stats.findings.pool import SitePool, where

_COLLAPSE = 0.1
"""Neighbouring layers of a model differ by factors of a few. At a tenth, nearly all that the stream
held was cancelled, or nothing was written."""


def nonfinite_values(pool: SitePool) -> list[ActivationFinding]:
    """NaN and infinite values, position 0 included."""
    bad = np.concatenate([part.n_bad[: pool.n_layers] for part in pool.parts], axis=1)
    if not bad.any():
        return []
    tokens, layers = np.flatnonzero(bad.any(axis=0)), where(bad > 0)
    prompts = sorted({pool.places[token][:2] for token in tokens})
    number, prompt = prompts[0]
    unit, n_values = pool.units[number], int(bad.sum())
    more = f" and {numbers.plural(len(prompts) - 1, 'more', 'more')}" if len(prompts) > 1 else ""
    return pool.finding(
        "nonfinite_values",
        "error",
        emotion=unit.emotion if len({place[0] for place in prompts}) == 1 else None,
        layers=layers,
        sentence=f"{numbers.plural(n_values, 'value')} of the {pool.words} in "
        f"{numbers.plural(len(tokens), 'token')} of {numbers.plural(len(prompts), 'prompt')} "
        f"({unit.emotion} {unit.prompt_id(prompt)}{more}) {'is' if n_values == 1 else 'are'} NaN "
        f"or infinite, at {span(layers)}.",
        meaning="The forward pass overflowed or divided by zero, or the file was changed after it "
        "was made.",
        matters=True,
        phase3="Yes: one such value makes the class mean of its layer NaN. An analysis leaves "
        "these prompts out on request and names them.",
        figures={
            "n_values": n_values,
            "n_tokens": len(tokens),
            "n_prompts": len(prompts),
            "prompt": unit.prompt_id(prompt),
            "prompt_emotion": unit.emotion,
            "first_layer": layers[0],
        },
        view=pool.prompt_view(number, prompt),
    )


def norm_collapse(pool: SitePool) -> list[ActivationFinding]:
    """Layers whose median norm is zero, or a tenth of that of the layers beside it."""
    medians = pool.content_medians
    zero = [layer for layer, median in enumerate(medians) if median == 0]
    layers = tuple(zero or _collapsed(medians, stream=pool.site == "resid_pre"))
    if not layers:
        return []
    worst = min(layers, key=lambda layer: float(medians[layer]))
    before = float(medians[worst - 1]) if worst else float("nan")
    how = (
        "is 0"
        if zero
        else f"falls from {numbers.significant(before)} at layer {worst - 1} to "
        f"{numbers.significant(medians[worst])} at layer {worst}"
    )
    return pool.finding(
        "norm_collapse",
        "error" if zero else "warning",
        layers=layers,
        sentence=f"The median norm of the {pool.words} {how} (found at {span(layers)}).",
        meaning="Nothing, or almost nothing, was written there: an ablated or damaged layer, or a "
        "hook that did not run.",
        matters=True,
        phase3="Yes: directions at such a layer are zero or rounding noise, and relative strength "
        "divides by this norm.",
        figures={
            "layer": worst,
            "norm": float(medians[worst]),
            "norm_before": before,
            "n_layers": len(layers),
        },
        view={"view": "norms", "scale": "log"},
    )


def _collapsed(medians: np.ndarray, *, stream: bool) -> list[int]:
    found = []
    for layer in range(1, len(medians)):
        fell = medians[layer] < _COLLAPSE * medians[layer - 1]
        # The output of an MLP may stay small; only a dip between two larger ones is unusual. The
        # stream is a sum, which does not fall to a tenth unless it is cancelled.
        rises = layer + 1 < len(medians) and medians[layer] < _COLLAPSE * medians[layer + 1]
        if fell and (stream or rises):
            found.append(layer)
    return found
