"""Activations of one unit during its extraction, in a preallocated file."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32

from emoact.errors import EmoactError
from emoact.sites import SiteName
from emoact.store.atomic import write_error
from emoact.store.shard_file import allocate, open_locked, read_at, remove_stale_shards, write_at
from emoact.store.shard_layout import ITEM_SIZE, ShardLayout, shard_header

__all__ = ["ShardLayout", "UnitShard", "remove_stale_shards"]


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
            allocate(descriptor, need)
            write_at(descriptor, shard._header, 0)
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
        self._check_sample(sample)
        expected = self.layout.shape(site, sample)
        if rows.shape != expected:
            raise ValueError(
                f"{site} layer {layer} sample {sample} has shape {rows.shape}, not {expected}"
            )
        self._write(site, layer, sample, sample + 1, rows)

    def put_rows(
        self,
        site: SiteName,
        layer: int,
        first_sample: int,
        rows: Float32[np.ndarray, "rows *width"],
    ) -> None:
        """Save the arrays of consecutive samples, one after the other in one array.

        Args:
            site: Hook point kind.
            layer: Layer.
            first_sample: The sample that the first row belongs to.
            rows: Whole samples, positions of all of them in the first dimension; of patterns all
                numbers in one dimension.

        Raises:
            EmoactError: The disk refused.
            ValueError: The rows do not end where a sample ends.
        """
        self._check_sample(first_sample)
        offsets = self._offsets[site]
        end = int(offsets[first_sample]) + rows.shape[0]
        after = int(np.searchsorted(offsets, end, side="right")) - 1
        width = self.layout.row_shape(site)
        if after < first_sample or offsets[after] != end or rows.shape[1:] != width:
            raise ValueError(
                f"{site} layer {layer}: rows of shape {rows.shape} from sample {first_sample} on "
                f"do not fill whole samples of width {width}"
            )
        self._write(site, layer, first_sample, after, rows)

    def rows(self, site: SiteName, layer: int, sample: int) -> Float32[np.ndarray, "*shape"]:
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
        site: SiteName,
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
        try:
            read_at(self._descriptor, buffers, self._position(site, layer, first) + skip)
        except OSError as error:
            raise EmoactError(
                f"{self.path} could not be read back: {error.strerror}",
                remedy="Check the disk (its messages are in the system log), then resume the run.",
            ) from error

    def close_and_remove(self) -> None:
        """Close and remove the file; a second call does nothing."""
        if self._descriptor < 0:
            return
        # If the disk refuses this, the unit has failed already; the next run removes the file.
        with contextlib.suppress(OSError):
            self.path.unlink()
        os.close(self._descriptor)
        self._descriptor = -1

    def _write(
        self,
        site: SiteName,
        layer: int,
        first: int,
        after: int,
        rows: Float32[np.ndarray, "*shape"],
    ) -> None:
        data = np.ascontiguousarray(rows, dtype="<f4").data.cast("B") if rows.size else b""
        try:
            write_at(self._descriptor, data, self._position(site, layer, first))
        except OSError as error:
            raise write_error(error, path=self.path, need=len(data)) from error
        self._put[site, layer][first:after] = True

    def _check_sample(self, sample: int) -> None:
        # A negative index would write into another layer.
        if not 0 <= sample < self.layout.n_samples:
            raise IndexError(f"sample {sample} of {self.layout.n_samples}")

    def _position(self, site: SiteName, layer: int, sample: int) -> int:
        row_bytes = math.prod(self.layout.row_shape(site)) * ITEM_SIZE
        return self._starts[site, layer] + int(self._offsets[site][sample]) * row_bytes
