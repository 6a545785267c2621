"""Layerwise norms of saved activations, without ever holding more than a few positions."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float64

from emoact.errors import RequestError
from emoact.positions import NormKind, position_norms
from emoact.schema import Site

NormPosition = Literal["first", "content"]

NORM_POSITIONS: tuple[NormPosition, ...] = get_args(NormPosition)
NORM_SITES: tuple[Site, ...] = ("resid_pre", "mlp_out")


@runtime_checkable
class UnitLike(Protocol):
    """What norms need of the activations of one (model, emotion)."""

    @property
    def model_name(self) -> str:
        """Hub id."""

    @property
    def emotion(self) -> str:
        """Class label."""

    @property
    def n_layers(self) -> int:
        """Number of layers of the model."""

    @property
    def content_start(self) -> int:
        """First position that belongs to the prompt: 1 after a BOS, 0 where none was prepended."""

    def site(self, site: Site) -> Sequence[Sequence[np.ndarray]]:
        """Arrays `[pos, d_model]` as `[layer][sample]`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NormRow:
    """Norms of one (model, emotion, site, layer) at the first or at the content positions.

    A prompt counts with the mean of its positions' norms (a mean of norms, which is not the norm of
    a mean); `mean`, `median`, `q25` and `q75` are over prompts.

    Attributes:
        position: `first` is position 0, `content` is every position from `content_start`.
        n: Prompts that have such a position.
        n_nonfinite: Prompts whose value is NaN or infinite. They are not left out: the statistics
            that they reach are NaN or infinite too.
    """

    model: str
    emotion: str
    site: Site
    layer: int
    norm: NormKind
    position: NormPosition
    mean: float
    median: float
    q25: float
    q75: float
    n: int
    n_nonfinite: int

    def to_row(self) -> dict[str, Any]:
        """A mapping of plain scalars."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class FirstTokenRow:
    """How much larger position 0 is than the rest, at one layer.

    Attributes:
        ratio: Median over prompts of the norm at position 0 over the median norm of the prompt's
            later content positions; NaN where no prompt has any.
        n: Prompts with at least one later position.
    """

    model: str
    emotion: str
    site: Site
    layer: int
    norm: NormKind
    ratio: float
    n: int

    def to_row(self) -> dict[str, Any]:
        """A mapping of plain scalars."""
        return dataclasses.asdict(self)


def prompt_norms(
    samples: Sequence[np.ndarray],
    content_start: int,
    kind: NormKind = "l2",
    *,
    include_first: bool = False,
) -> Float64[np.ndarray, " prompt"]:
    """Mean norm over the content positions of each prompt of one layer.

    NaN for a prompt that has no such position.

    Args:
        samples: Arrays `[pos, d_model]`, one per prompt.
        content_start: First content position.
        kind: Which norm.
        include_first: Take every position, the BOS too.
    """
    start = 0 if include_first else content_start
    return np.array(
        [_mean_or_nan(position_norms(sample, kind)[start:]) for sample in samples],
        dtype=np.float64,
    )


def token_norms(
    unit: UnitLike, site: Site = "resid_pre", kind: NormKind = "l2"
) -> tuple[Float64[np.ndarray, "layer token"], tuple[int, ...]]:
    """The norm of every token of one site, prompt after prompt, and the lengths of the prompts.

    Raises:
        RequestError: The site holds attention patterns, or the norm is unknown.
    """
    _check_site(site)
    layers = unit.site(site)
    lengths = tuple(len(sample) for sample in layers[0]) if len(layers) else ()
    norms = np.empty((len(layers), sum(lengths)), dtype=np.float64)
    for layer, samples in enumerate(layers):
        at = 0
        for sample in samples:
            norms[layer, at : at + len(sample)] = position_norms(sample, kind)
            at += len(sample)
    return norms, lengths


def prompt_means(
    norms: Float64[np.ndarray, "layer token"], lengths: Sequence[int], start: int
) -> Float64[np.ndarray, "layer prompt"]:
    """Mean over the positions from `start` of each prompt; NaN where it has none."""
    return _by_prompt(norms, lengths, start, np.mean)


def prompt_medians(
    norms: Float64[np.ndarray, "layer token"], lengths: Sequence[int], start: int
) -> Float64[np.ndarray, "layer prompt"]:
    """Median over the positions from `start` of each prompt; NaN where it has none."""
    return _by_prompt(norms, lengths, start, np.median)


def norm_rows(
    norms: Float64[np.ndarray, "layer token"],
    lengths: Sequence[int],
    *,
    content_start: int,
    model: str,
    emotion: str,
    site: Site,
    kind: NormKind,
) -> list[NormRow]:
    """One row per (layer, position), layers in order, `first` before `content`."""
    held = np.asarray(lengths, dtype=np.int64)
    starts = (np.cumsum(held) - held)[held > 0]
    values: dict[NormPosition, np.ndarray] = {
        "first": norms[:, starts],
        "content": prompt_means(norms, lengths, content_start)[:, held > content_start],
    }
    return [
        _row(values[position][layer], model, emotion, site, layer, kind, position)
        for layer in range(len(norms))
        for position in NORM_POSITIONS
    ]


def ratio_rows(
    norms: Float64[np.ndarray, "layer token"],
    lengths: Sequence[int],
    *,
    content_start: int,
    model: str,
    emotion: str,
    site: Site,
    kind: NormKind,
) -> list[FirstTokenRow]:
    """One row per layer: how many times larger position 0 is than the positions after it."""
    ratios = prompt_ratios(norms, lengths, content_start)
    return [
        FirstTokenRow(
            model=model,
            emotion=emotion,
            site=site,
            layer=layer,
            norm=kind,
            ratio=float(np.median(own)) if own.size else math.nan,
            n=own.size,
        )
        for layer, own in enumerate(ratios)
    ]


def prompt_ratios(
    norms: Float64[np.ndarray, "layer token"], lengths: Sequence[int], content_start: int
) -> Float64[np.ndarray, "layer prompt"]:
    """Position 0 over the median of the later content, for each prompt that has any.

    Source: Xiao et al. 2309.17453 (attention sinks), Sun et al. 2402.17762 (massive activations).
    """
    # Without a BOS the first word is content and may be the sink itself.
    start = max(content_start, 1)
    held = np.asarray(lengths, dtype=np.int64)
    chosen = held > start
    first = norms[:, (np.cumsum(held) - held)[chosen]]
    rest = prompt_medians(norms, lengths, start)[:, chosen]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(rest == 0, np.nan, first / rest)


def layer_norms(unit: UnitLike, site: Site = "resid_pre", kind: NormKind = "l2") -> list[NormRow]:
    """One row per (layer, position) of one site, layers in order, `first` before `content`.

    Raises:
        RequestError: The site holds attention patterns, or the norm is unknown.
    """
    return site_norms(unit, site, kind)[0]


def site_norms(
    unit: UnitLike, site: Site = "resid_pre", kind: NormKind = "l2"
) -> tuple[list[NormRow], list[FirstTokenRow]]:
    """The rows of `layer_norms` and of `first_token_ratios`, every norm computed once.

    Raises:
        RequestError: The site holds attention patterns, or the norm is unknown.
    """
    norms, lengths = token_norms(unit, site, kind)
    named: dict[str, Any] = {
        "content_start": unit.content_start,
        "model": unit.model_name,
        "emotion": unit.emotion,
        "site": site,
        "kind": kind,
    }
    return norm_rows(norms, lengths, **named), ratio_rows(norms, lengths, **named)


def norm_table(
    units: Iterable[UnitLike], *, sites: Sequence[Site] = NORM_SITES, kind: NormKind = "l2"
) -> list[NormRow]:
    """The rows of `layer_norms` of every unit and site, in the order given."""
    return [row for unit in units for site in sites for row in layer_norms(unit, site, kind)]


def first_token_ratios(
    unit: UnitLike, site: Site = "resid_pre", kind: NormKind = "l2"
) -> list[FirstTokenRow]:
    """One row per layer: how many times larger position 0 is than the positions after it.

    Source: Xiao et al. 2309.17453 (attention sinks), Sun et al. 2402.17762 (massive activations).
    """
    return site_norms(unit, site, kind)[1]


def _row(
    values: np.ndarray,
    model: str,
    emotion: str,
    site: Site,
    layer: int,
    kind: NormKind,
    position: NormPosition,
) -> NormRow:
    mean = median = q25 = q75 = math.nan
    finite: Bool[np.ndarray, " prompt"] = np.isfinite(values)
    if len(values):
        # Infinities may meet in a difference; the NaN that follows is what the reader should see.
        with np.errstate(invalid="ignore"):
            mean = float(values.mean())
            q25, median, q75 = (float(q) for q in np.quantile(values, [0.25, 0.5, 0.75]))
    return NormRow(
        model=model,
        emotion=emotion,
        site=site,
        layer=layer,
        norm=kind,
        position=position,
        mean=mean,
        median=median,
        q25=q25,
        q75=q75,
        n=len(values),
        n_nonfinite=int(len(values) - finite.sum()),
    )


def _check_site(site: Site) -> None:
    if site == "pattern":
        raise RequestError(
            "attention patterns have no norms by position",
            remedy="Choose resid_pre, mlp_out, resid_post or attn_out.",
        )


def _mean_or_nan(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else math.nan


def _by_prompt(
    norms: np.ndarray, lengths: Sequence[int], start: int, summary: Callable[..., Any]
) -> np.ndarray:
    values = np.full((len(norms), len(lengths)), np.nan)
    at = 0
    for prompt, length in enumerate(lengths):
        if length > start:
            with np.errstate(invalid="ignore"):
                values[:, prompt] = summary(norms[:, at + start : at + length], axis=1)
        at += length
    return values
