"""A unit's contract pickle on the disk, hashed while it is written."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from jaxtyping import Int64

from emoact.errors import EmoactError
from emoact.store.atomic import replace_atomically
from emoact.store.encode import encode_unit
from emoact.store.protocol import Written
from emoact.store.shard import UnitShard

_BLOCKS_BEHIND = 8
"""Blocks that hashing may lag behind writing; as many are in memory at most."""


def write_unit(
    target: str | os.PathLike[str],
    *,
    shard: UnitShard,
    tokens: Sequence[Int64[np.ndarray, "..."]],
    token_strings: Sequence[Sequence[str]],
    labels: Sequence[str],
    metadata: Mapping[str, Any],
) -> Written:
    """Put a unit's pickle in place of `target`, whole and on the disk, or leave `target` alone.

    Args:
        target: The contract pickle.
        shard: The activations; every one of them put. The caller removes it afterwards.
        tokens: Token ids of each sample, [pos].
        token_strings: The same as strings.
        labels: One per sample.
        metadata: Plain values; written as they are, nothing added.

    Raises:
        EmoactError: The parts do not fit together, or the file could not be written.
    """
    _check_parts(shard.layout.lengths, tokens, token_strings, labels)
    blocks = encode_unit(
        shard=shard,
        tokens=tokens,
        token_strings=token_strings,
        labels=labels,
        metadata=metadata,
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


def _check_parts(
    lengths: Sequence[int],
    tokens: Sequence[Int64[np.ndarray, "..."]],
    token_strings: Sequence[Sequence[str]],
    labels: Sequence[str],
) -> None:
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
