"""Parts of a compact file, checked before memory is taken for what they stand for."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int32, Int64

from emoact import sites
from emoact.positions import POOLINGS
from emoact.schema import MANTISSA_BITS
from emoact.sites import Site
from emoact.store.compact.archive import AGAIN, Member, content
from emoact.store.compact.arrays import Form, as_json, decode, read_form, read_json
from emoact.store.compact.writing import FORMAT, POOLED_DIMENSIONS, site_dimensions
from emoact.store.read.limits import Refused


def heads_of(form: Form, offsets: Int64[np.ndarray, " edge"]) -> int:
    """Heads of a pattern `[head, pos, pos]`; 0 where no prompt has a position.

    Raises:
        Refused: The numbers do not make whole patterns.
    """
    squares = int(np.square(np.diff(offsets)).sum())
    n_heads = form.shape[0] // squares if squares else 0
    if n_heads * squares != form.shape[0]:
        raise Refused(
            f"{form.name}: {form.shape[0]:,} numbers do not make patterns of these prompts",
            remedy=AGAIN,
        )
    return n_heads


def words_of(data: memoryview, members: Mapping[str, Member]) -> dict[str, Any]:
    """Labels, strings of tokens and metadata."""
    member = members.get("zarr.json")
    if member is None:
        raise Refused("it has no zarr.json, so it is no compact unit", remedy=AGAIN)
    if member.size > (16 << 20) + data.nbytes // 4:
        raise Refused(f"zarr.json has {member.size:,} bytes, too many to read", remedy=AGAIN)
    text = content(data, member)
    # Those within texts are counted too: there are few of them for the bytes of the activations.
    counts = text.count(b"[") + text.count(b"{"), text.count(b",")
    for count, usual in zip(counts, (100_000, 1_000_000), strict=True):
        if count > usual + data.nbytes // 64:
            raise Refused(f"zarr.json has {count:,} lists or values, too many", remedy=AGAIN)
    found = read_json("zarr.json", text)
    words = found.get("attributes") if isinstance(found, dict) else None
    if not isinstance(words, dict) or found != {
        "attributes": words,
        "zarr_format": 3,
        "node_type": "group",
    }:
        raise Refused("zarr.json is not that of a zarr group of version 3", remedy=AGAIN)
    if words.get("emoact_compact") != FORMAT:
        raise Refused(
            f"its format is {words.get('emoact_compact')!r:.40}; this version of emoact reads "
            f"{FORMAT}",
            remedy="Read it with the version of emoact that wrote it.",
        )
    if words.get("precision") not in MANTISSA_BITS:
        raise Refused(f"its precision is {words.get('precision')!r:.40}", remedy=AGAIN)
    labels, strings = words.get("labels"), words.get("token_strings")
    if not isinstance(labels, list) or not isinstance(strings, list):
        raise Refused("labels or token_strings are missing", remedy=AGAIN)
    if len(labels) != len(strings) or not all(isinstance(each, list) for each in strings):
        raise Refused("labels and token_strings do not fit together", remedy=AGAIN)
    if words.get("keep") not in (None, "pooled"):
        raise Refused(f"it keeps {words['keep']!r:.40}, which is unknown", remedy=AGAIN)
    return {name: words.get(name) for name in ("labels", "token_strings", "metadata", "keep")}


def plain_forms(n_samples: int, n_positions: int) -> tuple[Form, ...]:
    """The arrays beside the activations, whose sizes follow from the words."""
    positions = (n_positions,)
    return (
        Form(name="offsets", dimensions=("edge",), shape=(n_samples + 1,), dtype="int64"),
        Form(name="tokens", dimensions=("position",), shape=positions, dtype="int64"),
        Form(name="index", dimensions=("position",), shape=positions, dtype="int32"),
    )


def plain_array(
    data: memoryview, members: Mapping[str, Member], form: Form
) -> np.ndarray[Any, np.dtype[Any]]:
    """The numbers of an array of one dimension."""
    text, *chunks = [
        content(data, _member(members, name)) for name in (form.document_name, *form.chunk_names())
    ]
    read_form(form.name, text, dimensions=form.dimensions, dtype=form.dtype)
    if text != as_json(form.document()):
        raise Refused(f"{form.name}: {form.shape[0]:,} numbers are needed", remedy=AGAIN)
    values = [decode(chunk, shape=form.chunk_shape, dtype=form.dtype) for chunk in chunks]
    joined = np.concatenate([np.empty(0, form.dtype), *values])[: form.shape[0]]
    joined.flags.writeable = False
    return joined


def _member(members: Mapping[str, Member], name: str) -> Member:
    if name not in members:
        raise Refused(f"{name} is missing", remedy=AGAIN)
    return members[name]


def check_index(index: Int32[np.ndarray, " position"]) -> int:
    """Number of nodes, which are numbered in the order of their first appearance.

    Raises:
        Refused: They are not.
    """
    if not index.size:
        return 0
    known = np.concatenate([[-1], np.maximum.accumulate(index)[:-1]])
    if index.min() < 0 or (index > known + 1).any():
        raise Refused(
            "index: nodes are not numbered in the order of their appearance", remedy=AGAIN
        )
    return int(index.max()) + 1


def site_forms(
    data: memoryview,
    members: Mapping[str, Member],
    n_nodes: int,
    offsets: Int64[np.ndarray, " edge"],
) -> dict[Any, Form]:
    """Arrays by site."""
    return {
        site.name: _site_form(site, content(data, member), n_nodes, offsets)
        for site in sites.SITES
        if (member := members.get(f"{site.key}/zarr.json")) is not None
    }


def pooled_forms(
    data: memoryview, members: Mapping[str, Member], n_samples: int
) -> dict[Any, Form]:
    """Arrays by site and pooling."""
    forms: dict[Any, Form] = {}
    for site, pooling in itertools.product(sites.SITES, POOLINGS):
        name = f"{site.key}.{pooling}"
        member = members.get(f"{name}/zarr.json")
        if member is None or not site.has_vectors:
            continue
        text = content(data, member)
        form = read_form(name, text, dimensions=POOLED_DIMENSIONS, dtype="float32")
        if form.shape[0] != n_samples:
            raise Refused(f"{name}: {form.shape[0]:,} rows for {n_samples:,} prompts", remedy=AGAIN)
        forms[site.name, pooling] = form
    return forms


def _site_form(site: Site, text: bytes, n_nodes: int, offsets: Int64[np.ndarray, " edge"]) -> Form:
    form = read_form(site.key, text, dimensions=site_dimensions(site), dtype="float32")
    if not site.has_vectors:
        heads_of(form, offsets)
    elif form.shape[0] != n_nodes:
        raise Refused(
            f"{site.key}: {form.shape[0]:,} rows for {n_nodes:,} distinct prefixes", remedy=AGAIN
        )
    return form


def check_members(members: Mapping[str, Member], forms: Sequence[Form]) -> None:
    """Check that every chunk is there and nothing else; counts first, since they may be huge."""
    needed = 1 + sum(1 + form.n_chunks for form in forms)
    if needed == len(members):
        names = {name for form in forms for name in (form.document_name, *form.chunk_names())}
        unknown = members.keys() - names - {"zarr.json"}
    else:
        known = {"zarr.json", *(form.name for form in forms)}
        unknown = {name for name in members if name.split("/")[0] not in known}
    if unknown:
        raise Refused(f"it has the unknown part {min(unknown)!r:.80}", remedy=AGAIN)
    if needed != len(members):
        raise Refused(f"it has {len(members):,} parts; {needed:,} are needed", remedy=AGAIN)
