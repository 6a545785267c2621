"""Measures of activations: norms by token and statistics by dimension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64, Shaped

from emoact.decode import OPTIONAL, encode
from emoact.positions import Span, pool_sample, position_norms, spans_from, vectors
from emoact.sites import SiteName

TOP = 3
"""Largest dimensions that are kept of each token."""

ARRAYS = ("l2", "l1", "n_bad", "top_dims", "top_values", "pooled", "mean", "sd", "typical")
"""Names of the arrays of a site."""

STEPS = ("step", "mlp_share")
"""Names of the arrays of `measure_steps`."""

_BLOCK_TOKENS = 4096
_SAMPLED_TOKENS = 1024
_ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class SiteMeasures:
    """One site of one unit, position by position and dimension by dimension.

    Tokens are those of all prompts, one after the other; `UnitMeasures.offsets` says where each
    prompt begins. Statistics by dimension are over content tokens whose values are all finite.

    Attributes:
        arrays: By the names of the properties; may fetch each from a disk when it is asked for.
        n_layers: Layers that the site has; the residual stream after the last layer has one.
    """

    arrays: Mapping[str, np.ndarray]
    n_layers: int

    @property
    def l2(self) -> Float64[np.ndarray, "layer token"]:
        """L2 norm of each token."""
        return self.arrays["l2"]

    @property
    def l1(self) -> Float64[np.ndarray, "layer token"]:
        """L1 norm of each token."""
        return self.arrays["l1"]

    @property
    def n_bad(self) -> Int32[np.ndarray, "layer token"]:
        """Values of each token that are NaN or infinite."""
        return self.arrays["n_bad"]

    @property
    def top_dims(self) -> Int32[np.ndarray, "layer token top"]:
        """Dimensions with the largest magnitudes of each token, largest first."""
        return self.arrays["top_dims"]

    @property
    def top_values(self) -> Float32[np.ndarray, "layer token top"]:
        """Their values, with sign."""
        return self.arrays["top_values"]

    @property
    def pooled(self) -> Float32[np.ndarray, "layer prompt d_model"]:
        """Mean over the content tokens of each prompt (`mean_content`)."""
        return self.arrays["pooled"]

    @property
    def mean(self) -> Float64[np.ndarray, "layer d_model"]:
        """Mean of each dimension."""
        return self.arrays["mean"]

    @property
    def sd(self) -> Float64[np.ndarray, "layer d_model"]:
        """Standard deviation of each dimension."""
        return self.arrays["sd"]

    @property
    def typical(self) -> Float32[np.ndarray, "layer d_model"]:
        """Median magnitude of each dimension, over at most 1,024 evenly spaced tokens.

        A median, so that a few massive tokens do not count.
        """
        return self.arrays["typical"]


@dataclass(frozen=True, kw_only=True, eq=False)
class UnitFacts:
    """Facts of one (model, emotion), as a summary holds them in its metadata.

    Attributes:
        content_start: First position that belongs to the prompt.
        prompts: One mapping per prompt, or None where the file does not hold them.
        configuration: What must match before two files are compared, None where unknown.
        saved_sites: Every site that the file has, attention patterns included.
        content_spans: Positions of each prompt's text; None where it is all but the BOS.
        response_spans: Positions that the model wrote behind each prompt, or None.
    """

    folder: str
    emotion: str
    model_name: str
    n_layers: int
    d_model: int
    content_start: int
    lengths: tuple[int, ...]
    token_strings: tuple[tuple[str, ...], ...]
    prompts: tuple[Mapping[str, Any], ...] | None
    configuration: Mapping[str, Any] | None
    provenance: Mapping[str, Any] | None
    random_weights: bool
    notes: tuple[str, ...]
    saved_sites: tuple[SiteName, ...]
    content_spans: tuple[Span, ...] | None = field(default=None, metadata=OPTIONAL)
    response_spans: tuple[Span, ...] | None = field(default=None, metadata=OPTIONAL)
    responses: tuple[str, ...] | None = field(default=None, metadata=OPTIONAL)

    @property
    def content(self) -> tuple[Span, ...]:
        """Positions of each prompt's text; the rest is BOS, chat template or response."""
        return self.content_spans or spans_from(self.lengths, self.content_start)

    @property
    def parts(self) -> Shaped[np.ndarray, " token"]:
        """Part of each token: `text`, or what is around it: `bos`, `template`, `response`."""
        parts = np.where(self.is_content, "text", "template").astype(object)
        if "chat" not in (self.configuration or {}):
            parts[parts == "template"] = "bos"
        spans = self.response_spans or ()
        for at, (start, stop) in zip(self.offsets.tolist(), spans, strict=False):
            parts[at + start : at + stop] = "response"
        return parts

    @property
    def content_lengths(self) -> Int64[np.ndarray, " prompt"]:
        """Positions of each prompt's text."""
        return np.array([stop - start for start, stop in self.content], dtype=np.int64)

    @property
    def first_is_text(self) -> bool:
        """True where position 0 is the first word of a prompt, and neither BOS nor template."""
        return any(start == 0 for start, _ in self.content)

    @property
    def n_samples(self) -> int:
        """Prompts."""
        return len(self.lengths)

    @property
    def offsets(self) -> Int64[np.ndarray, " edge"]:
        """First token of each prompt, and the end of the last prompt."""
        return np.concatenate([[0], np.cumsum(self.lengths, dtype=np.int64)]).astype(np.int64)

    @property
    def is_content(self) -> Bool[np.ndarray, " token"]:
        """True for the tokens of a prompt's text."""
        return content_mask(self.lengths, self.content)

    def prompt_id(self, sample: int) -> str:
        """Id of the prompt, or its place in the file."""
        found = self.prompts[sample].get("id") if self.prompts else None
        return str(found) if found not in (None, "") else f"#{sample}"

    def prompt_text(self, sample: int) -> str:
        """The prompt's text; its tokens where the file does not hold it."""
        if self.prompts:
            return str(self.prompts[sample]["text"])
        return "".join(self.token_strings[sample])

    def scenario(self, sample: int) -> str | None:
        """The scenario that the prompt belongs to, where it is known."""
        found = self.prompts[sample].get("scenario_id") if self.prompts else None
        return None if found in (None, "") else str(found)


@dataclass(frozen=True, kw_only=True, eq=False)
class UnitMeasures(UnitFacts):
    """One (model, emotion) without its activations; `steps` need both sites and two layers."""

    sites: Mapping[SiteName, SiteMeasures]
    steps: Mapping[str, np.ndarray]


def differences_of(kept: UnitMeasures, measured: UnitMeasures) -> list[str]:
    """Names of the fields and arrays in which two measurements of one file differ.

    Floats may differ by a millionth of the largest value: processors add in different orders.
    """
    names = [item.name for item in fields(UnitFacts)]
    found = [
        name for name in names if encode(getattr(kept, name)) != encode(getattr(measured, name))
    ]
    if tuple(kept.sites) != tuple(measured.sites) or set(kept.steps) != set(measured.steps):
        return [*found, "sites"]
    pairs = {
        f"{site}.{name}": (kept.sites[site].arrays[name], measured.sites[site].arrays[name])
        for site in kept.sites
        for name in ARRAYS
    } | {f"steps.{name}": (kept.steps[name], measured.steps[name]) for name in kept.steps}
    return found + [name for name, (one, other) in pairs.items() if not _is_close(one, other)]


def _is_close(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    finite = other[np.isfinite(other)]
    allowed = _ROUNDING * float(np.abs(finite).max(initial=0.0))
    return bool(np.allclose(one, other, rtol=_ROUNDING, atol=allowed, equal_nan=True))


def content_mask(lengths: Sequence[int], content: Sequence[Span]) -> Bool[np.ndarray, " token"]:
    """True for the content tokens of prompts of these lengths."""
    if not lengths:
        return np.zeros(0, dtype=bool)
    return np.concatenate(
        [
            (np.arange(length) >= start) & (np.arange(length) < stop)
            for length, (start, stop) in zip(lengths, content, strict=True)
        ]
    )


def measure_site(
    layers: Sequence[Sequence[np.ndarray]], *, lengths: Sequence[int], content: Sequence[Span]
) -> SiteMeasures:
    """Measures of one site, holding one block of one layer at a time."""
    mask = content_mask(lengths, content)
    sampled = _evenly(np.flatnonzero(mask), _SAMPLED_TOKENS)
    measured = [_measure_layer(samples, lengths, mask, sampled, content) for samples in layers]
    return SiteMeasures(
        arrays={name: np.stack([one[name] for one in measured]) for name in ARRAYS},
        n_layers=len(measured),
    )


def measure_steps(
    resid: Sequence[Sequence[np.ndarray]], mlp: Sequence[Sequence[np.ndarray]]
) -> dict[str, np.ndarray]:
    """Norm of the step from each layer to the next, and the MLP's share of it.

    The step Δ = resid[l + 1] - resid[l] is the sum of the outputs of attention and MLP. `step` is
    its L2 norm, and `mlp_share` is (mlp · Δ) / (Δ · Δ): 1 where attention adds nothing along Δ,
    above 1 where it writes in the opposite direction. Both are by token; NaN where Δ is 0.
    """
    steps, shares = [], []
    for layer in range(len(resid) - 1):
        step, share = [], []
        for before, after, part in zip(resid[layer], resid[layer + 1], mlp[layer], strict=True):
            with np.errstate(invalid="ignore"):
                change = after.astype(np.float64) - before
            squares = np.einsum("pd,pd->p", change, change)
            with np.errstate(divide="ignore", invalid="ignore"):
                share.append(np.einsum("pd,pd->p", change, part.astype(np.float64)) / squares)
            step.append(np.sqrt(squares))
        steps.append(np.concatenate(step))
        shares.append(np.concatenate(share))
    return {"step": np.stack(steps), "mlp_share": np.stack(shares)}


def _measure_layer(
    samples: Sequence[np.ndarray],
    lengths: Sequence[int],
    mask: Bool[np.ndarray, " token"],
    sampled: Int64[np.ndarray, " chosen"],
    content: Sequence[Span],
) -> dict[str, np.ndarray]:
    d_model = vectors(samples[0]).shape[1] if len(samples) else 0
    blocks, moments = [], _Moments(d_model)
    chosen = np.empty((len(sampled), d_model), dtype=np.float32)
    pooled = np.empty((len(samples), d_model), dtype=np.float32)
    at = 0
    for start, stop in _blocks(lengths):
        arrays = [vectors(samples[index]) for index in range(start, stop)]
        for index, array in enumerate(arrays, start=start):
            pooled[index] = pool_sample(array, content=content[index])
        rows = np.concatenate(arrays) if arrays else np.empty((0, d_model), dtype=np.float32)
        end = at + len(rows)
        bad = np.count_nonzero(~np.isfinite(rows), axis=1).astype(np.int32)
        top_dims = _largest(rows)
        blocks.append(
            {
                "l2": position_norms(rows, "l2"),
                "l1": position_norms(rows, "l1"),
                "n_bad": bad,
                "top_dims": top_dims,
                "top_values": np.take_along_axis(rows, top_dims, axis=1),
            }
        )
        moments.add(rows[mask[at:end] & (bad == 0)])
        own = (sampled >= at) & (sampled < end)
        chosen[own] = rows[sampled[own] - at]
        at = end
    chosen = np.abs(chosen[np.isfinite(chosen).all(axis=1)])
    typical = _medians(chosen) if len(chosen) else np.full(d_model, np.nan)
    return {
        **{name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]},
        "pooled": pooled,
        **moments.values(),
        "typical": typical.astype(np.float32),
    }


def _blocks(lengths: Sequence[int]) -> list[tuple[int, int]]:
    """Ranges of samples with at most some thousand tokens each; at least one range."""
    edges, tokens = [0], 0
    for index, length in enumerate(lengths):
        if tokens and tokens + length > _BLOCK_TOKENS:
            edges.append(index)
            tokens = 0
        tokens += length
    edges.append(len(lengths))
    return list(pairwise(edges))


def _largest(rows: Float32[np.ndarray, "token d_model"]) -> Int32[np.ndarray, "token top"]:
    """The dimensions with the largest magnitudes, largest first; NaN counts as largest."""
    left = np.abs(rows)
    found = np.empty((len(rows), min(TOP, rows.shape[1])), dtype=np.int32)
    every = np.arange(len(rows))
    # One argmax for each place is several times as fast as one partition.
    for place in range(found.shape[1]):
        found[:, place] = left.argmax(axis=1)
        left[every, found[:, place]] = -1.0
    return found


def _medians(rows: Float32[np.ndarray, "token d_model"]) -> Float32[np.ndarray, " d_model"]:
    """Median of each column; sorting rows is four times as fast as `np.median`."""
    ordered = np.sort(np.ascontiguousarray(rows.T), axis=1)
    middle = len(rows) // 2
    return np.asarray(ordered[:, middle - 1 + len(rows) % 2 : middle + 1].mean(axis=1))


def _evenly(indices: Int64[np.ndarray, " token"], most: int) -> Int64[np.ndarray, " chosen"]:
    if len(indices) <= most:
        return indices
    return indices[np.linspace(0, len(indices) - 1, most).round().astype(np.int64)]


class _Moments:
    """Mean and standard deviation of every dimension, block by block.

    Source: Chan, Golub & LeVeque (1983), the parallel form of the sum of squares.
    """

    def __init__(self, d_model: int) -> None:
        self._count = 0
        self._mean = np.zeros(d_model)
        self._squares = np.zeros(d_model)

    def add(self, rows: Float32[np.ndarray, "token d_model"]) -> None:
        if not len(rows):
            return
        wide = rows.astype(np.float64)
        mean = wide.mean(axis=0)
        wide -= mean
        squares = np.einsum("td,td->d", wide, wide)
        count = self._count + len(rows)
        step = mean - self._mean
        self._mean = self._mean + step * len(rows) / count
        self._squares = self._squares + squares + step**2 * self._count * len(rows) / count
        self._count = count

    def values(self) -> dict[str, np.ndarray]:
        known = self._count > 0
        blank = np.full(len(self._mean), np.nan)
        return {
            "mean": self._mean if known else blank,
            "sd": np.sqrt(self._squares / self._count) if known else blank,
        }
