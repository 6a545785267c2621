"""A unit's contract pickle: laid out first, each array put in its place as it comes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

from emoact import sites
from emoact.errors import EmoactError
from emoact.sites import Site, SiteName
from emoact.store import pickle_opcodes as opcodes
from emoact.store.atomic import NewFile, check_room
from emoact.store.protocol import Written
from emoact.store.shard import ITEM_SIZE, Activations, ShardLayout

_NO_ALLOCATION = (errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
_BLOCK = 1 << 20


def write_unit(
    target: str | os.PathLike[str],
    *,
    shard: Activations,
    tokens: Sequence[Int64[np.ndarray, "..."]],
    token_strings: Sequence[Sequence[str]],
    labels: Sequence[str],
    metadata: Mapping[str, Any],
) -> Written:
    """Put a unit's pickle in place of `target`, whole and on the disk, or leave `target` alone.

    The arguments are those of `Store.write`. A `UnitFile` that was laid out for just this file is
    finished; other arrays are copied.

    Raises:
        EmoactError: The parts do not fit together, or the file could not be written.
    """
    words = _Words.of(shard.layout.lengths, tokens, token_strings, labels, metadata)
    if isinstance(shard, UnitFile) and shard.is_for(Path(target), words):
        return shard.put_in_place(words)
    with contextlib.closing(UnitFile(target, shard.layout, words)) as file:
        for site, layer in file.places:
            for sample in range(shard.layout.n_samples):
                file.put(site, layer, sample, shard.rows(site, layer, sample))
        return file.put_in_place(words)


def lay_out(
    target: str | os.PathLike[str],
    *,
    layout: ShardLayout,
    tokens: Sequence[Int64[np.ndarray, "..."]],
    token_strings: Sequence[Sequence[str]],
    labels: Sequence[str],
    metadata: Mapping[str, Any],
) -> AbstractContextManager[UnitFile]:
    """A contract pickle with a place for every array of a unit, removed unless it gets its name.

    Other metadata of the same length can take the place of these at the end.

    Raises:
        EmoactError: The parts do not fit together, there is no room, or the folder cannot be
            written.
    """
    words = _Words.of(layout.lengths, tokens, token_strings, labels, metadata)
    return contextlib.closing(UnitFile(target, layout, words))


@dataclass(frozen=True, kw_only=True)
class _Words:
    """All that is no activation, as opcodes. `known`: tokens, strings and labels."""

    known: bytes
    metadata: bytes

    @classmethod
    def of(
        cls,
        lengths: Sequence[int],
        tokens: Sequence[Int64[np.ndarray, "..."]],
        token_strings: Sequence[Sequence[str]],
        labels: Sequence[str],
        metadata: Mapping[str, Any],
    ) -> _Words:
        """Encode the arguments of `Store.write`, for samples of these lengths.

        Raises:
            EmoactError: They do not fit together, or hold other than plain values.
        """
        check_parts(lengths, tokens, token_strings, labels)
        fields = {"token_strings": [list(row) for row in token_strings], "labels": list(labels)}
        pieces = (
            opcodes.text("tokens") + opcodes.LIST + opcodes.MARK,
            *(opcodes.token_tensor(ids, first=not at) for at, ids in enumerate(tokens)),
            opcodes.LIST_END,
            *(opcodes.text(name) + opcodes.plain(each, name) for name, each in fields.items()),
            opcodes.text("metadata"),
        )
        return cls(known=b"".join(pieces), metadata=opcodes.plain(dict(metadata), "metadata"))


class UnitFile:
    """A contract pickle that is being made: the words and a place for every array.

    The metadata may be others in the end, of the same length.

    Its bytes depend on the unit alone and not on the order of the puts. It has no name until
    `put_in_place`.

    Raises:
        EmoactError: There is no room, or the folder cannot be written.
    """

    def __init__(self, target: str | os.PathLike[str], layout: ShardLayout, words: _Words) -> None:
        self.layout = layout
        self._words = words
        self._shapes = {
            site: [layout.shape(site, sample) for sample in range(layout.n_samples)]
            for site in layout.sites
        }
        self._starts: dict[tuple[SiteName, int], Int64[np.ndarray, " n_samples"]] = {}
        texts, self._metadata_at, self._size = self._lay_out()
        self._missing: dict[tuple[SiteName, int], Bool[np.ndarray, " n_samples"]] = {
            place: np.ones(layout.n_samples, dtype=bool) for place in self._starts
        }
        self._file = NewFile(target, need=self._size)
        self._descriptor = self._file.file.fileno()
        try:
            with self._file.telling():
                _allocate(self._descriptor, self._size)
            for position, text in texts.items():
                self._write([text], position)
        except BaseException:
            self.close()
            raise

    @property
    def places(self) -> tuple[tuple[SiteName, int], ...]:
        """Site and layer of all arrays, in the order of the file."""
        return tuple(self._starts)

    def close(self) -> None:
        """Remove the file, unless it is in place."""
        self._file.discard()

    def is_for(self, target: Path, words: _Words) -> bool:
        """True where it was laid out for this file, apart from the content of the metadata."""
        ours = self._words
        return (
            self._file.path == target
            and ours.known == words.known
            and len(ours.metadata) == len(words.metadata)
        )

    def put(
        self, site: SiteName, layer: int, sample: int, rows: Float32[np.ndarray, "*shape"]
    ) -> None:
        """Put one sample's array in its place, in the shape that the site's record says.

        Raises:
            EmoactError: The disk refused.
            ValueError: The shape is not the one that the layout says.
        """
        start, before, _ = self._place(site, layer, sample)
        expected = self._shapes[site][sample]
        if rows.shape != expected:
            raise ValueError(
                f"{site} layer {layer} sample {sample} has shape {rows.shape}, not {expected}"
            )
        # As bytes without a copy; a view of an empty array has to be flat for that.
        data = np.ascontiguousarray(rows, dtype="<f4").reshape(-1).view(np.uint8).data
        self._write([before, data, opcodes.ARRAY_END], start)
        self._missing[site, layer][sample] = False

    def rows(self, site: SiteName, layer: int, sample: int) -> Float32[np.ndarray, "*shape"]:
        """One sample's array as it was put, fresh and read-only.

        Raises:
            EmoactError: It was never put, or the disk failed.
        """
        start, before, size = self._place(site, layer, sample)
        self._check_put(site, layer, sample)
        data = self._read(size, start + len(before))
        return np.frombuffer(data, dtype="<f4").reshape(self._shapes[site][sample])

    def put_in_place(self, words: _Words) -> Written:
        """Write the final metadata, hash the file and give it its name.

        Raises:
            EmoactError: An array was never put, or the disk failed.
        """
        for (site, layer), missing in self._missing.items():
            if missing.any():
                self._check_put(site, layer, int(missing.argmax()))
        self._write([words.metadata], self._metadata_at)
        digest = hashlib.sha256()
        for start in range(0, self._size, _BLOCK):
            digest.update(self._read(min(_BLOCK, self._size - start), start))
        self._file.put_in_place()
        return Written(sha256=digest.hexdigest(), size=self._size)

    def _lay_out(self) -> tuple[dict[int, bytearray], int, int]:
        """Text between arrays by its position, position of the metadata, and size of the file."""
        texts: dict[int, bytearray] = {}
        position, metadata_at, text = 0, 0, bytearray()
        for part in _parts(self.layout, self._words):
            if isinstance(part, bytes):
                if not text:
                    texts[position] = text
                if part is self._words.metadata:
                    metadata_at = position
                text += part
                position += len(part)
            else:
                text = bytearray()
                self._starts[part] = np.empty(self.layout.n_samples, dtype=np.int64)
                for sample in range(self.layout.n_samples):
                    self._starts[part][sample] = position
                    _, before, size = self._place(*part, sample)
                    position += len(before) + size + len(opcodes.ARRAY_END)
        return texts, metadata_at, position

    def _place(self, site: SiteName, layer: int, sample: int) -> tuple[int, bytes, int]:
        """Position of an array's opcodes, those before its bytes, and the number of its bytes."""
        # A negative index would reach into another layer.
        if not 0 <= sample < self.layout.n_samples:
            raise IndexError(f"sample {sample} of {self.layout.n_samples}")
        start, shape = int(self._starts[site, layer][sample]), self._shapes[site][sample]
        is_first = sample == 0 and (site, layer) == next(iter(self._starts))
        # Few different ones, which are remembered.
        before = opcodes.array_start(shape, position=start % opcodes.ALIGNMENT, first=is_first)
        return start, before, math.prod(shape) * ITEM_SIZE

    def _check_put(self, site: SiteName, layer: int, sample: int) -> None:
        if self._missing[site, layer][sample]:
            raise EmoactError(
                f"{self._file.path}: {site} layer {layer} sample {sample} was never computed; the "
                "unit is incomplete and is not saved",
                remedy="Resume the run; if it happens again, please report it.",
            )

    def _write(self, pieces: Sequence[bytes | bytearray | memoryview], position: int) -> None:
        """Write the pieces one after the other, in as many system calls as it takes."""
        views = [memoryview(piece) for piece in pieces]
        with self._file.telling():
            while views:
                done = os.pwritev(self._descriptor, views, position)
                position += done
                while views and done >= len(views[0]):
                    done -= len(views.pop(0))
                if done:
                    views[0] = views[0][done:]

    def _read(self, size: int, position: int) -> bytes:
        """Read back, in as many system calls as it takes."""
        pieces: list[bytes] = []
        why = "the file is shorter than it was"
        while size:
            try:
                piece = os.pread(self._descriptor, size, position)
            except OSError as error:
                piece, why = b"", str(error.strerror)
            if not piece:
                raise EmoactError(
                    f"{self._file.path} could not be read back: {why}",
                    remedy="Check the disk (its messages are in the system log), then resume the "
                    "run.",
                )
            pieces.append(piece)
            size, position = size - len(piece), position + len(piece)
        return b"".join(pieces)


def _parts(layout: ShardLayout, words: _Words) -> Iterator[bytes | tuple[SiteName, int]]:
    """The file from its beginning to its end: opcodes, or site and layer of an array a sample."""
    yield opcodes.START + opcodes.DICT + opcodes.MARK
    for site in sites.SITES:
        if site.is_saved:
            yield from _site_parts(layout, site)
    yield words.known
    yield words.metadata
    # Hashes outlive versions of emoact, so this order stays: vectors by key, then patterns.
    for site in sorted(sites.SITES, key=lambda site: (not site.has_vectors, site.key)):
        if not site.is_saved and site.name in layout.sites:
            yield from _site_parts(layout, site)
    yield opcodes.DICT_END + opcodes.STOP


def _site_parts(layout: ShardLayout, site: Site) -> Iterator[bytes | tuple[SiteName, int]]:
    """A list of layers, each a list of arrays; of a site of the last layer that one alone."""
    yield opcodes.text(site.key)
    if site.layers == "all":
        yield opcodes.LIST + opcodes.MARK
    for layer in layout.layers(site.name) if site.name in layout.sites else ():
        yield opcodes.LIST + opcodes.MARK
        yield site.name, layer
        yield opcodes.LIST_END
    if site.layers == "all":
        yield opcodes.LIST_END


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


def check_parts(
    lengths: Sequence[int],
    tokens: Sequence[Int64[np.ndarray, "..."]],
    token_strings: Sequence[Sequence[str]],
    labels: Sequence[str],
) -> None:
    """Raise `EmoactError` unless every part has an entry for each sample, of its length."""
    counts = {"tokens": len(tokens), "token_strings": len(token_strings), "labels": len(labels)}
    for part, count in counts.items():
        if count != len(lengths):
            raise EmoactError(f"{part} has {count} entries for {len(lengths)} samples")
    for sample, length in enumerate(lengths):
        ids = tokens[sample]
        if ids.dtype != np.int64 or ids.shape != (length,):
            raise EmoactError(
                f"tokens[{sample}] is {ids.dtype} of shape {ids.shape}, not int64 of ({length},)"
            )
        if len(token_strings[sample]) != length:
            raise EmoactError(
                f"token_strings[{sample}] has {len(token_strings[sample])} strings for "
                f"{length} positions"
            )
