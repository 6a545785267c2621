"""Dimensions that are far larger than the others, and dimensions that never change."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from emoact import numbers
from emoact.stats.findings.finding import SITE_WORDS, ActivationFinding, span
from emoact.stats.findings.pool import ENOUGH_TOKENS, SitePool

ROGUE = 10.0
"""A dimension of ten times the typical magnitude counts in a dot product as a hundred others do."""

_DEAD = 1e-4
"""Below this share of the layer's median standard deviation a dimension counts as constant. The
spectrum of activations is steep, but over two orders of magnitude and not over four."""

_WIDE = 8
_SHOWN = 3


def rogue_dimensions(pool: SitePool) -> list[ActivationFinding]:
    """Dimensions whose median magnitude is ten times the median dimension's.

    Source: Timkey & van Schijndel 2109.04404.
    """
    if pool.units[0].d_model < _WIDE:
        return []
    ratios = _most(pool, _ratios)
    rogue = np.isfinite(ratios) & (ratios >= ROGUE)
    if not rogue.any():
        return []
    layers = tuple(int(layer) for layer in np.flatnonzero(rogue.any(axis=1)))
    worst = int(np.argmax(np.where(rogue, ratios, 0).max(axis=1)))
    peaks = np.where(rogue, ratios, 0).max(axis=0)
    dims = [int(dim) for dim in np.argsort(-peaks, kind="stable") if peaks[dim] > 0]
    top = dims[0]
    at_worst = [dim for dim in np.argsort(-ratios[worst]) if rogue[worst, dim]][:_SHOWN]
    share = float(_most(pool, _squares)[worst][at_worst].sum())
    return [
        ActivationFinding(
            kind="rogue_dimensions",
            severity="warning",
            model=pool.folder,
            site=pool.site,
            layers=layers,
            sentence=f"{_named(dims)} of the {SITE_WORDS[pool.site]} "
            f"{'reaches' if len(dims) == 1 else 'reach'} "
            f"{numbers.significant(ratios[worst, top])} times the magnitude of the median "
            f"dimension at layer {worst} and at least {ROGUE:g} times at "
            f"{span(layers)}; the "
            f"{'largest there holds' if len(at_worst) == 1 else f'{len(at_worst)} largest hold'} "
            f"{numbers.significant(100 * share, 2)} % of a typical token's squared norm.",
            meaning="Rogue dimensions: a few coordinates with a large offset or scale that every "
            "token shares.",
            matters=True,
            phase3="Yes: cosines and distances may hang on them alone; phase 3 shows the share of "
            "the top three dimensions and a twin in which each is divided by its spread.",
            figures={
                "ratio": float(ratios[worst, top]),
                "layer": worst,
                "dimension": top,
                "dimensions": ", ".join(map(str, dims[:_SHOWN])),
                "n_dimensions": len(dims),
                "n_holding": len(at_worst),
                "share": share,
            },
            view={
                "view": "dimensions",
                "model": pool.folder,
                "site": pool.site,
                "layer": str(worst),
            },
        )
    ]


def dead_dimensions(pool: SitePool) -> list[ActivationFinding]:
    """Dimensions that have one value at every content token of a class."""
    enough = [
        (unit, part)
        for unit, part in zip(pool.units, pool.parts, strict=True)
        if int(unit.is_content.sum()) >= ENOUGH_TOKENS
    ]
    if not enough:
        return []
    dead = np.stack([_constant(part.sd[: pool.n_layers]) for _, part in enough])
    if not dead.any():
        return []
    layers = tuple(int(layer) for layer in np.flatnonzero(dead.any(axis=(0, 2))))
    dims = [int(dim) for dim in np.flatnonzero(dead.any(axis=(0, 1)))]
    emotions = [unit.emotion for (unit, _), own in zip(enough, dead, strict=True) if own.any()]
    alike = bool((dead.all(axis=0) == dead.any(axis=0)).all()) and len(enough) == len(pool.units)
    n_dead = int(dead.any(axis=0).any(axis=0).sum())
    number, layer, dim = (int(n) for n in np.argwhere(dead)[0])
    value = float(enough[number][1].mean[layer, dim])
    how = "zero" if value == 0 else f"constant ({numbers.significant(value)})"
    return [
        ActivationFinding(
            kind="dead_dimensions",
            severity="note" if alike else "warning",
            model=pool.folder,
            emotion=emotions[0] if len(emotions) == 1 and len(pool.units) > 1 else None,
            site=pool.site,
            layers=layers,
            sentence=f"{_named(dims)} of the {SITE_WORDS[pool.site]} "
            f"{'is' if n_dead == 1 else 'are'} constant over the content of "
            f"{'every class' if alike else ', '.join(emotions)} at {span(layers)}; dimension "
            f"{dim} is {how} at layer {layer}.",
            meaning="Dead dimensions: coordinates that the model, a pruning or a broken save never "
            "lets vary.",
            matters=not alike,
            phase3="No for directions, from which a constant cancels; standardising must leave "
            "them out, as their spread is zero."
            if alike
            else "Yes: a coordinate that is constant in one class and varies in another separates "
            "them without any emotion.",
            figures={
                "n_dimensions": n_dead,
                "dimensions": ", ".join(map(str, dims[:_SHOWN])),
                "layer": layer,
                "dimension": dim,
                "value": value,
                "emotions": ", ".join(emotions),
                "in_every_class": int(alike),
            },
            view={
                "view": "dimensions",
                "model": pool.folder,
                "site": pool.site,
                "layer": str(layer),
            },
        )
    ]


def dimension_ratios(typical: np.ndarray) -> np.ndarray:
    """Median magnitudes over that of the median dimension, layer by layer; NaN where it is 0."""
    middle = np.median(typical, axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: np.ndarray = np.where(middle > 0, typical / middle, np.nan)
    return found


def _ratios(typical: np.ndarray) -> np.ndarray:
    return dimension_ratios(typical)


def _squares(typical: np.ndarray) -> np.ndarray:
    squares = typical**2
    with np.errstate(divide="ignore", invalid="ignore"):
        found: np.ndarray = squares / squares.sum(axis=-1, keepdims=True)
    return found


def _most(pool: SitePool, of: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The largest over classes; classes with too little content are left out."""
    found = [
        of(part.typical[: pool.n_layers].astype(np.float64))
        for unit, part in zip(pool.units, pool.parts, strict=True)
        if int(unit.is_content.sum()) >= ENOUGH_TOKENS
    ]
    if not found:
        return np.full((pool.n_layers, pool.units[0].d_model), np.nan)
    stacked = np.stack(found)
    most: np.ndarray = np.where(np.isnan(stacked), -np.inf, stacked).max(axis=0)
    return most


def _constant(sd: np.ndarray) -> np.ndarray:
    middle = np.median(sd, axis=1, keepdims=True)
    # A layer that is dead as a whole is a collapsed one, which another check names.
    found: np.ndarray = (sd <= _DEAD * middle) & (sd.max(axis=1, keepdims=True) > 0)
    return found


def _named(dims: list[int]) -> str:
    if len(dims) == 1:
        return f"Dimension {dims[0]}"
    shown = ", ".join(map(str, dims[:_SHOWN]))
    if len(dims) <= _SHOWN:
        return f"Dimensions {', '.join(map(str, dims[:-1]))} and {dims[-1]}"
    return f"{len(dims):,} dimensions ({shown} ...)"
