"""Shapes of one unit's activations, and their offsets in the shard file."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from emoact.sites import SiteName, site, site_names

ITEM_SIZE = 4
"""Bytes of one number of an activation."""


@dataclass(frozen=True, kw_only=True)
class ShardLayout:
    """The shape of one unit's activations.

    Attributes:
        sites: The sites that are saved.
        n_layers: Layers of the model.
        d_model: Width of the residual stream.
        lengths: Number of positions of each sample.
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
        rows = [self._rows_of(name, sample) for sample in range(self.n_samples)]
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

    def _rows_of(self, name: SiteName, sample: int) -> int:
        return math.prod(self.shape(name, sample)) // math.prod(self.row_shape(name))

    def _shape_of(self, name: SiteName, length: int) -> tuple[int, ...]:
        return site(name).array_shape(
            length, d_model=self.d_model, n_heads=self.n_heads or 0, d_head=self.d_head or 0
        )


def shard_header(layout: ShardLayout) -> tuple[bytes, dict[tuple[SiteName, int], int]]:
    """The bytes before the activations, and the offset of each tensor in the file.

    Source: the safetensors format (length, JSON, tensors without gaps, each aligned to its items).
    """
    offsets: dict[str, Int64[np.ndarray, " edge"]] = {}
    for name in sorted(layout.sites, key=lambda name: not site(name).has_vectors):
        offsets["offsets" if site(name).has_vectors else "pattern_offsets"] = layout.offsets(name)
    tensors: dict[str, dict[str, object]] = {}
    end = 0
    for name, values in offsets.items():
        tensors[name] = _entry("I64", values.shape, end, end + values.nbytes)
        end += values.nbytes
    starts: dict[tuple[SiteName, int], int] = {}
    for name in layout.sites:
        shape = layout.tensor_shape(name)
        for layer in layout.layers(name):
            starts[name, layer] = end
            after = end + math.prod(shape) * ITEM_SIZE
            tensors[f"{name}.{layer}"] = _entry("F32", shape, end, after)
            end = after
    text = json.dumps(tensors, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    data = b"".join(values.astype("<i8").tobytes() for values in offsets.values())
    before = 8 + len(text)
    header = len(text).to_bytes(8, "little") + text + data
    return header, {key: before + start for key, start in starts.items()}


def _entry(dtype: str, shape: tuple[int, ...], start: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
