"""Compact files made to deceive: by hand, one for each idea, and by chance from an honest one."""

import functools
import io
import json
import random
import struct
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pcodec import ChunkConfig, standalone

from emoact.store.compact.archive import ArchiveWriter
from emoact.store.compact.writing import write_compact
from tests.support.units import contract_metadata, sample_unit

Parts = dict[str, bytes]
ARRAY = "residual_stream/zarr.json"
CHUNK = "residual_stream/c/0/1/0"


@functools.cache
def honest() -> bytes:
    """A small unit as the writer leaves it."""
    metadata = contract_metadata("gpt2", "joy", n_layers=3, d_model=6, n_samples=3)
    unit = sample_unit(metadata=metadata)
    with tempfile.TemporaryDirectory() as folder:
        write_compact(Path(folder) / "unit.zarr.zip", shard=unit, **unit.parts())
        return (Path(folder) / "unit.zarr.zip").read_bytes()


def parts() -> Parts:
    """Its members, as Python's own zipfile finds them."""
    with zipfile.ZipFile(io.BytesIO(honest())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(content: Parts) -> bytes:
    """Members in an archive of the right structure, checksums included."""
    buffer = io.BytesIO()
    writer = ArchiveWriter(buffer.write)
    for name, data in content.items():
        writer.add(name, data)
    writer.finish()
    return buffer.getvalue()


def by_zipfile(change: Callable[[zipfile.ZipInfo], object], name: str = CHUNK) -> bytes:
    """The same members written by zipfile; one of them is changed first."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for each, data in parts().items():
            info = zipfile.ZipInfo(each)
            info.external_attr = 0o100644 << 16
            if each == name:
                change(info)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                archive.writestr(info, data)
    return buffer.getvalue()


def with_words(**changes: Any) -> bytes:
    """Other attributes of the group."""
    content = parts()
    document = json.loads(content["zarr.json"])
    document["attributes"] |= changes
    content["zarr.json"] = json.dumps(document).encode()
    return packed(content)


def with_metadata(**changes: Any) -> bytes:
    """Other metadata of the unit."""
    document = json.loads(parts()["zarr.json"])
    return with_words(metadata=document["attributes"]["metadata"] | changes)


def with_array(name: str = ARRAY, **changes: Any) -> bytes:
    """Another document of an array."""
    content = parts()
    document = json.loads(content[name]) | changes
    content[name] = json.dumps(document, separators=(",", ":")).encode()
    return packed(content)


def with_part(name: str, data: bytes) -> bytes:
    """Another member, or a further one."""
    return packed(parts() | {name: data})


def with_numbers(name: str, values: Any) -> bytes:
    """Other numbers in a chunk."""
    return with_part(name, bytes(standalone.simple_compress(values, ChunkConfig())))


def without(name: str) -> bytes:
    """A member less."""
    return packed({each: data for each, data in parts().items() if each != name})


def overlapping() -> bytes:
    """Two entries of the directory that lead to one member."""
    data = bytearray(honest())
    start = struct.unpack_from("<I", data, len(data) - 6)[0]
    second = start + 46 + struct.unpack_from("<H", data, start + 28)[0]
    struct.pack_into("<I", data, second + 42, 0)
    return bytes(data)


def ending(**changes: int) -> bytes:
    """Another end of the archive."""
    data = bytearray(honest())
    places = {"disk": (4, "<H"), "here": (8, "<H"), "all": (10, "<H"), "size": (12, "<I")}
    places |= {"start": (16, "<I"), "comment": (20, "<H")}
    for name, value in changes.items():
        at, kind = places[name]
        struct.pack_into(kind, data, len(data) - 22 + at, value)
    return bytes(data)


def bomb(layers: int) -> bytes:
    """A few bytes a layer that would become 8 MiB each."""
    content = parts()
    document = json.loads(content["zarr.json"])
    size = 2_000_000
    zeros = bytes(standalone.simple_compress(np.zeros(size, np.float32), ChunkConfig()))
    document["attributes"]["metadata"] |= {"n_layers": layers, "d_model": size}
    content["zarr.json"] = json.dumps(document).encode()
    for key in ("residual_stream", "mlp_output"):
        old = json.loads(content[f"{key}/zarr.json"])
        n_nodes = old["shape"][0]
        for name in [name for name in content if name.startswith(f"{key}/c/")]:
            del content[name]
        document = old | {"shape": [n_nodes, layers, size]}
        document["chunk_grid"]["configuration"]["chunk_shape"] = [1, 1, size]
        content[f"{key}/zarr.json"] = json.dumps(document, separators=(",", ":")).encode()
        for layer in range(layers):
            content |= {f"{key}/c/{node}/{layer}/0": zeros for node in range(n_nodes)}
    return packed(content)


def _codec(name: str, **configuration: Any) -> bytes:
    return with_array(codecs=[{"name": name, "configuration": configuration}])


INTS = np.arange(12, dtype=np.int32)
HOSTILE: dict[str, Callable[[], bytes]] = {
    "deflated": lambda: by_zipfile(lambda info: setattr(info, "compress_type", 8)),
    "a symbolic link": lambda: by_zipfile(lambda i: setattr(i, "external_attr", 0o120777 << 16)),
    "a device": lambda: by_zipfile(lambda i: setattr(i, "external_attr", 0o060644 << 16)),
    "an absolute name": lambda: by_zipfile(lambda info: setattr(info, "filename", "/etc/passwd")),
    "a name outside": lambda: by_zipfile(lambda info: setattr(info, "filename", "../../x")),
    "a Windows name": lambda: by_zipfile(lambda info: setattr(info, "filename", "C:\\x")),
    "the same name twice": lambda: by_zipfile(lambda info: setattr(info, "filename", ARRAY)),
    "a name that is no ASCII": lambda: by_zipfile(lambda info: setattr(info, "filename", "ü")),
    "a comment on a member": lambda: by_zipfile(lambda info: setattr(info, "comment", b"x" * 99)),
    "an extra field": lambda: by_zipfile(lambda i: setattr(i, "extra", b"\x99\x99\x02\x00ab")),
    "another date": lambda: by_zipfile(lambda i: setattr(i, "date_time", (1999, 1, 1, 0, 0, 0))),
    "overlapping members": overlapping,
    "bytes in front": lambda: b"MZ" + honest(),
    "bytes behind": lambda: honest() + b"x",
    "a comment": lambda: honest()[:-2] + b"\x03\x00abc",
    "another disk": lambda: ending(disk=1),
    "fewer members": lambda: ending(here=1, all=1),
    "65,535 members": lambda: ending(here=0xFFFF, all=0xFFFF),
    "a directory that is huge": lambda: ending(size=0xFFFFFFFE),
    "a directory elsewhere": lambda: ending(start=0xFFFFFFFF),
    "nothing but an end": lambda: honest()[-22:],
    "an empty archive": lambda: b"PK\x05\x06" + b"\0" * 18,
    "cut off": lambda: honest()[:-200],
    "a pickle": lambda: b"\x80\x04cos\nsystem\n(X\x04\x00\x00\x00true\x85R.",
    "no group": lambda: without("zarr.json"),
    "no chunk": lambda: without(CHUNK),
    "no index": lambda: without("index/c/0"),
    "a further member": lambda: with_part("evil.py", b"import os"),
    "a further array": lambda: with_part("other/zarr.json", parts()[ARRAY]),
    "a further chunk": lambda: with_part("residual_stream/c/0/3/0", b""),
    "a group that is no JSON": lambda: with_part("zarr.json", b"{"),
    "a group that is a list": lambda: with_part("zarr.json", b"[]"),
    "a group nested deep": lambda: with_part("zarr.json", b"[" * 1_000_000),
    "a group of many lists": lambda: with_part("zarr.json", b"[" + b"[]," * 5_000_000 + b"[]]"),
    "a group of many numbers": lambda: with_part("zarr.json", b"[" + b"1e1," * 3_000_000 + b"1]"),
    "a group of a long number": lambda: with_part("zarr.json", b"9" * 10_000_000),
    "a group of many texts": lambda: with_part("zarr.json", b"[" + b'"ab",' * 2_000_000 + b"1]"),
    "a group that is not UTF-8": lambda: with_part("zarr.json", b'{"\xff": 1}'),
    "another format": lambda: with_words(emoact_compact=99),
    "another precision": lambda: with_words(precision="rel1"),
    "positions called pooled vectors": lambda: with_words(keep="pooled"),
    "another part kept": lambda: with_words(keep=[1]),
    "no labels": lambda: with_words(labels=None),
    "labels that are a text": lambda: with_words(labels="joy"),
    "more labels": lambda: with_words(labels=["joy"] * 9),
    "strings that are numbers": lambda: with_words(token_strings=[1, 2, 3]),
    "strings that are lists": lambda: with_words(token_strings=[[[]] * 4, [[]], [[]] * 7]),
    "a string less": lambda: with_words(token_strings=[["a"] * 3, ["a"], ["a"] * 7]),
    "no metadata": lambda: with_words(metadata=None),
    "many layers": lambda: with_metadata(n_layers=10**9),
    "a wide model": lambda: with_metadata(d_model=10**12),
    "negative layers": lambda: with_metadata(n_layers=-3),
    "more prompts": lambda: with_metadata(n_samples=10**9),
    "an infinite count": lambda: with_metadata(n_layers=float("inf")),
    "objects": lambda: with_array(data_type="object"),
    "Python objects": lambda: with_array(data_type={"name": "numpy.object", "configuration": {}}),
    "texts": lambda: with_array(data_type="string"),
    "float64": lambda: with_array(data_type="float64"),
    "pickled chunks": lambda: _codec("numcodecs.pickle"),
    "blosc": lambda: _codec("blosc", cname="zstd", clevel=9, shuffle="noshuffle"),
    "gzip": lambda: _codec("gzip", level=9),
    "a codec of a package": lambda: _codec("os.system", command="true"),
    "no codec": lambda: with_array(codecs=[]),
    "a further codec": lambda: with_array(codecs=[*json.loads(parts()[ARRAY])["codecs"]] * 2),
    "a pcodec with settings": lambda: _codec("numcodecs.pcodec", level=8),
    "a huge shape": lambda: with_array(shape=[2**47, 2**47, 2**47]),
    "a shape beyond 64 bits": lambda: with_array(shape=[2**80, 3, 6]),
    "a negative shape": lambda: with_array(shape=[-1, 3, 6]),
    "a shape of booleans": lambda: with_array(shape=[True, 3, 6]),
    "a shape of floats": lambda: with_array(shape=[12.0, 3, 6]),
    "a shape of no layers": lambda: with_array(shape=[12, 0, 6]),
    "a shape without rows": lambda: with_array(shape=[0, 3, 6]),
    "one dimension": lambda: with_array(shape=[216]),
    "many dimensions": lambda: with_array(shape=[1] * 60),
    "another chunk": lambda: with_array(
        chunk_grid={"name": "regular", "configuration": {"chunk_shape": [2**40, 1, 6]}}
    ),
    "a chunk of nothing": lambda: with_array(
        chunk_grid={"name": "regular", "configuration": {"chunk_shape": [0, 0, 0]}}
    ),
    "an irregular grid": lambda: with_array(chunk_grid={"name": "rectangular"}),
    "shards": lambda: _codec("sharding_indexed", chunk_shape=[1, 1, 1]),
    "another separator": lambda: with_array(chunk_key_encoding={"name": "v2"}),
    "zarr of version 2": lambda: with_array(zarr_format=2),
    "a group in place of an array": lambda: with_array(node_type="group"),
    "transformers": lambda: with_array(storage_transformers=[{"name": "x"}]),
    "attributes": lambda: with_array(attributes={"x": 1}),
    "another filling": lambda: with_array(fill_value=1.0),
    "other names of dimensions": lambda: with_array(dimension_names=["a", "b", "c"]),
    "an array that is no JSON": lambda: with_part(ARRAY, b"\xff"),
    "an array that is long": lambda: with_part(ARRAY, b" " * 5_000_000),
    "an array that is null": lambda: with_part(ARRAY, b"null"),
    "a chunk of garbage": lambda: with_part(CHUNK, b"garbage"),
    "an empty chunk": lambda: with_part(CHUNK, b""),
    "a chunk of other numbers": lambda: with_numbers(CHUNK, np.arange(72, dtype=np.int64)),
    "a chunk of too few": lambda: with_numbers(CHUNK, np.zeros(71, np.float32)),
    "a chunk of too many": lambda: with_numbers(CHUNK, np.zeros(20_000_000, np.float32)),
    "an index of other length": lambda: with_numbers("index/c/0", np.arange(11, dtype=np.int32)),
    "a negative index": lambda: with_numbers("index/c/0", INTS - 1),
    "an index out of order": lambda: with_numbers("index/c/0", INTS[::-1].copy()),
    "an index beyond": lambda: with_numbers("index/c/0", INTS * 10**8),
    "an index of one": lambda: with_numbers("index/c/0", INTS * 0),
    "offsets that fall": lambda: with_numbers("offsets/c/0", np.array([0, 9, 5, 12])),
    "offsets beyond": lambda: with_numbers("offsets/c/0", np.array([0, 4, 5, 2**62])),
    "negative offsets": lambda: with_numbers("offsets/c/0", np.array([-4, 4, 5, 12])),
    "a bomb": lambda: bomb(4),
    "a larger bomb": lambda: bomb(60),
}
"""One for each idea; none of them may be read."""

_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 2**31, 2**63, 2**80, 1e308, float("nan"), "", "x" * 1000, [], {}, [[]] * 9,
    "numcodecs.pickle", "/etc/passwd",
)  # fmt: skip


def by_chance(seed: int) -> bytes:
    """An honest file with one thing changed; some are still honest."""
    random_ = random.Random(seed)
    content = parts()
    kind = random_.randrange(5)
    if kind == 0:
        data = bytearray(honest())
        for _ in range(random_.choice((1, 1, 2, 8))):
            data[random_.randrange(len(data))] = random_.randrange(256)
        return bytes(data)
    if kind == 1:
        data = bytearray(honest())
        start, length = random_.randrange(len(data)), random_.randrange(1, 400)
        piece = data[start : start + length]
        place = random_.randrange(len(data))
        if random_.random() < 0.5:
            data[place:place] = piece
        else:
            data[place : place + length] = piece if random_.random() < 0.5 else b""
        return bytes(data)
    if kind == 2:
        name = random_.choice([name for name in content if name.endswith("zarr.json")])
        document = json.loads(content[name])
        _change(document, random_)
        separators = (",", ":") if random_.random() < 0.8 else None
        content[name] = json.dumps(document, separators=separators).encode()
        return packed(content)
    name = random_.choice([name for name in content if "/c/" in name])
    if kind == 3:
        data = bytearray(content[name])
        for _ in range(random_.choice((1, 2, 8))):
            data[random_.randrange(len(data))] = random_.randrange(256)
        return packed(content | {name: bytes(data[: random_.choice((None, 3, -1))])})
    kinds = (np.int32, np.int64, np.float32, np.float64, np.uint16)
    values = np.zeros(random_.choice((0, 1, 4, 12, 72, 73, 10**6)), random_.choice(kinds))
    return with_numbers(name, values)


def _change(document: Any, random_: random.Random) -> None:
    """Change one value somewhere in a document."""
    while True:
        keys = list(document) if isinstance(document, dict) else list(range(len(document)))
        if not keys:
            return
        key = random_.choice(keys)
        inner = document[key]
        if isinstance(inner, dict | list) and inner and random_.random() < 0.7:
            document = inner
            continue
        document[key] = random_.choice(_VALUES)
        return
