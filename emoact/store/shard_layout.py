"""The shape of one unit's activations, and where each lies in the shard file."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from emoact.schema import SITES, Site

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
        n_heads: Attention heads of a layer; needed for the site `pattern` only.
    """

    sites: tuple[Site, ...]
    n_layers: int
    d_model: int
    lengths: tuple[int, ...]
    n_heads: int | None = None

    def __post_init__(self) -> None:
        if not self.sites or len(set(self.sites)) != len(self.sites) or set(self.sites) - {*SITES}:
            raise ValueError(f"sites is {self.sites}; allowed are distinct ones of {SITES}")
        if self.n_layers < 1 or self.d_model < 1 or min(self.lengths, default=1) < 0:
            raise ValueError(
                f"n_layers is {self.n_layers}, d_model {self.d_model}, the shortest sample "
                f"{min(self.lengths, default=1)}; counts cannot be negative, or zero for a model"
            )
        if "pattern" in self.sites and not self.n_heads:
            raise ValueError("the site pattern needs n_heads")

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.lengths)

    @property
    def n_bytes(self) -> int:
        """Bytes that the activations take."""
        return sum(
            len(self.layers(site)) * int(self.offsets(site)[-1]) * self._row(site) * ITEM_SIZE
            for site in self.sites
        )

    def layers(self, site: Site) -> range:
        """The layers at which a site exists; `resid_post` does after the last layer only."""
        return range(self.n_layers - 1 if site == "resid_post" else 0, self.n_layers)

    def offsets(self, site: Site) -> Int64[np.ndarray, "n_samples_and_one"]:
        """Row at which each sample starts, and the end; a row of `pattern` is one number."""
        rows = [self._rows_of(site, length) for length in self.lengths]
        return np.concatenate([[0], np.cumsum(rows, dtype=np.int64)]).astype(np.int64)

    def shape(self, site: Site, sample: int) -> tuple[int, ...]:
        """Shape of one sample's array: [pos, d_model], for patterns [head, pos, pos]."""
        length = self.lengths[sample]
        if site == "pattern":
            return (self.n_heads or 0, length, length)
        return (length, self.d_model)

    def tensor_shape(self, site: Site) -> tuple[int, ...]:
        """Shape of the tensor that holds all samples of one layer."""
        rows = int(self.offsets(site)[-1])
        return (rows,) if site == "pattern" else (rows, self.d_model)

    def _rows_of(self, site: Site, length: int) -> int:
        return (self.n_heads or 0) * length * length if site == "pattern" else length

    def _row(self, site: Site) -> int:
        return 1 if site == "pattern" else self.d_model


def shard_header(layout: ShardLayout) -> tuple[bytes, dict[tuple[Site, int], int]]:
    """The bytes before the activations, offsets included, and where in the file each tensor starts.

    Source: the safetensors format (length, JSON, tensors without gaps, each aligned to its items).
    """
    offsets = {"offsets": layout.offsets("resid_pre")}
    if "pattern" in layout.sites:
        offsets["pattern_offsets"] = layout.offsets("pattern")
    tensors: dict[str, dict[str, object]] = {}
    end = 0
    for name, values in offsets.items():
        tensors[name] = _entry("I64", values.shape, end, end + values.nbytes)
        end += values.nbytes
    starts: dict[tuple[Site, int], int] = {}
    for site in layout.sites:
        shape = layout.tensor_shape(site)
        for layer in layout.layers(site):
            starts[site, layer] = end
            after = end + math.prod(shape) * ITEM_SIZE
            tensors[f"{site}.{layer}"] = _entry("F32", shape, end, after)
            end = after
    text = json.dumps(tensors, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    data = b"".join(values.astype("<i8").tobytes() for values in offsets.values())
    before = 8 + len(text)
    header = len(text).to_bytes(8, "little") + text + data
    return header, {key: before + start for key, start in starts.items()}


def _entry(dtype: str, shape: tuple[int, ...], start: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, end]}
