"""Values that are no numbers, and layers whose norm is gone."""

from __future__ import annotations

import numpy as np

from emoact import numbers
from emoact.stats.findings.finding import SITE_WORDS, ActivationFinding, span
from emoact.stats.findings.pool import SitePool

_COLLAPSE = 0.1
"""Layers of one model differ by factors of a few; a tenth from one to the next means that nearly
everything the stream had carried was taken away again, or never written."""


def nonfinite_values(pool: SitePool) -> list[ActivationFinding]:
    """NaN and infinite values, position 0 included."""
    bad = np.concatenate([part.n_bad[: pool.n_layers] for part in pool.parts], axis=1)
    if not bad.any():
        return []
    tokens = np.flatnonzero(bad.any(axis=0))
    layers = tuple(int(layer) for layer in np.flatnonzero(bad.any(axis=1)))
    prompts = sorted({pool.places[token][:2] for token in tokens})
    number, prompt = prompts[0]
    unit = pool.units[number]
    named = f"{unit.emotion} {unit.prompt_id(prompt)}"
    more = f" and {numbers.plural(len(prompts) - 1, 'more', 'more')}" if len(prompts) > 1 else ""
    return [
        ActivationFinding(
            kind="nonfinite_values",
            severity="error",
            model=pool.folder,
            emotion=unit.emotion if len({place[0] for place in prompts}) == 1 else None,
            site=pool.site,
            layers=layers,
            sentence=f"{numbers.plural(int(bad.sum()), 'value')} of the {SITE_WORDS[pool.site]} "
            f"in {numbers.plural(len(tokens), 'token')} of "
            f"{numbers.plural(len(prompts), 'prompt')} ({named}{more}) "
            f"{'is' if bad.sum() == 1 else 'are'} NaN or infinite, at {span(layers)}.",
            meaning="The forward pass overflowed or divided by zero there, or the file was changed "
            "after it was made.",
            matters=True,
            phase3="Yes: one such value makes the class mean of its layer NaN; phase 3 leaves "
            "these prompts out and says so.",
            figures={
                "n_values": int(bad.sum()),
                "n_tokens": len(tokens),
                "n_prompts": len(prompts),
                "prompt": unit.prompt_id(prompt),
                "prompt_emotion": unit.emotion,
                "first_layer": layers[0],
            },
            view={
                "view": "prompt",
                "model": pool.folder,
                "site": pool.site,
                "emotion": unit.emotion,
                "prompt": unit.prompt_id(prompt),
            },
        )
    ]


def norm_collapse(pool: SitePool) -> list[ActivationFinding]:
    """Layers whose median norm is zero, or a tenth of that of the layers beside it."""
    medians = pool.content_medians
    zero = [layer for layer, median in enumerate(medians) if median == 0]
    layers = tuple(zero or _collapsed(medians, stream=pool.site == "resid_pre"))
    if not layers:
        return []
    worst = min(layers, key=lambda layer: float(medians[layer]))
    before = float(medians[worst - 1]) if worst else float("nan")
    sentence = (
        f"The median norm of the {SITE_WORDS[pool.site]} is 0 at {span(layers)}."
        if zero
        else f"The median norm of the {SITE_WORDS[pool.site]} collapses at {span(layers)}: "
        f"{numbers.significant(medians[worst])} at layer {worst} after "
        f"{numbers.significant(before)} at layer {worst - 1}."
    )
    return [
        ActivationFinding(
            kind="norm_collapse",
            severity="error" if zero else "warning",
            model=pool.folder,
            site=pool.site,
            layers=layers,
            sentence=sentence,
            meaning="Nothing, or next to nothing, was written there: an ablated or broken layer, "
            "or a hook that did not fire.",
            matters=True,
            phase3="Yes: directions of such a layer are zero or rounding noise, and relative "
            "strength divides by this norm.",
            figures={
                "layer": worst,
                "norm": float(medians[worst]),
                "norm_before": before,
                "n_layers": len(layers),
            },
            view={"view": "norms", "model": pool.folder, "site": pool.site, "scale": "log"},
        )
    ]


def _collapsed(medians: np.ndarray, *, stream: bool) -> list[int]:
    found = []
    for layer in range(1, len(medians)):
        fell = medians[layer] < _COLLAPSE * medians[layer - 1]
        # What one MLP writes may be small for good; only a dip between two others is odd. The
        # stream is a sum, which does not fall to a tenth unless it is cancelled.
        rises = layer + 1 < len(medians) and medians[layer] < _COLLAPSE * medians[layer + 1]
        if fell and (stream or rises):
            found.append(layer)
    return found
