"""Room for the vectors, draws and counted words of very many prompts, on the disk."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from emoact.errors import EmoactError
from emoact.stats.room import Room

LEAST_BYTES = 4 << 20
"""Arrays below this size stay in memory."""


class DiskRoom(Room):
    """Arrays in nameless files of a folder, which end with the process; memory has those in use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._maps: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
        self._lock = threading.Lock()

    def empty(self, shape: tuple[int, ...]) -> Float32[np.ndarray, "prompt layer d"]:
        """An array to be filled; `EmoactError` if the disk has no room for it."""
        n_prompts, n_layers, width = shape
        if 4 * n_prompts * n_layers * width < LEAST_BYTES:
            return super().empty(shape)
        return self.table((n_layers, n_prompts, width), np.float32).transpose(1, 0, 2)

    def table(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, np.dtype[Any]]:
        """An array of zeros; `EmoactError` if the disk has no room for it."""
        n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        if n_bytes < LEAST_BYTES:
            return super().table(shape, dtype)
        try:
            with tempfile.TemporaryFile(dir=self._folder) as file:
                # A page for which there is no room later would end the process.
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, n_bytes)
                else:
                    file.truncate(n_bytes)
                mapped = mmap.mmap(file.fileno(), n_bytes)
        except OSError as error:
            raise EmoactError(
                f"{self._folder} has no room for {n_bytes:,} bytes of vectors and draws: "
                f"{error.strerror}",
                remedy="Make room there, or analyse fewer prompts or one site.",
            ) from error
        with self._lock:
            self._maps.add(mapped)
        return np.frombuffer(mapped, dtype=dtype).reshape(shape)

    def rest(self) -> None:
        """Take all files out of the memory of this process; what is read again comes back."""
        with self._lock:
            maps = list(self._maps)
        for mapped in maps:
            mapped.madvise(mmap.MADV_DONTNEED)
