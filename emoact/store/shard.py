"""Activations of one unit during its extraction, in a preallocated file; their shapes."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Int64

from emoact.errors import EmoactError
from emoact.sites import SiteName, site, site_names
from emoact.store.atomic import check_room, write_error
from emoact.store.locks import open_locked

_NO_ALLOCATION = (errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)

_ITEM_SIZE = 4
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
            len(self.layers(name)) * math.prod(self.tensor_shape(name)) * _ITEM_SIZE
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


@runtime_checkable
class Activations(Protocol):
    """The arrays of one unit: what a store writes."""

    @property
    def layout(self) -> ShardLayout:
        """Their shapes."""

    def rows(self, site: SiteName, layer: int, sample: int) -> Float32[np.ndarray, "*shape"]:
        """One sample's array; layers are counted as the model counts them."""


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
        self._header, self._starts = _header(layout)
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
        need = len(_header(layout)[0]) + layout.n_bytes
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
            data = _read_at(self._descriptor, math.prod(shape) * _ITEM_SIZE, position)
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
        row_bytes = math.prod(self.layout.row_shape(site)) * _ITEM_SIZE
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


def _header(layout: ShardLayout) -> tuple[bytes, dict[tuple[SiteName, int], int]]:
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
            after = end + math.prod(shape) * _ITEM_SIZE
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
