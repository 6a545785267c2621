"""Shapes of the arrays of one unit, and how a store asks for them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from emoact.sites import SiteName, site, site_names

ITEM_SIZE = 4
"""Bytes of one number of an activation."""


@dataclass(frozen=True, kw_only=True)
class ShardLayout:
    """The shape of one unit's activations.

    Attributes:
        n_heads: Attention heads of a layer; needed for sites with a dimension `head`.
        d_head: Width of a head; needed for sites with a dimension `d_head`.
    """

    sites: tuple[SiteName, ...]
    n_layers: int
    d_model: int
    lengths: tuple[int, ...]
    n_heads: int | None = None
    d_head: int | None = None

    def __post_init__(self) -> None:
        known = site_names()
        if not self.sites or len(set(self.sites)) != len(self.sites) or set(self.sites) - {*known}:
            raise ValueError(f"sites is {self.sites}; allowed are distinct ones of {known}")
        if self.n_layers < 1 or self.d_model < 1 or min(self.lengths, default=1) < 0:
            raise ValueError(
                f"n_layers is {self.n_layers}, d_model {self.d_model}, the shortest sample "
                f"{min(self.lengths, default=1)}; counts cannot be negative, or zero for a model"
            )
        for name in self.sites:
            for dimension, field in (("head", "n_heads"), ("d_head", "d_head")):
                if dimension in site(name).shape.split() and not getattr(self, field):
                    raise ValueError(f"the site {name} needs {field}")

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.lengths)

    @property
    def n_bytes(self) -> int:
        """Bytes that the activations take."""
        return sum(
            len(self.layers(name)) * math.prod(self.tensor_shape(name)) * ITEM_SIZE
            for name in self.sites
        )

    def layers(self, name: SiteName) -> range:
        """The layers at which a site is saved."""
        return site(name).layer_range(self.n_layers)

    def offsets(self, name: SiteName) -> Int64[np.ndarray, "n_samples_and_one"]:
        """Row at which each sample starts, and the end.

        A row is a position, and of a site whose first dimension is another one it is one number.
        """
        width = math.prod(self.row_shape(name))
        rows = [math.prod(self.shape(name, sample)) // width for sample in range(self.n_samples)]
        return np.concatenate([[0], np.cumsum(rows, dtype=np.int64)]).astype(np.int64)

    def shape(self, name: SiteName, sample: int) -> tuple[int, ...]:
        """Shape of one sample's array."""
        return self._shape_of(name, self.lengths[sample])

    def row_shape(self, name: SiteName) -> tuple[int, ...]:
        """Shape of one row."""
        return self._shape_of(name, 1)[1:] if site(name).has_vectors else ()

    def tensor_shape(self, name: SiteName) -> tuple[int, ...]:
        """Shape of the tensor that holds all samples of one layer."""
        return (int(self.offsets(name)[-1]), *self.row_shape(name))

    def _shape_of(self, name: SiteName, length: int) -> tuple[int, ...]:
        return site(name).array_shape(
            length, d_model=self.d_model, n_heads=self.n_heads or 0, d_head=self.d_head or 0
        )


@runtime_checkable
class Activations(Protocol):
    """The arrays of one unit: what a store writes."""

    @property
    def layout(self) -> ShardLayout:
        """Their shapes."""

    def rows(self, site: SiteName, layer: int, sample: int) -> Float32[np.ndarray, "*shape"]:
        """One sample's array; layers are counted as the model counts them."""
