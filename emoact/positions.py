"""Positions of a prompt as numbers (norms) and as one vector (pooling)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Float32, Float64, Int64

from emoact.errors import RequestError

Pooling = Literal[
    "mean_content", "mean_typical", "last", "mean_all", "last_template", "mean_response"
]

NormKind = Literal["l2", "l1", "rms"]

NORM_KINDS: tuple[NormKind, ...] = get_args(NormKind)
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)

Span = tuple[int, int]
"""First position of the text in a prompt, and the first one after it.

The rest is BOS or chat template."""

_BLOCK_POSITIONS = 512

MASSIVE = 5.0
"""From five times the median a token counts as massive: in a mean over positions it outweighs five
ordinary ones, in a square twenty-five. In the residual stream of SmolLM2-135M on the shipped
prompts 97 % or more of the other tokens of each layer lie within a factor of two of its median; of
its MLP outputs it is 92 % or more. Independent Gaussian values of four dimensions reach five times
their median norm with probability 3e-17. Sun et al. ask for more, a single value above 100 and
1,000 times the median magnitude: the largest value of these tokens in that stream is 340 to 1,240
times the median magnitude of their layer, and from 1,000 times only at layers 12 to 16."""


def spans_from(lengths: Sequence[int], content_start: int) -> tuple[Span, ...]:
    """Spans of prompts of these lengths whose text goes from `content_start` to the end."""
    return tuple((min(content_start, length), length) for length in lengths)


def vectors(sample: Float[np.ndarray, "pos *width"]) -> Float[np.ndarray, "pos d"]:
    """One vector for each position; the heads of a position are laid end to end."""
    return sample if sample.ndim == 2 else sample.reshape(len(sample), math.prod(sample.shape[1:]))


def pool_sample(
    sample: Float[np.ndarray, "pos *width"],
    *,
    pooling: Pooling = "mean_content",
    content: Span | None = None,
    response: Span | None = None,
) -> Float32[np.ndarray, " d"]:
    """The pooled vector of one prompt at one layer, summed in float64.

    `mean_content` averages the positions of the text, `last` takes the last one of them,
    `last_template` takes the last position before the response, `mean_response` averages the
    response, and `mean_all` averages every position, the BOS too (diagnostic only: a first-token
    sink drowns the rest). NaN where there is no such position. `mean_typical` needs all layers of
    all prompts, see `pool_layers`.

    Args:
        sample: Activations of every position.
        pooling: How positions become one vector.
        content: Positions of the text; all but the first by default.
        response: Positions that the model wrote; none by default.

    Raises:
        RequestError: Another pooling is asked for.
    """
    sample = vectors(sample)
    if pooling == "mean_typical":
        raise RequestError(
            "pooling is mean_typical, which leaves out positions that are massive at any layer; "
            "one prompt at one layer cannot tell them",
            remedy="Take --pooling mean_content.",
        )
    start, stop = content or (1, len(sample))
    end = response[0] if response else len(sample)
    spans: Mapping[str, Span] = {
        "mean_content": (start, stop),
        "last": (max(start, stop - 1), stop),
        "mean_all": (0, len(sample)),
        "last_template": (max(0, end - 1), end),
        "mean_response": response or (0, 0),
    }
    if pooling not in spans:
        raise RequestError(f"pooling is {pooling!r}; allowed are {', '.join(POOLINGS)}")
    chosen = sample[slice(*spans[pooling])]
    if not len(chosen):
        return np.full(sample.shape[1], math.nan, dtype=np.float32)
    # Infinities of both signs may meet; the NaN that follows is what the reader should see.
    with np.errstate(invalid="ignore"):
        return np.asarray(chosen.mean(axis=0, dtype=np.float64), dtype=np.float32)


def pool_layers(
    layers: Sequence[Sequence[np.ndarray]],
    *,
    pooling: Pooling = "mean_content",
    content: Sequence[Span] | None = None,
    responses: Sequence[Span] | None = None,
    empty: Callable[[tuple[int, ...]], np.ndarray] | None = None,
) -> Float32[np.ndarray, "prompt layer d"]:
    """The pooled vectors of every prompt at every layer of one site of one unit.

    `mean_typical` averages the positions of `typical_positions`.

    Args:
        layers: Arrays `[pos, d_model]` or `[pos, head, d_head]` as `[layer][sample]`.
        pooling: How positions become one vector.
        content: Positions of the text of each prompt; all but the first by default.
        responses: Positions that the model wrote behind each prompt; none by default.
        empty: Makes the array that is filled, where it is not to be in memory.

    Raises:
        RequestError: There is no layer or no sample, or the pooling is unknown.
    """
    if not len(layers) or not len(layers[0]):
        raise RequestError("there is no sample to pool")
    shape = (len(layers[0]), len(layers), vectors(layers[0][0]).shape[1])
    pooled = np.empty(shape, dtype=np.float32) if empty is None else empty(shape)
    kept: Sequence[Any] = [slice(None)] * len(layers[0])
    if pooling == "mean_typical":
        kept, pooling = typical_positions(layers, content=content), "mean_all"
    for layer, samples in enumerate(layers):
        for prompt, sample in enumerate(samples):
            pooled[prompt, layer] = pool_sample(
                sample[kept[prompt]],
                pooling=pooling,
                content=None if content is None else content[prompt],
                response=None if responses is None else responses[prompt],
            )
    return pooled


def typical_positions(
    layers: Sequence[Sequence[np.ndarray]], *, content: Sequence[Span] | None = None
) -> list[Int64[np.ndarray, " kept"]]:
    """Positions of the text of each prompt that are massive at no layer.

    Massive is a norm of at least `MASSIVE` times the median over the text of all these prompts at
    the layer. A norm that is not finite is kept, so that it is found and not left out silently.

    Source: Sun et al. 2402.17762 (massive activations).
    """
    spans = content or [(1, len(sample)) for sample in layers[0]]
    massive = [np.zeros(max(stop - start, 0), dtype=bool) for start, stop in spans]
    for samples in layers:
        norms = [
            position_norms(sample[slice(*span)])
            for sample, span in zip(samples, spans, strict=True)
        ]
        every = np.concatenate(norms)
        known = every[np.isfinite(every)]
        limit = MASSIVE * np.median(known) if len(known) else math.inf
        for found, own in zip(massive, norms, strict=True):
            found |= (own >= limit) & (own > 0) & np.isfinite(own)
    return [start + np.flatnonzero(~own) for (start, _), own in zip(spans, massive, strict=True)]


def position_norms(
    sample: Float[np.ndarray, "pos *width"], kind: NormKind = "l2"
) -> Float64[np.ndarray, " pos"]:
    """Norm of each position, accumulated in float64, in the model's own units.

    `l2` is sqrt(sum of squares), `l1` the sum of absolute values, `rms` is `l2` / sqrt(d),
    with d the numbers of a position.
    A NaN or an infinity makes the norm of its position NaN or infinite, and of no other.

    Raises:
        RequestError: Another kind is asked for.
    """
    if kind not in NORM_KINDS:
        raise RequestError(f"norm is {kind!r}; allowed are {', '.join(NORM_KINDS)}")
    sample = vectors(sample)
    n_positions, width = sample.shape
    norms = np.empty(n_positions, dtype=np.float64)
    for start in range(0, n_positions, _BLOCK_POSITIONS):
        block = sample[start : start + _BLOCK_POSITIONS].astype(np.float64)
        stop = start + len(block)
        if kind == "l1":
            norms[start:stop] = np.abs(block).sum(axis=1)
        else:
            norms[start:stop] = np.sqrt(np.einsum("pd,pd->p", block, block))
    return norms / math.sqrt(width) if kind == "rms" and width else norms
