"""Which positions of the prompts share one row: those that begin with the same tokens."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, Int64

from emoact import sites
from emoact.store.shard import Activations


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """Rows of the prompts among those of the distinct prefixes.

    Attributes:
        index: Node of each position of all prompts, one after the other. Nodes are numbered in the
            order of their first appearance.
        shared: First positions of each prompt that an earlier one has too.
        owners: That earlier prompt; -1 where nothing is shared.
        n_nodes: Distinct prefixes.
    """

    index: Int32[np.ndarray, " position"]
    shared: tuple[int, ...]
    owners: tuple[int, ...]
    n_nodes: int


def share_prefixes(
    tokens: Sequence[Int64[np.ndarray, " _pos"]],
    marks: Callable[[int], Sequence[int]] | None = None,
) -> Sharing:
    """Node of each distinct prefix; prompts that begin alike share their first nodes.

    Args:
        tokens: Ids of each prompt.
        marks: Function of a prompt that gives one mark a position. Prefixes with different marks
            are different: passes of other widths round the same prefix in another way.
    """
    children: dict[tuple[int, int, int], int] = {}
    creators: list[int] = []
    index: list[int] = []
    shared, owners = [], []
    for sample, ids in enumerate(tokens):
        node, known = -1, 0
        marked = [0] * len(ids) if marks is None else marks(sample)
        for token, mark in zip(ids.tolist(), marked, strict=True):
            child = children.get((node, token, mark))
            if child is None:
                child = children[node, token, mark] = len(creators)
                creators.append(sample)
            else:
                known += 1
            index.append(child)
            node = child
        shared.append(known)
        owners.append(creators[index[len(index) - len(ids) + known - 1]] if known else -1)
    return Sharing(
        index=np.array(index, dtype=np.int32),
        shared=tuple(shared),
        owners=tuple(owners),
        n_nodes=len(creators),
    )


def marks_of(shard: Activations, sample: int) -> list[int]:
    """One checksum a position, of the activations of all sites at the last layer."""
    found = [0] * shard.layout.lengths[sample]
    for name in shard.layout.sites:
        if sites.site(name).has_vectors:
            rows = np.ascontiguousarray(shard.rows(name, shard.layout.layers(name)[-1], sample))
            found = [zlib.crc32(row, mark) for row, mark in zip(rows, found, strict=True)]
    return found


def nothing_shared(tokens: Sequence[Int64[np.ndarray, " _pos"]]) -> Sharing:
    """A node for each position."""
    n_nodes = sum(map(len, tokens))
    return Sharing(
        index=np.arange(n_nodes, dtype=np.int32),
        shared=(0,) * len(tokens),
        owners=(-1,) * len(tokens),
        n_nodes=n_nodes,
    )
