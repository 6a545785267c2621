"""The terms of the Distances page, each with its formula and its source."""

from __future__ import annotations

from collections.abc import Mapping

_COSINES = {
    "plain": r"$\cos(d_a, d_b)$ of the plain directions. Both subtract the same neutral mean, so "
    r"two directions of noise have $(1/n_0)/\sqrt{(1/n_a+1/n_0)(1/n_b+1/n_0)}$, +.5 for equal "
    "classes: the dotted line.",
    "null band": "95 % of the plain cosine when the labels of the two emotions and of neutral are "
    r"shuffled within scenarios. It is far wider than $1.96/\sqrt d$, because the spectrum of "
    "activations is steep "
    "([Ethayarajh 1909.00512](https://aclanthology.org/D19-1006/)).",
    "cross-validated": "numerator and denominator from disjoint scenarios, so that neither shared "
    "noise nor shared neutral inflates it. Blank unless both strengths are positive; not clipped, "
    "so noise may carry it beyond 1. The band is ± 1.96 jackknife standard errors (Walther et al. "
    "2016).",
    "z-scored twin": "the same with every dimension divided by its standard deviation over all "
    "prompts. Where it differs by more than .2, few dimensions tell the story: open markers.",
    "top 3 dimensions": r"share of $\sum_i |a_i b_i|$ that the three largest terms carry; rogue "
    "dimensions ([Timkey & van Schijndel 2109.04404](https://arxiv.org/abs/2109.04404)).",
}

TERMS: Mapping[str, Mapping[str, str]] = {
    "cosines": _COSINES,
    "matrix": _COSINES,
    "prompts": {
        "fixed basis": "principal axes of all layers together, each layer centred and scaled to "
        "the same total variance first; coordinates are shares of the layer's own spread.",
        "per layer": "each layer's own principal axes, in the model's own units.",
        "explained variance": "share of the variance of this layer that an axis holds. Principal "
        "axes follow variance and not emotion: a direction may be strong and not show here.",
    },
}
"""Terms by view."""
