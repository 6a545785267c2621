"""Pickle streams put together opcode by opcode, for files that no pickler would write."""

import struct
from typing import Any

START = b"\x80\x04"
STOP = b"."


class Raw(bytes):
    """Opcodes that leave one value on the stack."""


def name(module: str, attribute: str) -> Raw:
    """GLOBAL."""
    return Raw(b"c" + module.encode() + b"\n" + attribute.encode() + b"\n")


def stack_name(module: str, attribute: str) -> Raw:
    """STACK_GLOBAL."""
    return Raw(put(module) + put(attribute) + b"\x93")


def put(value: Any) -> Raw:
    """Opcodes for a plain value; `Raw` parts stay as they are."""
    if isinstance(value, Raw):
        return value
    if value is None:
        return Raw(b"N")
    if isinstance(value, bool):
        return Raw(b"\x88" if value else b"\x89")
    if isinstance(value, int):
        return _integer(value)
    if isinstance(value, float):
        return Raw(b"G" + struct.pack(">d", value))
    if isinstance(value, str):
        text = value.encode("utf-8", "surrogatepass")
        return Raw(b"X" + struct.pack("<I", len(text)) + text)
    if isinstance(value, bytes):
        return Raw(b"B" + struct.pack("<I", len(value)) + value)
    if isinstance(value, tuple):
        return Raw(b"(" + b"".join(map(put, value)) + b"t")
    if isinstance(value, list):
        return Raw(b"](" + b"".join(map(put, value)) + b"e")
    if isinstance(value, dict):
        items = b"".join(put(key) + put(item) for key, item in value.items())
        return Raw(b"}(" + items + b"u")
    raise TypeError(type(value))


def _integer(value: int) -> Raw:
    if 0 <= value < 256:
        return Raw(b"K" + bytes([value]))
    if -(2**31) <= value < 2**31:
        return Raw(b"J" + struct.pack("<i", value))
    length = value.bit_length() // 8 + 1
    return Raw(b"\x8a" + bytes([length]) + value.to_bytes(length, "little", signed=True))


def call(function: Raw, *args: Any) -> Raw:
    """REDUCE."""
    return Raw(function + put(args) + b"R")


def stream(value: Any, *, start: bytes = START) -> bytes:
    """A whole pickle of one value."""
    return start + put(value) + STOP


RECONSTRUCT = name("numpy._core.multiarray", "_reconstruct")
NDARRAY = name("numpy", "ndarray")
FLOAT_STATE = (3, "<", None, None, None, -1, -1, 0)


def dtype(
    code: Any = "f4", state: Any = FLOAT_STATE, flags: tuple[Any, ...] = (False, True)
) -> Raw:
    """A dtype with any state."""
    return Raw(call(name("numpy", "dtype"), code, *flags) + put(state) + b"b")


def array(
    *,
    version: Any = 1,
    shape: Any = (2, 3),
    kind: Any = None,
    fortran: Any = False,
    data: Any = bytes(24),
    subtype: Any = NDARRAY,
    first_shape: Any = (0,),
    typecode: Any = b"b",
) -> Raw:
    """An array by `_reconstruct` and BUILD with any field replaced."""
    state = (version, shape, dtype() if kind is None else kind, fortran, data)
    empty = call(RECONSTRUCT, subtype, first_shape, typecode)
    return Raw(empty + put(state) + b"b")


def frombuffer(*args: Any) -> Raw:
    """An array as protocol 5 has it, with any arguments."""
    return call(name("numpy._core.numeric", "_frombuffer"), *args)


def scalar(kind: Any, data: Any) -> Raw:
    """A NumPy scalar."""
    return call(name("numpy._core.multiarray", "scalar"), kind, data)


def nested_storage(
    *,
    type_name: str = "torch\nLongStorage",
    key: str = "1",
    location: str = "cpu",
    numel: Any = 3,
    view: Any = None,
    keys: Any = None,
    count: int = 3,
    data: bytes = bytes(24),
    kind: str = "storage",
    tail: bytes = b"",
    magic: int = 0x1950A86A20F9469CFC6C,
) -> bytes:
    """The bytes of a legacy `torch.save` of one storage, with any field replaced."""
    start = b"\x80\x02"
    system = {
        "protocol_version": 1001,
        "little_endian": True,
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }
    storage = Raw(b"c" + type_name.encode() + b"\n")
    identity = put((kind, storage, key, location, numel, view))
    listed = put([key] if keys is None else keys) if not isinstance(keys, str) else put([keys])
    # torch writes small integers and one-item lists in their shortest forms.
    short = identity.replace(b"J\xe9\x03\x00\x00", b"M\xe9\x03")
    listed = Raw(listed.replace(b"](", b"]").replace(b"e", b"a")) if keys is None else listed
    return (
        start + put(magic) + STOP
        + start + b"M\xe9\x03" + STOP
        + start + put(system).replace(b"J\xe9\x03\x00\x00", b"M\xe9\x03") + STOP
        + start + short + b"Q" + STOP
        + start + listed + STOP
        + struct.pack("<q", count) + data + tail
    )  # fmt: skip


def storage(content: Any = None, **fields: Any) -> Raw:
    """`torch.storage._load_from_bytes` of a nested file."""
    if content is None:
        content = nested_storage(**fields)
    return call(name("torch.storage", "_load_from_bytes"), content)


def tensor(
    *,
    of: Raw | None = None,
    offset: Any = 0,
    size: Any = (3,),
    stride: Any = (1,),
    gradient: Any = False,
    hooks: Any = None,
    more: tuple[Any, ...] = (),
) -> Raw:
    """A tensor with any argument replaced."""
    hooks = call(name("collections", "OrderedDict")) if hooks is None else hooks
    rebuild = name("torch._utils", "_rebuild_tensor_v2")
    return call(
        rebuild, storage() if of is None else of, offset, size, stride, gradient, hooks, *more
    )
