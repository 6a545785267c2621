"""Tokens for names, texts and half-built values while a stream is interpreted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt16


class BFloat16Array:
    """Read-only view of bfloat16 values, which numpy lacks; `float32` widens them."""

    __slots__ = ("bits",)

    def __init__(self, bits: UInt16[np.ndarray, "..."]) -> None:
        self.bits = bits

    @property
    def shape(self) -> tuple[int, ...]:
        """As for an array."""
        return self.bits.shape

    @property
    def ndim(self) -> int:
        """As for an array."""
        return self.bits.ndim

    @property
    def nbytes(self) -> int:
        """Bytes of the bfloat16 values, not of their float32 copy."""
        return self.bits.nbytes

    def float32(self) -> Float32[np.ndarray, "..."]:
        """A float32 array with exactly these values.

        Source: bfloat16 is float32 without its lower 16 bits of significand.
        """
        wide: np.ndarray[Any, np.dtype[Any]] = self.bits.astype(np.uint32)
        return (wide << np.uint32(16)).view(np.float32)


class Global(Enum):
    """Names that files of plain values, arrays and tensors use, each as `module name`."""

    NDARRAY = ("numpy ndarray",)
    DTYPE = ("numpy dtype",)
    RECONSTRUCT = ("numpy._core.multiarray _reconstruct", "numpy.core.multiarray _reconstruct")
    FROMBUFFER = ("numpy._core.numeric _frombuffer", "numpy.core.numeric _frombuffer")
    SCALAR = ("numpy._core.multiarray scalar", "numpy.core.multiarray scalar")
    ENCODE = ("_codecs encode",)
    BYTES = ("__builtin__ bytes", "builtins bytes")
    ORDERED_DICT = ("collections OrderedDict",)
    REBUILD_TENSOR = ("torch._utils _rebuild_tensor_v2",)
    LOAD_STORAGE = ("torch.storage _load_from_bytes",)


GLOBALS: dict[tuple[str, ...], Global] = {
    tuple(spelling.split(" ")): name for name in Global for spelling in name.value
}


@dataclass(slots=True, eq=False, repr=False)
class Text:
    """Long text that is not decoded yet: bytes `[start, start + length)` of the file."""

    start: int
    length: int
    value: str | None = None


@dataclass(slots=True, eq=False, repr=False)
class DTypeCell:
    """dtype between its REDUCE (code known) and its BUILD (byte order known)."""

    code: str
    dtype: np.dtype[Any] | None = None


@dataclass(slots=True, eq=False, repr=False)
class ArrayCell:
    """Array between its REDUCE and its BUILD; containers hold it until they are resolved."""

    array: np.ndarray[Any, np.dtype[Any]] | None = None


@dataclass(slots=True, eq=False, repr=False, kw_only=True)
class StorageCell:
    """Storage of a tensor: its element type and its bytes."""

    dtype: np.dtype[Any]
    bfloat16: bool
    data: memoryview
    numel: int


Leaf = np.ndarray[Any, np.dtype[Any]] | BFloat16Array
