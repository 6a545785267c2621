"""The contract pickle of one unit: the same bytes for the same unit, in blocks of bounded size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Int64

from emoact import sites
from emoact.sites import Site, SiteName
from emoact.store import pickle_values as values
from emoact.store.pickle_arrays import ARRAY_END, array_start, token_tensor
from emoact.store.shard import UnitShard
from emoact.store.shard_layout import ITEM_SIZE

BLOCK = 1 << 20
"""Bytes of activations that are in memory at once."""


def encode_unit(
    *,
    shard: UnitShard,
    tokens: Sequence[Int64[np.ndarray, "..."]],
    token_strings: Sequence[Sequence[str]],
    labels: Sequence[str],
    metadata: Mapping[str, Any],
) -> Iterator[bytes | bytearray]:
    """The bytes of a contract pickle, block after block.

    Args:
        shard: The activations; every one of them put.
        tokens: Token ids of each sample, [pos].
        token_strings: The same as strings.
        labels: One per sample.
        metadata: Plain values; written as they are, nothing added.

    Raises:
        EmoactError: The parts do not fit together, an activation was never put, or the metadata
            hold other than plain values. Raised before the first block where possible.
    """
    return _Encoder(shard).unit(
        tokens,
        values.plain([list(strings) for strings in token_strings], "token_strings"),
        values.plain(list(labels), "labels"),
        values.plain(dict(metadata), "metadata"),
    )


class _Encoder:
    """Generator of the blocks of a unit, with the number of bytes so far."""

    def __init__(self, shard: UnitShard) -> None:
        self._shard = shard
        self._layout = shard.layout
        self._position = 0
        self._first_array = True

    def unit(
        self,
        tokens: Sequence[Int64[np.ndarray, "..."]],
        token_strings: bytes,
        labels: bytes,
        metadata: bytes,
    ) -> Iterator[bytes | bytearray]:
        yield self._give(values.START + values.DICT + values.MARK)
        for site in sites.SITES:
            if site.is_saved:
                yield self._give(values.text(site.key))
                yield from self._layers(site)
        tensors = (token_tensor(ids, first=index == 0) for index, ids in enumerate(tokens))
        yield self._give(
            values.text("tokens") + values.LIST + values.MARK + b"".join(tensors) + values.LIST_END
        )
        yield self._give(values.text("token_strings") + token_strings)
        yield self._give(values.text("labels") + labels)
        yield self._give(values.text("metadata") + metadata)
        # Hashes outlive versions of emoact, so this order stays: vectors by key, then patterns.
        for site in sorted(sites.SITES, key=lambda site: (not site.has_vectors, site.key)):
            if not site.is_saved and site.name in self._layout.sites:
                yield self._give(values.text(site.key))
                yield from self._layers(site)
        yield self._give(values.DICT_END + values.STOP)

    def _give(self, block: bytes | bytearray) -> bytes | bytearray:
        self._position += len(block)
        return block

    def _layers(self, site: Site) -> Iterator[bytes | bytearray]:
        """A list of layers, each a list of arrays; of a site of the last layer that one alone."""
        name = site.name
        layers = self._layout.layers(name) if name in self._layout.sites else range(0)
        if site.layers == "all":
            yield self._give(values.LIST + values.MARK)
        for layer in layers:
            yield self._give(values.LIST + values.MARK)
            for first, after in pairwise(self._blocks(name)):
                yield from self._arrays(name, layer, first, after)
            yield self._give(values.LIST_END)
        if site.layers == "all":
            yield self._give(values.LIST_END)

    def _blocks(self, site: SiteName) -> list[int]:
        """Samples at which a block ends; a block is one sample or several that fit together."""
        ends, size = [0], 0
        for sample in range(self._layout.n_samples):
            more = self._size(site, sample)
            if size and size + more > BLOCK:
                ends.append(sample)
                size = 0
            size += more
        return [*ends, self._layout.n_samples] if self._layout.n_samples else []

    def _arrays(
        self, site: SiteName, layer: int, first: int, after: int
    ) -> Iterator[bytes | bytearray]:
        if self._size(site, first) > BLOCK:
            yield from self._large_array(site, layer, first)
            return
        pieces: list[tuple[bytes, int]] = []
        total = 0
        for sample in range(first, after):
            start = self._array_start(site, sample, total)
            pieces.append((start, self._size(site, sample)))
            total += len(start) + pieces[-1][1] + len(ARRAY_END)
        block = bytearray(total)
        view = memoryview(block)
        buffers, at = [], 0
        for start, size in pieces:
            data, end = at + len(start), at + len(start) + size
            view[at:data] = start
            buffers.append(view[data:end])
            at = end + len(ARRAY_END)
            view[end:at] = ARRAY_END
        # The bytes are read from the disk into their places between the opcodes, without a copy.
        self._shard.read_into(site, layer, first, after, buffers)
        yield self._give(block)

    def _large_array(self, site: SiteName, layer: int, sample: int) -> Iterator[bytes | bytearray]:
        yield self._give(self._array_start(site, sample, 0))
        size = self._size(site, sample)
        for skip in range(0, size, BLOCK):
            block = bytearray(min(BLOCK, size - skip))
            buffers = [memoryview(block)]
            self._shard.read_into(site, layer, sample, sample + 1, buffers, skip=skip)
            yield self._give(block)
        yield self._give(ARRAY_END)

    def _array_start(self, site: SiteName, sample: int, ahead: int) -> bytes:
        first, self._first_array = self._first_array, False
        shape = self._layout.shape(site, sample)
        return array_start(shape, position=self._position + ahead, first=first)

    def _size(self, site: SiteName, sample: int) -> int:
        return math.prod(self._layout.shape(site, sample)) * ITEM_SIZE
