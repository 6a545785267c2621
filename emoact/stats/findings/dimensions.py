"""Dimensions that are far larger than the others, and dimensions that do not vary."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from emoact import numbers
from emoact.stats.findings.finding import ActivationFinding, span
from emoact.stats.findings.pool import ENOUGH_TOKENS, SitePool, where
from emoact.stats.norms.tables import dimension_ratios

ROGUE = 10.0
"""A dimension of ten times the typical magnitude counts in a dot product as a hundred others do."""

_DEAD = 1e-4
"""Below this share of the layer's median standard deviation a dimension counts as constant. The
standard deviations of activations span two orders of magnitude and not four."""

_WIDE = 8
_SHOWN = 3


def rogue_dimensions(pool: SitePool) -> list[ActivationFinding]:
    """Dimensions whose median magnitude is ten times the median dimension's.

    Source: Timkey & van Schijndel 2109.04404.
    """
    if pool.units[0].d_model < _WIDE:
        return []
    ratios = _largest(pool, dimension_ratios)
    rogue = np.isfinite(ratios) & (ratios >= ROGUE)
    if not rogue.any():
        return []
    layers = where(rogue)
    peaks = np.where(rogue, ratios, 0)
    worst = int(np.argmax(peaks.max(axis=1)))
    order = np.argsort(-peaks.max(axis=0), kind="stable")
    dims = [int(dim) for dim in order if rogue[:, dim].any()]
    at_worst = [dim for dim in np.argsort(-ratios[worst]) if rogue[worst, dim]][:_SHOWN]
    ratio = float(ratios[worst, dims[0]])
    share = float(_largest(pool, _shares)[worst][at_worst].sum())
    largest = "The largest holds" if len(at_worst) == 1 else f"The {len(at_worst)} largest hold"
    return pool.finding(
        "rogue_dimensions",
        "warning",
        layers=layers,
        sentence=f"{_named(dims)} of the {pool.words} "
        f"{'has' if len(dims) == 1 else 'have up to'} {numbers.significant(ratio)} times the "
        f"magnitude of the median dimension at layer {worst}, and at least {ROGUE:g} times at "
        f"{span(layers)}. {largest} {numbers.percent(share)} of a typical token's squared norm.",
        meaning="Rogue dimensions: a few coordinates whose offset or scale is shared by all tokens "
        "and is far larger than that of the other coordinates.",
        matters=True,
        phase3="Yes: these dimensions alone may determine cosines and distances. Analyses report "
        "the share of the three largest, and the same figures with each dimension divided by its "
        "spread.",
        figures={
            "ratio": ratio,
            "layer": worst,
            "dimension": dims[0],
            "dimensions": ", ".join(map(str, dims[:_SHOWN])),
            "n_dimensions": len(dims),
            "n_holding": len(at_worst),
            "share": share,
        },
        view={"view": "dimensions", "layer": str(worst)},
    )


def dead_dimensions(pool: SitePool) -> list[ActivationFinding]:
    """Dimensions that have one value at every content token of a class."""
    enough = [
        (unit, part)
        for unit, part in zip(pool.units, pool.parts, strict=True)
        if int(unit.is_content.sum()) >= ENOUGH_TOKENS
    ]
    dead = np.stack([_constant(part.sd[: pool.n_layers]) for _, part in enough]) if enough else None
    if dead is None or not dead.any():
        return []
    layers = where(np.asarray(dead.any(axis=0)))
    dims = [int(dim) for dim in np.flatnonzero(dead.any(axis=(0, 1)))]
    emotions = [unit.emotion for (unit, _), own in zip(enough, dead, strict=True) if own.any()]
    means = np.stack([part.mean[: pool.n_layers] for _, part in enough])
    apart = dead.all(axis=0) & (np.ptp(means, axis=0) > _DEAD * np.abs(means).max(axis=0))
    everywhere = bool((dead.all(axis=0) == dead.any(axis=0)).all())
    everywhere &= len(enough) == len(pool.units)
    alike = everywhere and not apart.any()
    number, layer, dim = (int(n) for n in np.argwhere(dead & apart if apart.any() else dead)[0])
    value = float(enough[number][1].mean[layer, dim])
    constant = "zero" if value == 0 else f"constant ({numbers.significant(value)})"
    return pool.finding(
        "dead_dimensions",
        "error" if apart.any() else "note" if alike else "warning",
        emotion=emotions[0] if len(emotions) == 1 and len(pool.units) > 1 else None,
        layers=layers,
        sentence=f"{_named(dims)} of the {pool.words} {'is' if len(dims) == 1 else 'are'} constant "
        f"over the content of {'every class' if everywhere else ', '.join(emotions)} at "
        f"{span(layers)}; dimension {dim} is {constant} at layer {layer}"
        + bool(apart.any())
        * f" in {enough[number][0].emotion} and has another value in another class"
        + ".",
        meaning="Dead dimensions: coordinates that do not vary, because of the model, of pruning "
        "or of a damaged file.",
        matters=not alike,
        phase3="No for directions, in which a constant cancels. Standardising leaves these "
        "dimensions out, since their spread is zero."
        if alike
        else "Yes: this dimension alone tells the classes apart, and may be the whole direction."
        if apart.any()
        else "Yes: a coordinate that is constant in one class and varies in another separates the "
        "classes without any emotion.",
        figures={
            "n_dimensions": len(dims),
            "dimensions": ", ".join(map(str, dims[:_SHOWN])),
            "layer": layer,
            "dimension": dim,
            "value": value,
            "emotions": ", ".join(emotions),
            "in_every_class": int(everywhere),
            "differs": int(apart.any()),
        },
        view={"view": "dimensions", "layer": str(layer)},
    )


def _shares(typical: np.ndarray) -> np.ndarray:
    """Share of each dimension in the sum of squares of its layer."""
    squares = typical**2
    with np.errstate(divide="ignore", invalid="ignore"):
        found: np.ndarray = squares / squares.sum(axis=-1, keepdims=True)
    return found


def _largest(pool: SitePool, of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The largest over classes; classes with too little content are left out."""
    found = [
        of(part.typical[: pool.n_layers].astype(np.float64))
        for unit, part in zip(pool.units, pool.parts, strict=True)
        if int(unit.is_content.sum()) >= ENOUGH_TOKENS
    ]
    if not found:
        return np.full((pool.n_layers, pool.units[0].d_model), np.nan)
    return np.asarray(np.nan_to_num(np.stack(found), nan=-np.inf, posinf=np.inf).max(axis=0))


def _constant(sd: np.ndarray) -> np.ndarray:
    middle = np.median(sd, axis=1, keepdims=True)
    # A layer in which no dimension varies is a collapsed one, which another check names.
    return np.asarray((sd <= _DEAD * middle) & (sd.max(axis=1, keepdims=True) > 0))


def _named(dims: list[int]) -> str:
    if len(dims) == 1:
        return f"Dimension {dims[0]}"
    if len(dims) <= _SHOWN:
        return f"Dimensions {numbers.listed(dims)}"
    return f"{len(dims):,} dimensions ({', '.join(map(str, dims[:_SHOWN]))} ...)"
