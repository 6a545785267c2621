"""Activations by layer and sample, read from a mapped file on access."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
from jaxtyping import Float32

from emoact.store.read.tokens import BFloat16Array, Leaf


def as_float32(values: Leaf) -> Float32[np.ndarray, "..."]:
    """Read-only float32 values: the view itself where it is float32, else a converted copy."""
    if isinstance(values, BFloat16Array):
        wide: np.ndarray[Any, np.dtype[Any]] = values.float32()
    elif values.dtype == np.float32 and values.dtype.isnative:
        wide = values.view()
    else:
        with np.errstate(
            over="ignore"
        ):  # a float64 beyond float32 becomes inf: a finding, not noise
            wide = values.astype(np.float32)
    wide.flags.writeable = False
    return wide


class Samples(Sequence[np.ndarray[Any, np.dtype[Any]]]):
    """The arrays of one layer, one per sample.

    Args:
        values: Arrays as they are in the file.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Sequence[Leaf]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    @overload
    def __getitem__(self, sample: int) -> Float32[np.ndarray, "..."]: ...
    @overload
    def __getitem__(self, sample: slice) -> Samples: ...
    def __getitem__(self, sample: int | slice) -> Float32[np.ndarray, "..."] | Samples:
        if isinstance(sample, slice):
            return Samples(self._values[sample])
        return as_float32(self._values[sample])

    def __repr__(self) -> str:
        return f"Samples({len(self)})"


class Layers(Sequence[Samples]):
    """`layers[layer][sample]`; empty where the site was not saved.

    Args:
        layers: One list of arrays per layer.
    """

    __slots__ = ("_layers",)

    def __init__(self, layers: Sequence[Sequence[Leaf]] = ()) -> None:
        self._layers = tuple(Samples(layer) for layer in layers)

    def __len__(self) -> int:
        return len(self._layers)

    @overload
    def __getitem__(self, layer: int) -> Samples: ...
    @overload
    def __getitem__(self, layer: slice) -> tuple[Samples, ...]: ...
    def __getitem__(self, layer: int | slice) -> Samples | tuple[Samples, ...]:
        return self._layers[layer]

    def __repr__(self) -> str:
        return f"Layers({len(self)})"
