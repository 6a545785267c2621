"""A unit's contract pickle: the same bytes for the same unit, hashed while they are written."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from jaxtyping import Int64

from emoact import sites
from emoact.errors import EmoactError
from emoact.sites import Site
from emoact.store import pickle_opcodes as opcodes
from emoact.store.atomic import replace_atomically
from emoact.store.protocol import Written
from emoact.store.shard import Activations

_Piece = bytes | memoryview

BLOCK = 1 << 20
"""Bytes that are written and hashed at once, or up to twice as many."""

_BLOCKS_BEHIND = 8
"""Blocks that hashing may lag behind writing; as many are in memory at most."""


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

    The arguments are those of `Store.write`.

    Raises:
        EmoactError: The parts do not fit together, or the file could not be written.
    """
    check_parts(shard.layout.lengths, tokens, token_strings, labels)
    blocks = encode_unit(
        shard=shard, tokens=tokens, token_strings=token_strings, labels=labels, metadata=metadata
    )
    digest = hashlib.sha256()
    size = 0
    # Hashing takes as long as all the rest, and leaves the interpreter to it.
    behind = deque[Future[None]]()
    with (
        ThreadPoolExecutor(1, thread_name_prefix="hash") as hasher,
        replace_atomically(target, need=shard.layout.n_bytes) as file,
    ):
        for block in blocks:
            behind.append(hasher.submit(digest.update, block))
            file.write(block)
            size += len(block)
            if len(behind) > _BLOCKS_BEHIND:
                behind.popleft().result()
        for hashed in behind:
            hashed.result()
    return Written(sha256=digest.hexdigest(), size=size)


def encode_unit(
    *,
    shard: Activations,
    tokens: Sequence[Int64[np.ndarray, "..."]],
    token_strings: Sequence[Sequence[str]],
    labels: Sequence[str],
    metadata: Mapping[str, Any],
) -> Iterator[bytearray]:
    """The bytes of a contract pickle, block after block; the arguments are those of `Store.write`.

    Raises:
        EmoactError: An activation was never put, or the metadata hold other than plain values;
            the latter is raised before the first block.
    """
    fields = {
        "token_strings": [list(strings) for strings in token_strings],
        "labels": list(labels),
        "metadata": dict(metadata),
    }
    plain = {name: opcodes.plain(value, name) for name, value in fields.items()}
    return _blocks(_Encoder(shard, tokens, plain).pieces())


def _blocks(pieces: Iterable[_Piece]) -> Iterator[bytearray]:
    """The same bytes in blocks of `BLOCK` to twice as many bytes; the last may be smaller."""
    block = bytearray()
    for piece in pieces:
        view = memoryview(piece)
        for start in range(0, len(view), BLOCK):
            block += view[start : start + BLOCK]
            if len(block) >= BLOCK:
                yield block
                block = bytearray()
    yield block


class _Encoder:
    """Generator of the pieces of a unit, with the number of bytes so far."""

    def __init__(
        self,
        shard: Activations,
        tokens: Sequence[Int64[np.ndarray, "..."]],
        plain: Mapping[str, bytes],
    ) -> None:
        self._shard, self._tokens, self._plain = shard, tokens, plain
        self._position = 0
        self._first_array = True

    def pieces(self) -> Iterator[_Piece]:
        for piece in self._unit():
            self._position += len(piece)
            yield piece

    def _unit(self) -> Iterator[_Piece]:
        yield opcodes.START + opcodes.DICT + opcodes.MARK
        for site in sites.SITES:
            if site.is_saved:
                yield from self._site(site)
        yield opcodes.text("tokens") + opcodes.LIST + opcodes.MARK
        for index, ids in enumerate(self._tokens):
            yield opcodes.token_tensor(ids, first=index == 0)
        yield opcodes.LIST_END
        for name, value in self._plain.items():
            yield opcodes.text(name) + value
        # Hashes outlive versions of emoact, so this order stays: vectors by key, then patterns.
        for site in sorted(sites.SITES, key=lambda site: (not site.has_vectors, site.key)):
            if not site.is_saved and site.name in self._shard.layout.sites:
                yield from self._site(site)
        yield opcodes.DICT_END + opcodes.STOP

    def _site(self, site: Site) -> Iterator[_Piece]:
        """A list of layers, each a list of arrays; of a site of the last layer that one alone."""
        layout = self._shard.layout
        yield opcodes.text(site.key)
        if site.layers == "all":
            yield opcodes.LIST + opcodes.MARK
        for layer in layout.layers(site.name) if site.name in layout.sites else ():
            yield opcodes.LIST + opcodes.MARK
            for sample in range(layout.n_samples):
                shape = layout.shape(site.name, sample)
                yield opcodes.array_start(shape, position=self._position, first=self._first_array)
                self._first_array = False
                # As bytes without a copy; a view of an empty array has to be flat for that.
                rows = self._shard.rows(site.name, layer, sample).reshape(-1)
                yield rows.view(np.uint8).data
                yield opcodes.ARRAY_END
            yield opcodes.LIST_END
        if site.layers == "all":
            yield opcodes.LIST_END


def check_parts(
    lengths: Sequence[int],
    tokens: Sequence[Int64[np.ndarray, "..."]],
    token_strings: Sequence[Sequence[str]],
    labels: Sequence[str],
) -> None:
    """Check that every part has an entry for each sample, of its length.

    Raises:
        EmoactError: One has not.
    """
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
