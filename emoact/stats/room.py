"""Room for what grows with the number of prompts: memory, or files of which memory holds a part."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from jaxtyping import Float32


class Room:
    """Room in memory."""

    def empty(self, shape: tuple[int, ...]) -> Float32[np.ndarray, "prompt layer d_model"]:
        """An array of pooled vectors, to be filled."""
        return np.empty(shape, dtype=np.float32)

    def table(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, np.dtype[Any]]:
        """An array of zeros that is filled and read a few rows at a time."""
        return np.zeros(shape, dtype=dtype)

    def rest(self) -> None:
        """Let go of what is not in use."""


MEMORY = Room()


def set_down(values: np.ndarray[Any, np.dtype[Any]]) -> None:
    """Take an array's file, where it has one, out of memory; what is read again comes back."""
    base: Any = values
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    if isinstance(base, mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)
