"""Activations of one unit during its extraction, in a preallocated file."""

from __future__ import annotations

import contextlib
import errno
import math
import os
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32

from emoact.errors import EmoactError
from emoact.sites import SiteName
from emoact.store.atomic import check_room, write_error
from emoact.store.locks import open_locked
from emoact.store.shard_layout import ITEM_SIZE, ShardLayout, shard_header

_NO_ALLOCATION = (errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


class UnitShard:
    """One file in the safetensors format with a place for every array of a unit.

    Tensors are called `<site>.<layer>`, float32, all samples one after the other; the int64 tensors
    `offsets` and, where patterns are saved, `pattern_offsets` say where each sample starts.
    """

    def __init__(self, path: Path, layout: ShardLayout, descriptor: int) -> None:
        self.path = path
        self.layout = layout
        self._descriptor = descriptor
        self._offsets = {site: layout.offsets(site) for site in layout.sites}
        self._header, self._starts = shard_header(layout)
        self._put: dict[tuple[SiteName, int], Bool[np.ndarray, " n_samples"]] = {
            (site, layer): np.zeros(layout.n_samples, dtype=bool)
            for site in layout.sites
            for layer in layout.layers(site)
        }

    @classmethod
    def create(cls, path: str | os.PathLike[str], *, layout: ShardLayout) -> UnitShard:
        """Create the file at its full size; a file that a killed run left at this path is replaced.

        Raises:
            EmoactError: There is no room, the folder cannot be written, or another live process
                holds a shard at this path.
        """
        target = Path(path)
        need = len(shard_header(layout)[0]) + layout.n_bytes
        try:
            descriptor = open_locked(target)
        except OSError as error:
            raise write_error(error, path=target, need=need) from error
        if descriptor is None:
            raise EmoactError(
                f"{target} is being written by another process",
                remedy="Wait for the other run to end, or cancel it.",
            )
        shard = cls(target, layout, descriptor)
        try:
            _allocate(descriptor, need)
            _write_at(descriptor, shard._header, 0)
        except OSError as error:
            shard.close_and_remove()
            raise write_error(error, path=target, need=need) from error
        return shard

    def put(
        self, site: SiteName, layer: int, sample: int, rows: Float32[np.ndarray, "*shape"]
    ) -> None:
        """Save one sample's array, in the shape that the site's record says.

        Raises:
            EmoactError: The disk refused.
            ValueError: The shape is not the one that the layout says.
        """
        position = self._position(site, layer, sample)
        expected = self.layout.shape(site, sample)
        if rows.shape != expected:
            raise ValueError(
                f"{site} layer {layer} sample {sample} has shape {rows.shape}, not {expected}"
            )
        data = np.ascontiguousarray(rows, dtype="<f4").tobytes()
        try:
            _write_at(self._descriptor, data, position)
        except OSError as error:
            raise write_error(error, path=self.path, need=len(data)) from error
        self._put[site, layer][sample] = True

    def rows(self, site: SiteName, layer: int, sample: int) -> Float32[np.ndarray, "*shape"]:
        """One sample's array as it was put, fresh and read-only.

        Raises:
            EmoactError: It was never put, or the disk failed.
        """
        position = self._position(site, layer, sample)
        if not self._put[site, layer][sample]:
            raise EmoactError(
                f"{self.path}: {site} layer {layer} sample {sample} was never computed; the unit "
                "is incomplete and is not saved",
                remedy="Resume the run; if it happens again, please report it.",
            )
        shape = self.layout.shape(site, sample)
        try:
            data = _read_at(self._descriptor, math.prod(shape) * ITEM_SIZE, position)
        except OSError as error:
            raise EmoactError(
                f"{self.path} could not be read back: {error.strerror}",
                remedy="Check the disk (its messages are in the system log), then resume the run.",
            ) from error
        return np.frombuffer(data, dtype="<f4").reshape(shape)

    def close_and_remove(self) -> None:
        """Close and remove the file; a second call does nothing."""
        if self._descriptor < 0:
            return
        # If the disk refuses this, the unit has failed already; the next run removes the file.
        with contextlib.suppress(OSError):
            self.path.unlink()
        os.close(self._descriptor)
        self._descriptor = -1

    def _position(self, site: SiteName, layer: int, sample: int) -> int:
        # A negative index would reach into another layer.
        if not 0 <= sample < self.layout.n_samples:
            raise IndexError(f"sample {sample} of {self.layout.n_samples}")
        row_bytes = math.prod(self.layout.row_shape(site)) * ITEM_SIZE
        return self._starts[site, layer] + int(self._offsets[site][sample]) * row_bytes


def _allocate(descriptor: int, size: int) -> None:
    """Reserve the space, so that a full disk is found before the work starts."""
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in _NO_ALLOCATION:
            raise
    except AttributeError:  # macOS
        pass
    else:
        return
    check_room(descriptor, size)
    os.ftruncate(descriptor, size)


def _write_at(descriptor: int, data: bytes, position: int) -> None:
    """Write all of the data, in as many system calls as it takes."""
    view = memoryview(data)
    while view:
        done = os.pwrite(descriptor, view, position)
        view, position = view[done:], position + done


def _read_at(descriptor: int, size: int, position: int) -> bytes:
    """Read `size` bytes, in as many system calls as it takes; OSError where the file is shorter."""
    pieces: list[bytes] = []
    while size:
        piece = os.pread(descriptor, size, position)
        if not piece:
            raise OSError(errno.EIO, "the file is shorter than it was")
        pieces.append(piece)
        size, position = size - len(piece), position + len(piece)
    return b"".join(pieces)
