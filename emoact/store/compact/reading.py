"""Compact units from files, without zarr and without trust.

Opening reads the directory of the archive, the words and the index; chunks are unpacked when an
array is asked for, one layer at a time. What a file says of its sizes is checked against what it
holds before memory is taken for it.
"""

from __future__ import annotations

import functools
import math
import mmap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
from jaxtyping import Float32, Int32, Int64

from emoact import sites
from emoact.errors import FileRefusedError
from emoact.schema import Finding
from emoact.store.compact.archive import AGAIN, Member, content, read_members
from emoact.store.compact.arrays import Form, decode
from emoact.store.compact.checks import (
    check_index,
    check_members,
    heads_of,
    plain_array,
    plain_forms,
    pooled_forms,
    site_forms,
    words_of,
)
from emoact.store.contract import check_finite
from emoact.store.protocol import Verified
from emoact.store.read.closed import map_file, refusing
from emoact.store.read.limits import Refused
from emoact.store.reading import unit_of
from emoact.store.unit import Samples, Unit

_CHUNKS_REMEMBERED = 8
_USUAL_BYTES = 64 << 20
_USUAL_CELLS = 1_000_000


def read_compact(path: Path) -> Unit:
    """The unit in a compact file.

    Raises:
        FileRefusedError: The file cannot be trusted, or does not keep the contract.
    """
    data = map_file(path)
    with refusing(path):
        opened = _open(data, path)
    unit = unit_of(path, {**opened.words, **opened.stand_ins(), "tokens": opened.tokens()})
    # The unit has the words; of very many prompts they are not kept twice.
    opened.words.clear()
    if opened.is_pooled:
        none = dict.fromkeys(sites.site_names(), ())
        # Readers of vectors need no tokens, and may outlive those of very many prompts.
        small = replace(opened, ids=opened.ids[:0].copy(), offsets=opened.offsets[:0].copy())
        small.set_down()
        return replace(unit, by_site=none, pooled=small.pooled())
    return replace(
        unit,
        by_site={
            name: tuple(
                _Layer(opened, opened.forms[name], layer)
                for layer in range(opened.forms[name].shape[1])
            )
            if name in opened.forms
            else ()
            for name in sites.site_names()
        },
    )


def verify_compact(path: Path) -> Verified:
    """Check the contract, every checksum and every value of a compact file."""
    try:
        unit = read_compact(path)
        findings: tuple[Finding, ...] = (*unit.notes, *check_finite(unit))
        for read_array in unit.pooled.values():
            read_array()  # its checksums; a prompt without content has NaN for vectors
    except FileRefusedError as error:
        return Verified(unit=None, findings=(), refusal=error)
    return Verified(unit=unit, findings=findings)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Opened:
    """A file whose structure has been checked.

    Attributes:
        path: Path of the file.
        data: Its bytes.
        members: Its members.
        words: Labels, strings of tokens and metadata, until the unit is made.
        offsets: First position of each prompt, and the end.
        ids: Tokens of all prompts.
        index: Node of each position; empty where pooled vectors are kept.
        forms: Arrays by site, and where pooled vectors are kept, by site and pooling.
        is_pooled: True where pooled vectors are kept only.
    """

    path: Path
    data: memoryview
    members: Mapping[str, Member]
    words: dict[str, Any]
    offsets: Int64[np.ndarray, " edge"]
    ids: Int64[np.ndarray, " position"]
    index: Int32[np.ndarray, " _indexed"]
    forms: Mapping[Any, Form]
    is_pooled: bool

    @property
    def n_samples(self) -> int:
        return len(self.offsets) - 1

    def tokens(self) -> list[Int64[np.ndarray, " _pos"]]:
        return [self.ids[self.span(sample)] for sample in range(self.n_samples)]

    def span(self, sample: int) -> slice:
        return slice(int(self.offsets[sample]), int(self.offsets[sample + 1]))

    def stand_ins(self) -> dict[str, Any]:
        """Arrays of the right shapes without content, for the check of the contract."""
        found: dict[str, Any] = {}
        for name, form in self.forms.items():
            site = sites.site(name[0] if self.is_pooled else name)
            if site.key in found:
                continue  # another pooling
            shapes = [self.shape(form, sample) for sample in range(self.n_samples)]
            blank = np.zeros(max(map(math.prod, shapes), default=0), dtype=np.float32)
            blanks = [blank[: math.prod(shape)].reshape(shape) for shape in shapes]
            found[site.key] = blanks if site.layers == "last" else [blanks] * form.shape[1]
        return found

    def shape(self, form: Form, sample: int) -> tuple[int, ...]:
        """Shape of the array of one prompt at one layer."""
        length = int(self.offsets[sample + 1] - self.offsets[sample])
        if form.dimensions[0] == "node":
            return (length, *form.row_shape)
        if self.is_pooled:
            # The heads of a position are laid end to end: as one head they keep the contract.
            site = next(each for each in sites.SITES if form.name.startswith(f"{each.key}."))
            return (length, *(1,) * (len(site.shape.split()) - 2), *form.row_shape)
        return (heads_of(form, self.offsets), length, length)

    def pooled(self) -> dict[Any, Callable[..., np.ndarray[Any, np.dtype[Any]]]]:
        """Readers of the arrays of pooled vectors."""
        return {name: functools.partial(self.vectors, form) for name, form in self.forms.items()}

    def vectors(self, form: Form, only: int | None = None) -> Float32[np.ndarray, "prompt layer d"]:
        """Pooled vectors of all layers, or of one."""
        layers = range(form.shape[1]) if only is None else range(only, only + 1)
        found = np.empty((form.shape[0], len(layers), *form.row_shape), dtype=np.float32)
        for place, layer in enumerate(layers):
            for block in range(form.n_blocks):
                start = block * form.chunk_rows
                rows = found[start : start + form.chunk_rows, place]
                rows[:] = self.chunk(form, layer, block)[: len(rows)]
        found.flags.writeable = False
        self.set_down()
        return found

    def set_down(self) -> None:
        """Take the file out of memory; what is read again comes back."""
        if isinstance(self.data.obj, mmap.mmap):
            self.data.obj.madvise(mmap.MADV_DONTNEED)

    def chunk(self, form: Form, layer: int, block: int) -> Float32[np.ndarray, "row *width"]:
        """One chunk, unpacked."""
        with refusing(self.path):
            text = content(self.data, self.members[form.chunk_name(block, layer)])
            shape = (form.chunk_rows, *form.row_shape)
            return decode(text, shape=shape, dtype=form.dtype)

    def rows(
        self, form: Form, layer: int, nodes: Int64[np.ndarray, " pos"]
    ) -> Float32[np.ndarray, "pos *width"]:
        """The rows of some nodes, in memory of their own."""
        found = np.empty((len(nodes), *form.row_shape), dtype=np.float32)
        blocks = nodes // form.chunk_rows
        for block in np.unique(blocks).tolist():
            own = blocks == block
            chunk = _remembered(self, form, layer, block)
            found[own] = chunk[nodes[own] - block * form.chunk_rows]
        return found


@functools.lru_cache(maxsize=_CHUNKS_REMEMBERED)
def _remembered(
    opened: _Opened, form: Form, layer: int, block: int
) -> Float32[np.ndarray, "row *width"]:
    """A chunk; the last few are kept, since the prompts of a layer are read one after the other."""
    return opened.chunk(form, layer, block)


class _Layer(Samples):
    """The arrays of one layer, one per prompt, unpacked when asked for."""

    __slots__ = ("_form", "_layer", "_opened", "_samples")

    def __init__(
        self, opened: _Opened, form: Form, layer: int, samples: range | None = None
    ) -> None:
        self._opened, self._form, self._layer = opened, form, layer
        self._samples = range(opened.n_samples) if samples is None else samples

    def __len__(self) -> int:
        return len(self._samples)

    @overload
    def __getitem__(self, sample: int) -> Float32[np.ndarray, "..."]: ...
    @overload
    def __getitem__(self, sample: slice) -> _Layer: ...
    def __getitem__(self, sample: int | slice) -> Float32[np.ndarray, "..."] | _Layer:
        if isinstance(sample, slice):
            return _Layer(self._opened, self._form, self._layer, self._samples[sample])
        opened, form, own = self._opened, self._form, self._samples[sample]
        if form.dimensions[0] == "node":
            nodes = opened.index[opened.span(own)].astype(np.int64)
        else:
            # Of a pattern a row is one number: those of the earlier prompts come before.
            edges = np.square(np.diff(opened.offsets)).cumsum() * heads_of(form, opened.offsets)
            nodes = np.arange(edges[own - 1] if own else 0, edges[own])
        return opened.rows(form, self._layer, nodes).reshape(opened.shape(form, own))


def _open(data: memoryview, path: Path) -> _Opened:
    """Check the structure of a file, and read everything but the activations."""
    if bytes(data[:4]) != b"PK\x03\x04":
        raise Refused("it does not begin like a zip archive", remedy=AGAIN, offset=0)
    members = read_members(data)
    words = words_of(data, members)
    n_samples, strings = len(words["labels"]), words["token_strings"]
    n_positions = sum(map(len, strings))
    is_pooled = words.pop("keep") == "pooled"
    beside = plain_forms(n_samples, n_positions)[: 2 if is_pooled else 3]
    plain = {form.name: plain_array(data, members, form) for form in beside}
    if plain["offsets"].tolist() != np.cumsum([0, *map(len, strings)]).tolist():
        raise Refused("offsets: they do not fit the strings of the tokens", remedy=AGAIN)
    index = plain.get("index", np.empty(0, np.int32))
    forms: dict[Any, Form] = (
        pooled_forms(data, members, n_samples)
        if is_pooled
        else site_forms(data, members, check_index(index), plain["offsets"])
    )
    check_members(members, [*beside, *forms.values()])
    n_bytes = sum(form.n_bytes for form in forms.values())
    if n_bytes > _USUAL_BYTES + 200 * data.nbytes:
        raise Refused(
            f"{data.nbytes:,} bytes would become {n_bytes:,}; no activations are packed so well",
            remedy=AGAIN,
        )
    cells = n_samples * sum(form.shape[1] for form in forms.values())
    if cells > _USUAL_CELLS + data.nbytes // 16:
        raise Refused(f"{cells:,} arrays are too many for {data.nbytes:,} bytes", remedy=AGAIN)
    return _Opened(
        path=path,
        data=data,
        members=members,
        words=words,
        offsets=plain["offsets"],
        ids=plain["tokens"],
        index=index,
        forms=forms,
        is_pooled=is_pooled,
    )
