"""Norms of saved activations as tidy tables, one function a table."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64

from emoact.measures import Kind, Measure
from emoact.positions import NormKind, Span
from emoact.sites import SiteName
from emoact.store.summaries.measures import SiteMeasures, UnitMeasures

_KEPT = 1024
"""Tables of two sites of 512 files. A page needs the same ones at every interaction; callers must
not change them."""


def token_norms(
    unit: UnitMeasures, site: SiteName, kind: NormKind = "l2"
) -> Float64[np.ndarray, "layer token"]:
    """Norm of every token of one site, prompt after prompt."""
    one = unit.sites[site]
    if kind == "l1":
        return one.l1
    return one.l2 / math.sqrt(unit.d_model) if kind == "rms" and unit.d_model else one.l2


def prompt_means(
    norms: Float64[np.ndarray, "layer token"], lengths: Sequence[int], content: Sequence[Span]
) -> Float64[np.ndarray, "layer prompt"]:
    """Mean over the positions of the text of each prompt; NaN where it has none."""
    return _by_prompt(norms, lengths, content, np.mean)


def prompt_medians(
    norms: Float64[np.ndarray, "layer token"], lengths: Sequence[int], content: Sequence[Span]
) -> Float64[np.ndarray, "layer prompt"]:
    """Median over the positions of the text of each prompt; NaN where it has none."""
    return _by_prompt(norms, lengths, content, np.median)


def prompt_ratios(
    norms: Float64[np.ndarray, "layer token"], lengths: Sequence[int], content: Sequence[Span]
) -> Float64[np.ndarray, "layer prompt"]:
    """Position 0 over the median of the later content, for each prompt that has any.

    Source: Xiao et al. 2309.17453 (attention sinks), Sun et al. 2402.17762 (massive activations).
    """
    # Without a BOS the first word is content and may be the sink itself.
    later = [(max(start, 1), stop) for start, stop in content]
    held = np.asarray(lengths, dtype=np.int64)
    chosen = np.array([stop > start for start, stop in later], dtype=bool)
    first = norms[:, (np.cumsum(held) - held)[chosen]]
    rest = prompt_medians(norms, lengths, later)[:, chosen]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(rest == 0, np.nan, first / rest)


def dimension_ratios(typical: np.ndarray) -> np.ndarray:
    """Median magnitudes over that of the median dimension, layer by layer; NaN where it is 0."""
    middle = np.median(typical, axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: np.ndarray = np.where(middle > 0, typical / middle, np.nan)
    return found


@functools.lru_cache(maxsize=_KEPT)
def layer_table(unit: UnitMeasures, site: SiteName, kind: NormKind = "l2") -> pd.DataFrame:
    """Statistics over prompts by layer, of position 0 (`first`) and of the content.

    A prompt counts with the mean of its positions' norms (a mean of norms, which is not the norm of
    a mean). `n` is the number of prompts that have such a position; `n_nonfinite` of them have a
    NaN or infinite value and are not left out, so that the statistics are NaN or infinite too.
    """
    norms, held = token_norms(unit, site, kind), np.asarray(unit.lengths, dtype=np.int64)
    means = prompt_means(norms, unit.lengths, unit.content)
    by_position = {
        "first": norms[:, unit.offsets[:-1][held > 0]],
        "content": means[:, unit.content_lengths > 0],
    }
    found = [
        _table(
            unit,
            site=site,
            layer=np.arange(len(norms)),
            norm=kind,
            position=position,
            mean=np.ascontiguousarray(values).mean(axis=1) if values.shape[1] else math.nan,
            **_quartile_columns(_quartiles(values)),
            n=values.shape[1],
            n_nonfinite=values.shape[1] - np.isfinite(values).sum(axis=1),
        )
        for position, values in by_position.items()
    ]
    return pd.concat(found).sort_values("layer", kind="stable", ignore_index=True)


@functools.lru_cache(maxsize=_KEPT)
def sink_table(unit: UnitMeasures, site: SiteName, kind: NormKind = "l2") -> pd.DataFrame:
    """By layer: the median over prompts of position 0 over the later content (`prompt_ratios`)."""
    ratios = prompt_ratios(token_norms(unit, site, kind), unit.lengths, unit.content)
    return _table(
        unit,
        site=site,
        layer=np.arange(len(ratios)),
        norm=kind,
        ratio=np.median(ratios, axis=1) if ratios.shape[1] else math.nan,
        n=ratios.shape[1],
    )


def position_table(unit: UnitMeasures, site: SiteName, kind: NormKind = "l2") -> pd.DataFrame:
    """Statistics over prompts by layer and position."""
    norms = token_norms(unit, site, kind)
    lengths, starts = np.asarray(unit.lengths, dtype=np.int64), unit.offsets[:-1]
    n_layers, n_positions = len(norms), int(lengths.max(initial=0))
    counts = np.array([np.count_nonzero(lengths > position) for position in range(n_positions)])
    values = np.empty((3, n_layers, n_positions))
    for position in range(n_positions):
        values[..., position] = _quartiles(norms[:, starts[lengths > position] + position])
    return _table(
        unit,
        site=site,
        layer=np.repeat(np.arange(n_layers), n_positions),
        norm=kind,
        position=np.tile(np.arange(n_positions), n_layers),
        **_quartile_columns(values.reshape(3, -1)),
        n=np.tile(counts, n_layers),
    )


def prompt_table(
    unit: UnitMeasures, site: SiteName, kind: NormKind = "l2", layer: int | None = None
) -> pd.DataFrame:
    """Mean norm over the content of each prompt, at one layer or at all."""
    norms = token_norms(unit, site, kind)
    layers = _layers(norms, layer)
    means = prompt_means(norms[layers], unit.lengths, unit.content)
    return _table(
        unit,
        site=site,
        layer=np.repeat(layers, unit.n_samples),
        norm=kind,
        prompt=_ids(unit) * len(layers),
        mean=means.ravel(),
        tokens=np.tile(unit.content_lengths, len(layers)),
    )


def length_table(unit: UnitMeasures) -> pd.DataFrame:
    """Content tokens of each prompt, which are the same at every site and layer."""
    return _table(unit, prompt=_ids(unit), tokens=unit.content_lengths)


def token_table(
    unit: UnitMeasures,
    site: SiteName,
    kind: NormKind = "l2",
    *,
    prompt: str | None = None,
    layer: int | None = None,
    content: bool = False,
) -> pd.DataFrame:
    """Norm of each token with its largest dimensions, of one prompt or layer or of all.

    With a chat format or a response, `part` says what a token is of.
    """
    norms, one, edges = token_norms(unit, site, kind), unit.sites[site], unit.offsets
    ids = _ids(unit)
    samples = [n for n in range(unit.n_samples) if prompt in (None, ids[n])]
    layers = _layers(norms, layer)
    places = [(n, at) for n in samples for at in range(unit.lengths[n])]
    if content:
        own = unit.is_content
        places = [(n, at) for n, at in places if own[edges[n] + at]]
    tokens = np.array([edges[n] + at for n, at in places], dtype=np.int64)
    at = np.ix_(np.array(layers), tokens)
    dims, values = one.top_dims[at], one.top_values[at]
    return _table(
        unit,
        site=site,
        layer=np.repeat(layers, len(tokens)),
        norm=kind,
        prompt=[ids[n] for n, _ in places] * len(layers),
        position=np.tile(np.array([at for _, at in places], dtype=np.int64), len(layers)),
        token=[unit.token_strings[n][at] for n, at in places] * len(layers),
        **({"part": unit.parts[tokens].tolist() * len(layers)} if unit.content_spans else {}),
        value=norms[at].ravel(),
        **{
            f"top{rank + 1}": [
                f"{dim}: {value:.4g}"
                for dim, value in zip(
                    dims[..., rank].ravel().tolist(), values[..., rank].ravel(), strict=True
                )
            ]
            for rank in range(dims.shape[-1])
        },
    )


def growth_table(unit: UnitMeasures) -> pd.DataFrame:
    """Growth of the residual stream to the next layer, and the MLP's share of the step.

    The growth factor of a prompt is the mean norm of its content at layer l + 1 over that at layer
    l; the share is the median over its content tokens of (mlp · Δ) / (Δ · Δ). Statistics are over
    prompts. Empty where the unit lacks a site.
    """
    if not len(unit.steps):
        return pd.DataFrame()
    sizes = prompt_means(unit.sites["resid_pre"].l2, unit.lengths, unit.content)
    shares = prompt_medians(unit.steps["mlp_share"], unit.lengths, unit.content)
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = sizes[1:] / sizes[:-1]
    return _table(
        unit,
        layer=np.arange(len(growth)),
        **_quartile_columns(finite_quartiles(growth), "growth_"),
        **_quartile_columns(finite_quartiles(shares), "mlp_share_"),
        n=np.isfinite(growth).sum(axis=1),
    )


def dimension_table(unit: UnitMeasures, site: SiteName, layer: int | None = None) -> pd.DataFrame:
    """By dimension: median magnitude, its ratio to the median dimension's, mean and spread."""
    one = unit.sites[site]
    layers = _layers(one.typical, layer)
    typical = one.typical[layers].astype(np.float64)
    return _table(
        unit,
        site=site,
        layer=np.repeat(layers, typical.shape[1]),
        dimension=np.tile(np.arange(typical.shape[1]), len(layers)),
        typical=typical.ravel(),
        ratio=dimension_ratios(typical).ravel(),
        mean=one.mean[layers].ravel(),
        sd=one.sd[layers].ravel(),
    )


def joined(units: Sequence[UnitMeasures], emotion: str) -> UnitMeasures:
    """One unit with prompts and norms by token of all, at sites and layers that all have."""
    n_layers = {
        site: min(unit.sites[site].n_layers for unit in units)
        for site in units[0].sites
        if all(site in unit.sites for unit in units)
    }
    return dataclasses.replace(
        units[0],
        emotion=emotion,
        lengths=tuple(length for unit in units for length in unit.lengths),
        token_strings=tuple(texts for unit in units for texts in unit.token_strings),
        content_spans=tuple(span for unit in units for span in unit.content),
        prompts=None,
        sites={
            site: SiteMeasures(
                arrays={
                    name: np.concatenate(
                        [unit.sites[site].arrays[name][:held] for unit in units], axis=1
                    )
                    for name in ("l2", "l1", "n_bad")
                },
                n_layers=held,
            )
            for site, held in n_layers.items()
        },
        steps={},
    )


def _table(unit: UnitMeasures, **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"model": unit.folder, "emotion": unit.emotion, **columns})


def _layers(values: np.ndarray, layer: int | None) -> list[int]:
    return list(range(len(values))) if layer is None else [layer]


def _ids(unit: UnitMeasures) -> list[str]:
    return [unit.prompt_id(prompt) for prompt in range(unit.n_samples)]


def _quartiles(values: Float64[np.ndarray, "layer prompt"]) -> Float64[np.ndarray, "3 layer"]:
    """Quartiles of each layer; a NaN in a layer makes all three NaN."""
    if not values.shape[1]:
        return np.full((3, len(values)), np.nan)
    # Infinities may meet in a difference; the NaN that follows is the result.
    with np.errstate(invalid="ignore"):
        quartiles: np.ndarray = np.quantile(values, [0.25, 0.5, 0.75], axis=1)
    return quartiles


def finite_quartiles(values: Float64[np.ndarray, "layer prompt"]) -> np.ndarray:
    """Quartiles over the finite values of each layer."""
    return np.hstack([_quartiles(row[np.isfinite(row)][None]) for row in values])


def _quartile_columns(values: Float64[np.ndarray, "3 row"], prefix: str = "") -> dict[str, Any]:
    low, middle, high = values
    return {f"{prefix}median": middle, f"{prefix}q25": low, f"{prefix}q75": high}


def _by_prompt(
    norms: np.ndarray,
    lengths: Sequence[int],
    content: Sequence[Span],
    summary: Callable[..., Any],
) -> np.ndarray:
    values = np.full((len(norms), len(lengths)), np.nan)
    at = 0
    for prompt, (length, (start, stop)) in enumerate(zip(lengths, content, strict=True)):
        if stop > start:
            with np.errstate(invalid="ignore"):
                values[:, prompt] = summary(norms[:, at + start : at + stop], axis=1)
        at += length
    return values


_UNIT = "model units"
_GROWTH = "mean norm at l + 1 / mean norm at l"
_SHARE = "(mlp · Δ) / (Δ · Δ)"
_ROWS: tuple[tuple[str, Kind, str, str, str], ...] = (
    ("layer.mean", "float", _UNIT, "Mean over prompts of the mean norm of their positions", ""),
    ("layer.median", "float", _UNIT, "Median over prompts", ""),
    ("layer.q25", "float", _UNIT, "First quartile over prompts", ""),
    ("layer.q75", "float", _UNIT, "Third quartile over prompts", ""),
    ("layer.n", "int", "", "Prompts that have such a position", ""),
    ("layer.n_nonfinite", "int", "", "Prompts with a NaN or infinite value; none is left out", ""),
    ("position.median", "float", _UNIT, "Median over prompts", ""),
    ("position.q25", "float", _UNIT, "First quartile over prompts", ""),
    ("position.q75", "float", _UNIT, "Third quartile over prompts", ""),
    ("position.n", "int", "", "Prompts that have the position", ""),
    ("prompt.mean", "float", _UNIT, "Mean norm over the content positions of the prompt", ""),
    ("prompt.tokens", "int", "", "Content tokens", ""),
    ("token.token", "str", "", "The token as text", ""),
    (
        "token.part",
        "str",
        "",
        "With a chat format or responses: text, bos, template or response",
        "",
    ),
    ("token.value", "float", _UNIT, "Norm of the token", ""),
    ("token.top1", "str", "", "Largest dimension, as dimension: value", ""),
    ("token.top2", "str", "", "Second largest dimension, as dimension: value", ""),
    ("token.top3", "str", "", "Third largest dimension, as dimension: value", ""),
    ("length.tokens", "int", "", "Content tokens", ""),
    ("growth.growth_median", "float", "", "Median growth factor over prompts", _GROWTH),
    ("growth.growth_q25", "float", "", "First quartile of the growth factor", ""),
    ("growth.growth_q75", "float", "", "Third quartile of the growth factor", ""),
    ("growth.mlp_share_median", "float", "", "Median share of the MLP over prompts", _SHARE),
    ("growth.mlp_share_q25", "float", "", "First quartile of the share of the MLP", ""),
    ("growth.mlp_share_q75", "float", "", "Third quartile of the share of the MLP", ""),
    ("growth.n", "int", "", "Prompts with a finite growth factor", ""),
    ("dimension.typical", "float", _UNIT, "Median magnitude over at most 1,024 content tokens", ""),
    ("dimension.ratio", "float", "", "typical over that of the median dimension", ""),
    ("dimension.mean", "float", _UNIT, "Mean over content tokens", ""),
    ("dimension.sd", "float", _UNIT, "Standard deviation over content tokens", ""),
)
MEASURES = tuple(
    Measure(
        table=f"norms_{column.partition('.')[0]}",
        name=column.partition(".")[2],
        kind=kind,
        unit=unit,
        definition=definition,
        formula=formula,
    )
    for column, kind, unit, definition, formula in _ROWS
)
"""Columns of the tables above; `emoact.stats.catalogue` gathers them."""
