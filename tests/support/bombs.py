"""Small or repetitive files that cost a careless reader gigabytes or hours."""

import struct
from collections.abc import Callable

from tests.support.assembler import (
    FLOAT_STATE,
    array,
    dtype,
    frombuffer,
    name,
    nested_storage,
    put,
    storage,
    stream,
    tensor,
)

P = b"\x80\x04"
ORDERED = name("collections", "OrderedDict")
WIDE = "🙂".encode()
FLOOD = 64 << 20
"""Bytes of the repetitive ones."""


def _flood(unit: bytes, *, before: bytes = b"", size: int = FLOOD) -> Callable[[], bytes]:
    end = b"e." if before.startswith(b"](") else b"."
    return lambda: P + before + unit * (size // len(unit)) + end


def _lists(levels: int) -> bytes:
    return P + _chain(b"](", b"e", levels) + b"."


def _chain(begin: bytes, end: bytes, levels: int) -> bytes:
    made = put(0) + b"\x94"
    for level in range(levels):
        get = b"j" + struct.pack("<I", level)
        made += begin + get * 10 + end + b"\x94"
    # Every level is still on the stack; one list takes them all.
    return b"](" + made + b"e"


def _numbers_with_one_hash(count: int) -> bytes:
    items = b"".join(
        b"\x8a\x10" + (at * (2**61 - 1)).to_bytes(16, "little") + b"N" for at in range(1, count)
    )
    return P + b"}(" + items + b"u."


def _text(characters: bytes, count: int) -> bytes:
    return b"\x8d" + struct.pack("<Q", len(characters) * count) + characters * count


def _tuple_key() -> bytes:
    doubled = b"".join(b"h%ch%c\x86\x94" % (at, at) for at in range(100))
    return P + b"}(" + b")\x94" + doubled + b"u."


def _repeated_encode() -> bytes:
    text = b"](" + _text(b"a", 1 << 20) + b"q\x00"
    calls = b"h\x01h\x00X\x06\0\0\0latin1\x86R" * 100_000
    return P + text + name("_codecs", "encode") + b"q\x01" + calls + b"e."


def _repeated_arrays(kind: bytes, size: int) -> bytes:
    data = b"\x8e" + struct.pack("<Q", 4 << 20) + bytes(4 << 20) + b"q\x00"
    function = name("numpy._core.numeric", "_frombuffer") + b"q\x01"
    rest = put((size,)) + put("C") + b"tR"
    first = function + b"(" + data + kind + b"q\x02" + rest
    return P + b"](" + first + (b"h\x01(h\x00h\x02" + rest) * 20_000 + b"e."


def _repeated_storage() -> bytes:
    count = 1 << 18
    inner = put(nested_storage(numel=count, count=count, data=bytes(8 * count))) + b"q\x00"
    rebuild = name("torch._utils", "_rebuild_tensor_v2") + b"q\x01"
    load = name("torch.storage", "_load_from_bytes") + b"q\x02"
    hooks = ORDERED + b"q\x03"
    geometry = put(0) + put((count,)) + put((1,)) + b"\x89"
    first = rebuild + b"(" + load + inner + b"\x85R" + geometry + hooks + b")RtR"
    again = b"h\x01(h\x02h\x00\x85R" + geometry + b"h\x03)RtR"
    return P + b"](" + first + again * 20_000 + b"e."


def _repeated_scalars() -> bytes:
    kind = dtype("U1024", (3, "<", None, None, None, 4096, 4, 8)) + b"q\x01"
    data = put(b"a\0\0\0" * 1024) + b"q\x02"
    function = name("numpy._core.multiarray", "scalar") + b"q\x03"
    return P + b"](" + kind + data + function + b"h\x03h\x01h\x02\x86R" * 90_000 + b"e."


def _repeated_text() -> bytes:
    return P + b"](" + _text(b"a", 8 << 20) + b"q\x00" + b"h\x00" * 200_000 + b"e."


def _repeated_bytes() -> bytes:
    data = b"\x8e" + struct.pack("<Q", 8 << 20) + bytes(8 << 20)
    return P + b"](" + data + b"q\x00" + b"h\x00" * 200_000 + b"e."


BOMBS: dict[str, Callable[[], bytes]] = {
    "nine bytes of LONG_BINPUT": lambda: b"\x80\x04Nr\xff\xff\xff\x7f.",
    "LONG_BINPUT, largest": lambda: b"\x80\x02Nr\xff\xff\xff\xff.",
    "memo numbers far apart": lambda: P + b"N" + b"".join(
        b"r" + struct.pack("<I", at * 2**20) for at in range(4096)
    ) + b".",
    "LONG4 announced": lambda: P + b"\x8b\xff\xff\xff\x7f.",
    "LONG4 given": lambda: P + b"\x8b" + struct.pack("<I", 8 << 20) + b"\x7f" * (8 << 20) + b".",
    "LONG1 flood": _flood(b"\x8a\x40" + b"\x7f" * 64, before=b"]("),
    "BINBYTES8 announced": lambda: P + b"\x8e" + b"\xff" * 7 + b"\x7f" + b".",
    "BYTEARRAY8 announced": lambda: P + b"\x96" + b"\xff" * 8 + b".",
    "BINUNICODE8 announced": lambda: P + b"\x8d" + b"\xff" * 8 + b".",
    "FRAME announced": lambda: P + b"\x95" + b"\xff" * 8 + b"N.",
    "nested tuple as a key": _tuple_key,
    "integers with one hash as keys": lambda: _numbers_with_one_hash(200_000),
    "ten to the tenth lists": lambda: _lists(10),
    "ten to the hundredth lists": lambda: _lists(100),
    "ten to the hundredth tuples": lambda: P + _chain(b"(", b"t", 100) + b".",
    "ten to the hundredth dicts": lambda: P + b"](" + put(0) + b"\x94" + b"".join(
        b"}(" + b"".join(put(str(key)) + b"j" + struct.pack("<I", level) for key in range(10))
        + b"u\x94" for level in range(100)
    ) + b"e.",
    "lists 400,000 deep": lambda: P + b"]" * 400_000 + b"a" * 399_999 + b".",
    "tuples 400,000 deep": lambda: P + b")" + b"\x85" * 400_000 + b".",
    "dicts 100,000 deep": lambda: P + b"}" + b"K\x00}" * 100_000 + b"s" * 100_000 + b".",
    "a list in itself": lambda: P + b"]\x94h\x00a.",
    "a dict in itself": lambda: P + b"}\x94K\x00h\x00s.",
    "two lists in each other": lambda: P + b"]\x94]\x94h\x00aa.",
    "a list in itself by a tuple": lambda: P + b"]\x94h\x00\x85a.",
    "empty lists": _flood(b"]"),
    "empty dicts, remembered": _flood(b"}\x94"),
    "empty lists in a list": _flood(b"]\x94", before=b"]("),
    "None": _flood(b"N"),
    "marks": _flood(b"("),
    "frames": _flood(b"\x95" + bytes(8)),
    "ordered dicts": _flood(b"h\x00)R", before=b"](" + ORDERED + b"q\x00"),
    "small tuples": _flood(b"NNN\x87"),
    "large integers": _flood(b"J\xff\xff\xff\x7f\x94"),
    "floats": _flood(b"G\x00\x00\x00\x00\x00\x00\x00\x01", before=b"]("),
    "short texts": _flood(b"\x8c\xff" + b"a" * 255),
    "short texts with one wide character": _flood(b"\x8c\xff" + b"a" * 251 + WIDE),
    "one long text with a wide character": lambda: P + _text(b"a", FLOOD)[:-4] + WIDE + b".",
    "long texts": _flood(b"X\x00\x10\x00\x00" + b"a" * 4096, before=b"]("),
    "latin1 that is none at its end": lambda: P + name("_codecs", "encode")
    + _text(b"a", FLOOD - 4)[:-4] + "🙂".encode() + b"X\x06\0\0\0latin1\x86R.",
    "the same text encoded over and over": _repeated_encode,
    "the same bytes as twenty thousand arrays": lambda: _repeated_arrays(dtype(), 1 << 20),
    "the same storage as twenty thousand tensors": _repeated_storage,
    "the same bool array over and over": lambda: _repeated_arrays(
        dtype("b1", (3, "|", None, None, None, -1, -1, 0)), 4 << 20
    ),
    "text scalars": _repeated_scalars,
    "the same long text over and over": _repeated_text,
    "the same long bytes over and over": _repeated_bytes,
    "a name without an end": lambda: P + b"c" + b"a" * FLOOD,
    "names": _flood(name("numpy", "ndarray")),
    "huge empty shape": lambda: stream(array(shape=(2**40, 0), data=b"")),
    "huge empty buffer": lambda: stream(frombuffer(b"", dtype(), (2**40, 0), "C")),
    "overflowing shape": lambda: stream(array(shape=(2**32, 2**32), data=b"")),
    "text dtype of 4 GiB": lambda: stream(
        array(kind=dtype("U1073741823", (3, "<", None, None, None, 2**32 - 4, 4, 8)), data=b"")
    ),
    "stretched tensor": lambda: stream(
        tensor(of=storage(), size=(2**20, 2**20), stride=(0, 0), offset=0)
    ),
    "stretched bfloat16": lambda: stream(
        tensor(
            of=storage(type_name="torch\nBFloat16Storage", numel=3, data=bytes(6)),
            size=(2**27,), stride=(0,),
        )
    ),
    "numpy scalars": lambda: P + b"](" + dtype() + b"q\x01" + put(bytes(4)) + b"q\x02"
    + name("numpy._core.multiarray", "scalar") + b"q\x03" + b"h\x03h\x01h\x02\x86R" * (4 << 20)
    + b"e.",
    "dtypes": lambda: P + b"](" + name("numpy", "dtype") + b"q\x01" + put(FLOAT_STATE) + b"q\x02"
    + put(("f4", False, True)) + b"q\x03" + b"h\x01h\x03Rh\x02b" * (4 << 20) + b"e.",
}  # fmt: skip
