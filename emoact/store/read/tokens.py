"""What stands for a name, a text or a half-built value while a stream is interpreted.

A global of the file becomes a member of a closed enumeration: nothing is imported, and nothing
that a file could name is ever callable here.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

import numpy as np

from emoact.store.read.bfloat16 import BFloat16Array


class Global(Enum):
    """The names that honest files use."""

    NDARRAY = auto()
    DTYPE = auto()
    RECONSTRUCT = auto()
    FROMBUFFER = auto()
    SCALAR = auto()
    ENCODE = auto()
    BYTES = auto()
    ORDERED_DICT = auto()
    REBUILD_TENSOR = auto()
    LOAD_STORAGE = auto()


GLOBALS: dict[tuple[str, str], Global] = {
    ("numpy", "ndarray"): Global.NDARRAY,
    ("numpy", "dtype"): Global.DTYPE,
    ("numpy._core.multiarray", "_reconstruct"): Global.RECONSTRUCT,
    ("numpy.core.multiarray", "_reconstruct"): Global.RECONSTRUCT,
    ("numpy._core.numeric", "_frombuffer"): Global.FROMBUFFER,
    ("numpy.core.numeric", "_frombuffer"): Global.FROMBUFFER,
    ("numpy._core.multiarray", "scalar"): Global.SCALAR,
    ("numpy.core.multiarray", "scalar"): Global.SCALAR,
    ("_codecs", "encode"): Global.ENCODE,
    ("__builtin__", "bytes"): Global.BYTES,
    ("builtins", "bytes"): Global.BYTES,
    ("collections", "OrderedDict"): Global.ORDERED_DICT,
    ("torch._utils", "_rebuild_tensor_v2"): Global.REBUILD_TENSOR,
    ("torch.storage", "_load_from_bytes"): Global.LOAD_STORAGE,
}


class Text:
    """A long text that is still in the map: `[start, start + length)`."""

    __slots__ = ("length", "start", "value")

    def __init__(self, start: int, length: int) -> None:
        self.start = start
        self.length = length
        self.value: str | None = None


class DTypeCell:
    """A dtype between its REDUCE (code known) and its BUILD (byte order known)."""

    __slots__ = ("code", "dtype")

    def __init__(self, code: str) -> None:
        self.code = code
        self.dtype: np.dtype[Any] | None = None


class ArrayCell:
    """An array between its REDUCE and its BUILD; containers hold it until they are resolved."""

    __slots__ = ("array",)

    def __init__(self) -> None:
        self.array: np.ndarray[Any, np.dtype[Any]] | None = None


class StorageCell:
    """The storage of a tensor: its element type and its bytes."""

    __slots__ = ("bfloat16", "data", "dtype", "numel")

    def __init__(
        self, *, dtype: np.dtype[Any], bfloat16: bool, data: memoryview, numel: int
    ) -> None:
        self.dtype = dtype
        self.bfloat16 = bfloat16
        self.data = data
        self.numel = numel


Leaf = np.ndarray[Any, np.dtype[Any]] | BFloat16Array
