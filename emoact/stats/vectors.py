"""Prompts' vectors about their mean, one layer and a few dimensions at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Float64

from emoact.stats.room import set_down

BLOCK_NUMBERS = 1 << 20
"""Numbers of one layer that are held in double precision at once."""

_FEWEST_DIMENSIONS = 8
"""Of very many prompts at once, because each block reads all relabellings again."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Centred:
    """Vectors about the mean of all prompts, made of features when asked for.

    Attributes:
        offset: What is subtracted: the first prompt's vector, and then the mean of what is left.
        scale: What each dimension is multiplied with.
    """

    features: Float[np.ndarray, "prompt layer d_model"]
    offset: Float64[np.ndarray, "_ layer d_model"]
    scale: Float64[np.ndarray, "layer d_model"] | None = None
    dtype: ClassVar[np.dtype[Any]] = np.dtype(np.float64)

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return self.features.shape

    def __mul__(self, scale: Float64[np.ndarray, "layer d_model"]) -> Centred:
        """The same with each dimension multiplied."""
        return replace(self, scale=scale)

    def __getitem__(self, at: Any) -> Float64[np.ndarray, "row dimension"]:
        """Rows and dimensions of one layer, as of an array."""
        rows, layer, own = at
        values: Float64[np.ndarray, "row dimension"] = self.features[rows, layer, own].astype(
            np.float64
        )
        set_down(self.features)
        for offset in self.offset:
            values -= offset[layer, own]
        if self.scale is not None:
            values *= self.scale[layer, own]
        return values


Vectors = Float64[np.ndarray, "prompt layer d_model"] | Float64[Centred, "prompt layer d_model"]
"""Vectors about the mean of all prompts, at each layer."""


def blocks(
    vectors: Vectors | Float[np.ndarray, "prompt layer d_model"],
    layer: int,
    rows: Any = slice(None),
) -> Iterator[tuple[slice, Float64[np.ndarray, "row dimension"]]]:
    """The prompts' vectors at a layer, a few dimensions at a time, and which these are.

    All at once where there are at most as many prompts as dimensions, or few of both.
    """
    n_prompts, _, d_model = vectors.shape
    most = max(_FEWEST_DIMENSIONS, BLOCK_NUMBERS // n_prompts)
    size = d_model if n_prompts <= d_model else most
    for start in range(0, d_model, size):
        own = slice(start, start + size)
        part = vectors[rows, layer, own].astype(np.float64, copy=False)
        if isinstance(vectors, np.ndarray):
            set_down(vectors)
        yield own, part


def largest_square(vectors: Vectors, layer: int, rows: Any = slice(None)) -> float:
    """Largest squared norm of a prompt's vector at a layer."""
    return float(np.max(squares_of(vectors, layer, rows), initial=0.0))


def squares_of(
    vectors: Vectors, layer: int, rows: Any = slice(None)
) -> Float64[np.ndarray, " row"]:
    """Squared norm of each prompt's vector at a layer."""
    squares = (np.einsum("pd,pd->p", own, own) for _, own in blocks(vectors, layer, rows))
    return np.asarray(sum(squares))


def centre(features: Float[np.ndarray, "prompt *rest"]) -> Float64[np.ndarray, "prompt *rest"]:
    """The vectors about their mean, in float64; exactly zero where all prompts agree.

    The weights of a direction add to zero, so that centring changes no direction and keeps a large
    common offset out of the rounding.
    """
    offset = features.astype(np.float64)
    offset -= offset[:1].copy()
    offset -= offset.mean(axis=0)
    return np.asarray(offset)


def centred(features: Float[np.ndarray, "prompt layer d_model"]) -> Centred:
    """The same of each layer when asked for, a few dimensions at a time."""
    offset = np.zeros((2, *features.shape[1:]))
    offset[0] = features[0]
    found = Centred(features=features, offset=offset)
    for layer in range(features.shape[1]):
        for at, own in blocks(found, layer):
            offset[1, layer, at] = own.mean(axis=0)
    return found


def about_mean(
    features: Float[np.ndarray, "prompt d_model"],
) -> Iterator[tuple[slice, Float64[np.ndarray, "row d_model"]]]:
    """Vectors about the mean of all prompts, a few prompts at a time, and which these are."""
    exact = centred(features[:, None])
    size = max(1, BLOCK_NUMBERS // features.shape[1])
    for start in range(0, len(features), size):
        rows = slice(start, start + size)
        yield rows, exact[rows, 0, :]


def deviation(vectors: Vectors) -> Float64[np.ndarray, "layer d_model"]:
    """Standard deviation of each dimension over all prompts."""
    layers = range(vectors.shape[1])
    return np.stack(
        [np.concatenate([own.std(axis=0) for _, own in blocks(vectors, each)]) for each in layers]
    )


def inverse_sd(sd: Float64[np.ndarray, "*rest d_model"]) -> Float64[np.ndarray, "*rest d_model"]:
    """1 / sd, and 0 for dimensions that never change."""
    largest = sd.max(axis=-1, keepdims=True, initial=0.0)
    alive = sd > 1e-12 * np.maximum(largest, np.finfo(np.float64).tiny)
    return np.asarray(np.divide(1.0, sd, out=np.zeros_like(sd), where=alive))


def ratio(
    over: Float[np.ndarray, "*rest"], under: Float[np.ndarray, "*broadcast"]
) -> Float64[np.ndarray, "*rest"]:
    """One over the other, NaN where the other is not positive."""
    under = np.broadcast_to(under, over.shape)
    found = np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 0)
    return np.asarray(found)


def divide_by_sd(
    centred: Float64[np.ndarray, "prompt *rest"],
) -> Float64[np.ndarray, "prompt *rest"]:
    """Each dimension over its standard deviation over all prompts; zero where it never changes."""
    return np.asarray(centred * inverse_sd(centred.std(axis=0)))


def held(vectors: Centred) -> Vectors:
    """The same as an array where that is small, so that it is made once and not by each figure."""
    n_prompts, n_layers, d_model = vectors.shape
    if n_prompts * n_layers * d_model > BLOCK_NUMBERS:
        return vectors
    return np.stack([vectors[:, layer, :] for layer in range(n_layers)], axis=1)
