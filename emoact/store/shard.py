"""The activations of one unit while they are gathered: a preallocated file, not memory."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32

from emoact.errors import EmoactError
from emoact.schema import Site
from emoact.store.atomic import make_folder, try_lock, write_error
from emoact.store.shard_layout import ITEM_SIZE, ShardLayout, shard_header

__all__ = ["ShardLayout", "UnitShard", "remove_stale_shards"]

_BUFFERS_PER_READ = 1024  # IOV_MAX of Linux and macOS
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
        self._put: dict[tuple[Site, int], Bool[np.ndarray, " n_samples"]] = {
            (site, layer): np.zeros(layout.n_samples, dtype=bool)
            for site in layout.sites
            for layer in layout.layers(site)
        }

    @classmethod
    def create(cls, path: str | os.PathLike[str], *, layout: ShardLayout) -> UnitShard:
        """Make the file with all its space; what a dead run left at this path is replaced.

        Raises:
            EmoactError: There is no room, the folder cannot be written, or another live process
                holds a shard at this path.
        """
        target = Path(path)
        need = len(shard_header(layout)[0]) + layout.n_bytes
        try:
            make_folder(target.parent)
            descriptor = _open_locked(target)
        except OSError as error:
            raise write_error(error, path=target, need=need) from error
        shard = cls(target, layout, descriptor)
        try:
            _allocate(descriptor, need)
            _write_at(descriptor, shard._header, 0)
        except OSError as error:
            shard.close_and_remove()
            raise write_error(error, path=target, need=need) from error
        return shard

    def put(self, site: Site, layer: int, sample: int, rows: Float32[np.ndarray, "*shape"]) -> None:
        """Save one sample's array, [pos, d_model] or for patterns [head, pos, pos].

        Raises:
            EmoactError: The disk refused.
            ValueError: The shape is not the one that the layout says.
        """
        self._check_sample(sample)
        expected = self.layout.shape(site, sample)
        if rows.shape != expected:
            raise ValueError(
                f"{site} layer {layer} sample {sample} has shape {rows.shape}, not {expected}"
            )
        self._write(site, layer, sample, sample + 1, rows)

    def put_rows(
        self, site: Site, layer: int, first_sample: int, rows: Float32[np.ndarray, "rows *width"]
    ) -> None:
        """Save the arrays of consecutive samples, one after the other in one array.

        Args:
            site: Hook point kind.
            layer: Layer.
            first_sample: The sample that the first row belongs to.
            rows: [sum of pos, d_model], for patterns all numbers in one dimension; whole samples.

        Raises:
            EmoactError: The disk refused.
            ValueError: The rows do not end where a sample ends.
        """
        self._check_sample(first_sample)
        offsets = self._offsets[site]
        end = int(offsets[first_sample]) + rows.shape[0]
        after = int(np.searchsorted(offsets, end, side="right")) - 1
        width = () if site == "pattern" else (self.layout.d_model,)
        if after < first_sample or offsets[after] != end or rows.shape[1:] != width:
            raise ValueError(
                f"{site} layer {layer}: rows of shape {rows.shape} from sample {first_sample} on "
                f"do not fill whole samples of width {width}"
            )
        self._write(site, layer, first_sample, after, rows)

    def rows(self, site: Site, layer: int, sample: int) -> Float32[np.ndarray, "*shape"]:
        """One sample's array as it was put, fresh and writable.

        Raises:
            EmoactError: It was never put, or the disk failed.
        """
        self._check_sample(sample)
        array = np.empty(self.layout.shape(site, sample), dtype="<f4")
        if array.size:
            self.read_into(site, layer, sample, sample + 1, [array.data.cast("B")])
        return array

    def read_into(
        self,
        site: Site,
        layer: int,
        first: int,
        after: int,
        buffers: Sequence[memoryview],
        *,
        skip: int = 0,
    ) -> None:
        """Fill buffers with the bytes of the samples from `first` up to `after`.

        Args:
            site: Hook point kind.
            layer: Layer.
            first: First sample.
            after: The sample after the last.
            buffers: Writable bytes; filled one after the other as if they were one.
            skip: Bytes of the first sample to leave out.

        Raises:
            EmoactError: A sample was never put, or the disk failed.
        """
        missing = np.flatnonzero(~self._put[site, layer][first:after])
        if missing.size:
            raise EmoactError(
                f"{self.path}: {site} layer {layer} sample {first + int(missing[0])} was never "
                "computed; the unit is incomplete and is not saved",
                remedy="Resume the run; if it happens again, please report it.",
            )
        start = self._position(site, layer, first) + skip
        try:
            for index in range(0, len(buffers), _BUFFERS_PER_READ):
                some = buffers[index : index + _BUFFERS_PER_READ]
                start += _read_at(self._descriptor, some, start)
        except OSError as error:
            raise EmoactError(
                f"{self.path} could not be read back: {error.strerror}",
                remedy="Check the disk (its messages are in the system log), then resume the run.",
            ) from error

    def close_and_remove(self) -> None:
        """Give the space back; harmless when done twice."""
        if self._descriptor < 0:
            return
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
        os.close(self._descriptor)
        self._descriptor = -1

    def _write(
        self, site: Site, layer: int, first: int, after: int, rows: Float32[np.ndarray, "*shape"]
    ) -> None:
        data = np.ascontiguousarray(rows, dtype="<f4").data.cast("B") if rows.size else b""
        try:
            _write_at(self._descriptor, data, self._position(site, layer, first))
        except OSError as error:
            raise write_error(error, path=self.path, need=len(data)) from error
        self._put[site, layer][first:after] = True

    def _check_sample(self, sample: int) -> None:
        # A negative index would write into another layer's place.
        if not 0 <= sample < self.layout.n_samples:
            raise IndexError(f"sample {sample} of {self.layout.n_samples}")

    def _position(self, site: Site, layer: int, sample: int) -> int:
        width = 1 if site == "pattern" else self.layout.d_model
        return self._starts[site, layer] + int(self._offsets[site][sample]) * width * ITEM_SIZE


def remove_stale_shards(partial: str | os.PathLike[str]) -> None:
    """Remove the shards of dead runs below a folder of work in progress, and emptied folders."""
    for folder, _, names in os.walk(partial, topdown=False):
        for name in names:
            with contextlib.suppress(OSError):
                _remove_if_stale(Path(folder, name))
        with contextlib.suppress(OSError):
            Path(folder).rmdir()


def _open_locked(path: Path) -> int:
    """A new file at `path`, locked for as long as its writer lives."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileExistsError:
            if not _remove_if_stale(path):
                raise EmoactError(
                    f"{path} is being written by another process",
                    remedy="Wait for the other run to end, or cancel it.",
                ) from None
            continue
        try_lock(descriptor, wait=True)
        # Between its creation and its lock it looked like a dead run's file.
        if os.fstat(descriptor).st_nlink:
            return descriptor
        os.close(descriptor)


def _remove_if_stale(path: Path) -> bool:
    """Remove the file unless a live process holds it; whether it is gone."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    try:
        if try_lock(descriptor) is False:
            return False
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    finally:
        os.close(descriptor)
    return True


def _allocate(descriptor: int, size: int) -> None:
    """Reserve the space, so that a full disk shows before the work and not at its end."""
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in _NO_ALLOCATION:
            raise
    except AttributeError:  # macOS
        pass
    else:
        return
    status = os.fstatvfs(descriptor)
    if size > status.f_bavail * status.f_frsize:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.ftruncate(descriptor, size)


def _write_at(descriptor: int, data: bytes | memoryview, position: int) -> None:
    view = memoryview(data)
    while view:
        done = os.pwrite(descriptor, view, position)
        view, position = view[done:], position + done


def _read_at(descriptor: int, buffers: Sequence[memoryview], position: int) -> int:
    """Fill the buffers, however little each call gives; the number of bytes."""
    wanted = sum(map(len, buffers))
    done = os.preadv(descriptor, buffers, position)
    while done < wanted:
        rest = _without(buffers, done)
        more = os.preadv(descriptor, rest, position + done)
        if not more:
            raise OSError(errno.EIO, "the file is shorter than it was")
        done += more
    return wanted


def _without(buffers: Sequence[memoryview], count: int) -> list[memoryview]:
    rest = []
    for buffer in buffers:
        skipped = min(count, len(buffer))
        count -= skipped
        if skipped < len(buffer):
            rest.append(buffer[skipped:])
    return rest
