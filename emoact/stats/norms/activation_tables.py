"""Tidy tables of what pages draw of one unit, so that a shell and a page say the same."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float64

from emoact.positions import NormKind
from emoact.schema import Site
from emoact.stats.findings.dimensions import dimension_ratios
from emoact.stats.norms.norms import norm_rows, prompt_means, prompt_medians
from emoact.store.summaries.measures import UnitMeasures

TableKind = Literal["layer", "position", "prompt", "token", "length", "growth", "dimension"]

TABLE_KINDS: tuple[TableKind, ...] = get_args(TableKind)


def site_norms_of(
    unit: UnitMeasures, site: Site, kind: NormKind
) -> Float64[np.ndarray, "layer token"]:
    """The norm of every token of one site."""
    one = unit.sites[site]
    if kind == "l1":
        return one.l1
    return one.l2 / math.sqrt(unit.d_model) if kind == "rms" and unit.d_model else one.l2


def layer_rows(unit: UnitMeasures, site: Site, kind: NormKind) -> list[dict[str, Any]]:
    """Statistics over prompts by layer, of position 0 and of the content."""
    rows = norm_rows(
        site_norms_of(unit, site, kind),
        unit.lengths,
        content_start=unit.content_start,
        model=unit.folder,
        emotion=unit.emotion,
        site=site,
        kind=kind,
    )
    return [row.to_row() for row in rows]


def position_rows(unit: UnitMeasures, site: Site, kind: NormKind) -> list[dict[str, Any]]:
    """Statistics over prompts by layer and position."""
    norms = site_norms_of(unit, site, kind)
    lengths, starts = np.asarray(unit.lengths), unit.offsets[:-1]
    rows = []
    for position in range(int(lengths.max(initial=0))):
        values = norms[:, starts[lengths > position] + position]
        with np.errstate(invalid="ignore"):
            low, middle, high = np.quantile(values, [0.25, 0.5, 0.75], axis=1)
        rows += [
            {
                **_named(unit, site, layer, kind),
                "position": position,
                "median": float(middle[layer]),
                "q25": float(low[layer]),
                "q75": float(high[layer]),
                "n": values.shape[1],
            }
            for layer in range(len(norms))
        ]
    return sorted(rows, key=lambda row: (row["layer"], row["position"]))


def prompt_rows(
    unit: UnitMeasures, site: Site, kind: NormKind, layer: int | None = None
) -> list[dict[str, Any]]:
    """The mean norm over the content of each prompt, at one layer or at all."""
    means = prompt_means(site_norms_of(unit, site, kind), unit.lengths, unit.content_start)
    return [
        {
            **_named(unit, site, at, kind),
            "prompt": unit.prompt_id(prompt),
            "mean": float(means[at, prompt]),
            "tokens": max(unit.lengths[prompt] - unit.content_start, 0),
        }
        for at in (range(len(means)) if layer is None else [layer])
        for prompt in range(unit.n_samples)
    ]


def length_rows(unit: UnitMeasures) -> list[dict[str, Any]]:
    """The content tokens of each prompt, which are the same at every site and layer."""
    return [
        {
            "model": unit.folder,
            "emotion": unit.emotion,
            "prompt": unit.prompt_id(prompt),
            "tokens": max(length - unit.content_start, 0),
        }
        for prompt, length in enumerate(unit.lengths)
    ]


def token_rows(
    unit: UnitMeasures,
    site: Site,
    kind: NormKind,
    *,
    sample: int | None = None,
    layer: int | None = None,
) -> Iterator[dict[str, Any]]:
    """The norm of each token with its largest dimensions, of one prompt or layer or of all."""
    norms, offsets = site_norms_of(unit, site, kind), unit.offsets
    dims, values = unit.sites[site].top_dims, unit.sites[site].top_values
    for at in range(len(norms)) if layer is None else [layer]:
        for prompt in range(unit.n_samples) if sample is None else [sample]:
            for position, string in enumerate(unit.token_strings[prompt]):
                token = offsets[prompt] + position
                yield {
                    **_named(unit, site, at, kind),
                    "prompt": unit.prompt_id(prompt),
                    "position": position,
                    "token": string,
                    "value": float(norms[at, token]),
                    **{
                        f"top{rank}": f"{dim}: {value:.4g}"
                        for rank, (dim, value) in enumerate(
                            zip(dims[at, token], values[at, token], strict=True), start=1
                        )
                    },
                }


def growth_rows(unit: UnitMeasures) -> list[dict[str, Any]]:
    """By layer: how many times the stream grows to the next one, and the MLP's share of the step.

    The growth factor of a prompt is the mean norm of its content at layer l + 1 over that at layer
    l; the share is the median over its content tokens of (mlp · Δ) / (Δ · Δ). Empty where the unit
    lacks a site. Statistics are over prompts.
    """
    if not len(unit.steps):
        return []
    sizes = prompt_means(unit.sites["resid_pre"].l2, unit.lengths, unit.content_start)
    parts = prompt_medians(unit.steps["mlp_share"], unit.lengths, unit.content_start)
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = sizes[1:] / sizes[:-1]
    return [
        {
            "model": unit.folder,
            "emotion": unit.emotion,
            "layer": layer,
            **_quartiles("growth", growth[layer]),
            **_quartiles("mlp_share", parts[layer]),
            "n": int(np.isfinite(growth[layer]).sum()),
        }
        for layer in range(len(growth))
    ]


def dimension_rows(
    unit: UnitMeasures, site: Site, layer: int | None = None
) -> list[dict[str, Any]]:
    """By dimension: median magnitude, its ratio to the median dimension's, mean and spread."""
    one = unit.sites[site]
    typical = one.typical.astype(np.float64)
    ratios, mean, sd = dimension_ratios(typical), one.mean, one.sd
    return [
        {
            "model": unit.folder,
            "emotion": unit.emotion,
            "site": site,
            "layer": at,
            "dimension": dim,
            "typical": float(typical[at, dim]),
            "ratio": float(ratios[at, dim]),
            "mean": float(mean[at, dim]),
            "sd": float(sd[at, dim]),
        }
        for at in (range(one.n_layers) if layer is None else [layer])
        for dim in range(typical.shape[1])
    ]


def _named(unit: UnitMeasures, site: Site, layer: int, kind: NormKind) -> dict[str, Any]:
    return {
        "model": unit.folder,
        "emotion": unit.emotion,
        "site": site,
        "layer": layer,
        "norm": kind,
    }


def _quartiles(name: str, values: np.ndarray) -> dict[str, float]:
    finite = values[np.isfinite(values)]
    low, middle, high = np.quantile(finite, [0.25, 0.5, 0.75]) if len(finite) else [math.nan] * 3
    return {f"{name}_median": float(middle), f"{name}_q25": float(low), f"{name}_q75": float(high)}
