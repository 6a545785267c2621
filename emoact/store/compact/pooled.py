"""Units of which only the pooled vectors are kept: what phase 3 reads, in the same archive."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from jaxtyping import Float32, Int64

from emoact import sites
from emoact.errors import EmoactError
from emoact.positions import POOLINGS, Pooling, pool_layers
from emoact.sites import SiteName
from emoact.store.compact.archive import ArchiveWriter
from emoact.store.compact.arrays import Form, as_json, encode
from emoact.store.compact.writing import (
    POOLED_DIMENSIONS,
    Chunk,
    checked_words,
    in_chunks,
    new_archive,
)
from emoact.store.protocol import Written
from emoact.store.shard import Activations
from emoact.store.unit import Samples, Unit


def write_pooled(
    target: str | os.PathLike[str],
    *,
    shard: Activations,
    tokens: Sequence[Int64[np.ndarray, "..."]],
    token_strings: Sequence[Sequence[str]],
    labels: Sequence[str],
    metadata: Mapping[str, Any],
) -> Written:
    """Put the archive of a unit's pooled vectors in place of `target`, whole or not at all.

    The arguments are those of `Store.write`.

    Raises:
        EmoactError: The parts do not fit together, a site has no vectors, or the file could not be
            written.
    """
    words = checked_words(shard, tokens, token_strings, labels, metadata)
    sites.check_poolable(shard.layout.sites)
    unit = _unit_of(shard, tokens, words)
    with new_archive(target, {**words, "keep": "pooled"}, tokens) as archive:
        for name in unit.sites:
            for pooling in poolings_of(unit):
                _add(archive, name, pooling, pool_unit(unit, name, pooling))
        return archive.finish()


def poolings_of(unit: Unit) -> tuple[Pooling, ...]:
    """The poolings that are defined for a unit."""
    needs = {
        "last_template": "chat" in (unit.provenance or {}),
        "mean_response": unit.response_spans is not None,
    }
    return tuple(pooling for pooling in POOLINGS if needs.get(pooling, True))


def pool_unit(
    unit: Unit, name: SiteName, pooling: Pooling
) -> Float32[np.ndarray, "prompt layer d"]:
    """Pooled vectors of a site, from a file that keeps all positions."""
    return pool_layers(
        unit.site(name), pooling=pooling, content=unit.content, responses=unit.response_spans
    )


def form_name(name: SiteName, pooling: Pooling) -> str:
    """Folder of the array of a site and a pooling."""
    return f"{sites.site(name).key}.{pooling}"


def _add(
    archive: ArchiveWriter,
    name: SiteName,
    pooling: Pooling,
    pooled: Float32[np.ndarray, "prompt layer d"],
) -> None:
    form = Form(
        name=form_name(name, pooling),
        dimensions=POOLED_DIMENSIONS,
        shape=pooled.shape,
        dtype="float32",
    )
    archive.add(form.document_name, as_json(form.document()))
    spare = deque[Chunk]()
    for layer in range(pooled.shape[1]):
        for block, rows in enumerate(in_chunks(iter([pooled[:, layer]]), form, spare)):
            archive.add(form.chunk_name(block, layer), encode(rows))
            spare.append(rows)


def _unit_of(
    shard: Activations, tokens: Sequence[Int64[np.ndarray, "..."]], words: Mapping[str, Any]
) -> Unit:
    """The unit as it would be read from a file that keeps all positions."""
    layout = shard.layout
    return Unit(
        path=Path("unit"),
        by_site={
            name: tuple(_ShardLayer(shard, name, layer) for layer in layout.layers(name))
            for name in layout.sites
        },
        tokens=tuple(tokens),
        token_strings=tuple(map(tuple, words["token_strings"])),
        labels=tuple(words["labels"]),
        metadata=words["metadata"],
    )


class _ShardLayer(Samples):
    """The arrays of one layer, read from the shard when asked for."""

    __slots__ = ("_layer", "_name", "_shard")

    def __init__(self, shard: Activations, name: SiteName, layer: int) -> None:
        self._shard, self._name, self._layer = shard, name, layer

    def __len__(self) -> int:
        return self._shard.layout.n_samples

    @overload
    def __getitem__(self, sample: int) -> Float32[np.ndarray, "..."]: ...
    @overload
    def __getitem__(self, sample: slice) -> Samples: ...
    def __getitem__(self, sample: int | slice) -> Float32[np.ndarray, "..."] | Samples:
        if isinstance(sample, slice):
            raise EmoactError("a shard is read one sample at a time")
        # Iteration ends at an IndexError.
        if not 0 <= sample < len(self):
            raise IndexError(sample)
        return self._shard.rows(self._name, self._layer, sample)
