"""A unit as one zarr archive: each distinct prefix once, each layer a chunk."""

from __future__ import annotations

import contextlib
import functools
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float32, Int64, UInt32

from emoact import sites
from emoact.errors import EmoactError
from emoact.schema import MANTISSA_BITS, Precision
from emoact.sites import Site, SiteName
from emoact.store import pickle_opcodes
from emoact.store.atomic import replace_atomically
from emoact.store.compact.archive import ArchiveWriter
from emoact.store.compact.arrays import CHUNK_BYTES, LEVELS, PAGE, Form, as_json, encode
from emoact.store.compact.prefixes import Sharing, marks_of, nothing_shared, share_prefixes
from emoact.store.protocol import CompactStore, Written
from emoact.store.shard import Activations
from emoact.store.write import check_parts

FORMAT = 1
Chunk = Float32[np.ndarray, "row *width"]
POOLED_DIMENSIONS = ("prompt", "layer", "width")
"""Dimensions of an array of pooled vectors."""
_EXPONENT = np.uint32(0x7F800000)
_LARGEST = np.uint32(0x7F000000)
"""Exponent of the numbers that rounding may make infinite."""
_ROWS_REMEMBERED = 16
_BYTES_AHEAD = 8 << 20
_THREADS = 4
"""Most chunks that are packed at once; the codec leaves the interpreter to other threads."""


def write_compact(
    target: str | os.PathLike[str],
    *,
    shard: Activations,
    tokens: Sequence[Int64[np.ndarray, "..."]],
    token_strings: Sequence[Sequence[str]],
    labels: Sequence[str],
    metadata: Mapping[str, Any],
) -> Written:
    """Put a unit's archive in place of `target`, whole and on the disk, or leave `target` alone.

    The arguments are those of `Store.write`; the precision is that of `metadata.provenance`.

    Raises:
        EmoactError: The parts do not fit together, a value cannot be rounded, or the file could not
            be written.
    """
    words = checked_words(shard, tokens, token_strings, labels, metadata)
    precision = precision_of(metadata)
    try:
        sharing = share_prefixes(tokens, functools.partial(marks_of, shard))
        return _write(target, shard, tokens, words, precision, sharing)
    except _PrefixesDifferError:
        # A difference that the last layer does not show; nothing is shared then.
        return _write(target, shard, tokens, words, precision, nothing_shared(tokens))


def checked_words(
    shard: Activations,
    tokens: Sequence[Int64[np.ndarray, "..."]],
    token_strings: Sequence[Sequence[str]],
    labels: Sequence[str],
    metadata: Mapping[str, Any],
) -> dict[str, Any]:
    """Content of an archive beside arrays.

    Raises:
        EmoactError: The parts do not fit together, or hold other than plain values.
    """
    check_parts(shard.layout.lengths, tokens, token_strings, labels)
    words: dict[str, Any] = {
        "labels": list(labels),
        "token_strings": [list(strings) for strings in token_strings],
        "metadata": dict(metadata),
    }
    for name, value in words.items():
        pickle_opcodes.plain(value, name)
    return words


@contextlib.contextmanager
def new_archive(
    target: str | os.PathLike[str],
    words: Mapping[str, Any],
    tokens: Sequence[Int64[np.ndarray, " _pos"]],
    *,
    precision: Precision = "lossless",
    need: int = 0,
) -> Iterator[ArchiveWriter]:
    """An archive with its words, offsets and tokens; it takes its place once it was finished."""
    with replace_atomically(target, need=need) as file:
        archive = ArchiveWriter(_ahead(file))
        document = {"emoact_compact": FORMAT, "precision": precision, **words}
        group = {"attributes": document, "zarr_format": 3, "node_type": "group"}
        archive.add("zarr.json", as_json(group))
        offsets = np.cumsum([0, *map(len, tokens)], dtype=np.int64)
        ids = np.concatenate([np.empty(0, np.int64), *tokens]).astype(np.int64)
        add_plain_array(archive, "offsets", "edge", offsets)
        add_plain_array(archive, "tokens", "position", ids)
        yield archive


def _ahead(file: BinaryIO) -> Callable[[bytes], None]:
    """Writing to a file that the disk gets meanwhile, so that the end waits for little of it."""
    begun = 0

    def write(data: bytes) -> None:
        nonlocal begun
        file.write(data)
        end = file.tell()
        # Linux begins to write pages when told that they will not be read; macOS has no such call.
        if end - begun >= _BYTES_AHEAD and hasattr(os, "posix_fadvise"):
            file.flush()
            os.posix_fadvise(file.fileno(), begun, end - begun, os.POSIX_FADV_DONTNEED)
            begun = end

    return write


def precision_of(metadata: Mapping[str, Any]) -> Precision:
    """The precision in a unit's provenance; `lossless` where it says nothing.

    Raises:
        EmoactError: It is unknown.
    """
    provenance = metadata.get("provenance")
    stated = provenance.get("precision") if isinstance(provenance, Mapping) else None
    for precision in MANTISSA_BITS:
        if stated in (None, precision):
            return precision
    raise EmoactError(f"precision is {stated!r:.40}; allowed are {', '.join(MANTISSA_BITS)}")


def round_values(
    values: Float32[np.ndarray, "*shape"], precision: Precision
) -> Float32[np.ndarray, "*shape"]:
    """The nearest values with fewer mantissa bits, ties to even.

    Zeros, subnormal numbers, infinities and NaN stay as they are.

    Raises:
        EmoactError: A finite value would become infinite.
    """
    dropped = np.uint32(23 - MANTISSA_BITS[precision])
    if not dropped:
        return values
    whole: UInt32[np.ndarray, " value"] = np.ascontiguousarray(values).view(np.uint32).reshape(-1)
    found = np.empty_like(whole)
    one = np.uint32(1)
    half = (one << (dropped - one)) - one
    # A block stays in the processor's cache.
    for start in range(0, len(whole), PAGE):
        bits, rounded = whole[start : start + PAGE], found[start : start + PAGE]
        np.bitwise_and(bits, _EXPONENT, out=rounded)
        usual = rounded.min() > 0 and rounded.max() < _LARGEST
        np.right_shift(bits, dropped, out=rounded)
        rounded &= one
        rounded += bits
        rounded += half
        rounded &= ~((one << dropped) - one)
        if usual:
            continue
        exponent = bits & _EXPONENT
        kept = (exponent == 0) | (exponent == _EXPONENT)
        if ((rounded & _EXPONENT == _EXPONENT) & ~kept).any():
            raise EmoactError(
                f"a value beyond {np.finfo(np.float32).max:.3g} cannot be rounded to {precision}",
                remedy="Write the unit with --precision lossless.",
            )
        if kept.any():
            rounded[kept] = bits[kept]
    return found.view(np.float32).reshape(values.shape)


class _PrefixesDifferError(Exception):
    """Rows of one prefix that are not equal bit for bit."""


def site_dimensions(site: Site) -> tuple[str, ...]:
    """Dimensions of a site's array: rows are distinct prefixes, or single numbers of patterns."""
    return ("node", "layer", *site.shape.split()[1:]) if site.has_vectors else ("value", "layer")


def _write(
    target: str | os.PathLike[str],
    shard: Activations,
    tokens: Sequence[Int64[np.ndarray, " _pos"]],
    words: Mapping[str, Any],
    precision: Precision,
    sharing: Sharing,
) -> Written:
    forms = {
        name: _form(shard, sites.site(name), sharing)
        for name in sites.site_names()
        if name in shard.layout.sites
    }
    need = int(sum(form.n_bytes for form in forms.values()) / CompactStore.precisions[precision])
    with new_archive(target, words, tokens, precision=precision, need=need) as archive:
        add_plain_array(archive, "index", "position", sharing.index)
        spare = deque[Chunk]()
        for member, text, crc in _packed(_members(shard, forms, sharing, spare), precision, spare):
            archive.add(member, text, crc)
        return archive.finish()


def _members(
    shard: Activations, forms: Mapping[SiteName, Form], sharing: Sharing, spare: deque[Chunk]
) -> Iterator[tuple[str, bytes | Chunk, int]]:
    """Documents and chunks of all sites in the order of the file, with the codec's level."""
    for name, form in forms.items():
        yield form.document_name, as_json(form.document()), 0
        for at, layer in enumerate(shard.layout.layers(name)):
            for block, rows in enumerate(_blocks(shard, name, layer, form, sharing, spare)):
                yield form.chunk_name(block, at), rows, LEVELS[at % len(LEVELS)]


def _packed(
    members: Iterator[tuple[str, bytes | Chunk, int]], precision: Precision, spare: deque[Chunk]
) -> Iterator[tuple[str, bytes, int]]:
    """The members and their checksums in their order, chunks as pcodec stores them.

    A few are packed at once. `spare` gets the arrays of packed chunks.
    """
    count = min(os.cpu_count() or 1, _THREADS)
    waiting: deque[tuple[str, Future[tuple[bytes, int]]]] = deque()

    def pack(content: bytes | Chunk, level: int) -> tuple[bytes, int]:
        if isinstance(content, bytes):
            return content, zlib.crc32(content)
        n_dropped = 23 - MANTISSA_BITS[precision]
        text = encode(round_values(content, precision), n_dropped=n_dropped, level=level)
        spare.append(content)
        return text, zlib.crc32(text)

    # glibc gives the room of a chunk back, to ask for it page by page again, unless the
    # process has freed a larger block before.
    np.empty(2 * CHUNK_BYTES, dtype=np.uint8)
    with ThreadPoolExecutor(count) as executor:
        for member, content, level in members:
            waiting.append((member, executor.submit(pack, content, level)))
            if len(waiting) > count + 1:
                first, packed = waiting.popleft()
                yield first, *packed.result()
        for first, packed in waiting:
            yield first, *packed.result()


def _form(shard: Activations, site: Site, sharing: Sharing) -> Form:
    layout = shard.layout
    n_rows = sharing.n_nodes if site.has_vectors else int(layout.offsets(site.name)[-1])
    return Form(
        name=site.key,
        dimensions=site_dimensions(site),
        shape=(n_rows, len(layout.layers(site.name)), *layout.row_shape(site.name)),
        dtype="float32",
    )


def add_plain_array(
    archive: ArchiveWriter, name: str, dimension: str, values: np.ndarray[Any, np.dtype[Any]]
) -> None:
    """Add an array of one dimension."""
    form = Form(
        name=name,
        dimensions=(dimension,),
        shape=values.shape,
        dtype="int32" if values.dtype == np.int32 else "int64",
    )
    archive.add(form.document_name, as_json(form.document()))
    for block in range(form.n_blocks):
        rows = np.zeros(form.chunk_rows, dtype=values.dtype)
        own = values[block * len(rows) :][: len(rows)]
        rows[: len(own)] = own
        archive.add(form.chunk_name(block), encode(rows))


def _blocks(
    shard: Activations,
    name: str,
    layer: int,
    form: Form,
    sharing: Sharing,
    spare: deque[Chunk],
) -> Iterator[Chunk]:
    """The rows of the nodes at one layer in chunks, the last one filled with zeros."""
    shares = sites.site(name).has_vectors

    @functools.lru_cache(maxsize=_ROWS_REMEMBERED)
    def rows_of(sample: int) -> Float32[np.ndarray, "row *width"]:
        return shard.rows(name, layer, sample).reshape(-1, *form.row_shape)

    yield from in_chunks(
        (
            _new_rows(rows_of, sample, sharing) if shares else rows_of(sample)
            for sample in range(shard.layout.n_samples)
        ),
        form,
        spare,
    )


def _new_rows(
    rows_of: Callable[[int], np.ndarray], sample: int, sharing: Sharing
) -> Float32[np.ndarray, "row *width"]:
    """Rows of a prompt that no earlier prompt has."""
    rows, shared = rows_of(sample), sharing.shared[sample]
    if shared:
        earlier = rows_of(sharing.owners[sample])[:shared]
        if rows[:shared].tobytes() != earlier.tobytes():
            raise _PrefixesDifferError
    return rows[shared:]


def in_chunks(
    pieces: Iterator[Float32[np.ndarray, "row *width"]], form: Form, spare: deque[Chunk]
) -> Iterator[Chunk]:
    """The same rows in pieces of the size of a chunk, in arrays that are spare or else new."""
    size = form.chunk_rows

    def empty() -> Chunk:
        shape = (size, *form.row_shape)
        while spare:
            if (found := spare.popleft()).shape == shape:
                return found
        return np.empty(shape, dtype=np.float32)

    chunk, filled = empty(), 0
    for rows in pieces:
        start = 0
        while start < len(rows):
            taken = min(size - filled, len(rows) - start)
            chunk[filled : filled + taken] = rows[start : start + taken]
            start, filled = start + taken, filled + taken
            if filled == size:
                yield chunk
                chunk, filled = empty(), 0
    if filled:
        chunk[filled:] = 0
        yield chunk
    else:
        spare.append(chunk)
