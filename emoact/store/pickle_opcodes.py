"""Values, arrays and token tensors as pickle opcodes; the bytes depend on the values alone.

What each opcode does: `python -m pickletools FILE`, and the comments in Python's `pickletools.py`.
The globals are those that numpy 2 and torch write at protocol 4. numpy 1.26 has them too, which is
why this is not protocol 5: `numpy._core.numeric._frombuffer` came with numpy 2 only.
"""

from __future__ import annotations

import functools
import math
import struct
from typing import Any

import numpy as np
from jaxtyping import Int64

from emoact.errors import EmoactError

START = b"\x80\x04"
STOP = b"."
MARK = b"("
DICT = b"}"
DICT_END = b"u"
LIST = b"]"
LIST_END = b"e"
ARRAY_END = b"tb"
"""Opcodes after the bytes of an array: TUPLE and BUILD."""

_DEEPEST = 64
ALIGNMENT = 64
"""A cache line, so that arrays sliced out of a memory map compute at full speed."""


def text(value: str) -> bytes:
    """A string."""
    data = value.encode("utf-8", "surrogatepass")
    if len(data) < 1 << 8:
        return b"\x8c" + len(data).to_bytes(1, "little") + data
    if len(data) < 1 << 32:
        return b"X" + len(data).to_bytes(4, "little") + data
    return b"\x8d" + len(data).to_bytes(8, "little") + data


def integer(value: int) -> bytes:
    """An integer of any size."""
    if 0 <= value < 1 << 8:
        return b"K" + value.to_bytes(1, "little")
    if 0 <= value < 1 << 16:
        return b"M" + value.to_bytes(2, "little")
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + value.to_bytes(4, "little", signed=True)
    size = (value.bit_length() >> 3) + 1
    data = value.to_bytes(size, "little", signed=True)
    if size < 1 << 8:
        return b"\x8a" + size.to_bytes(1, "little") + data
    return b"\x8b" + size.to_bytes(4, "little") + data


def plain(value: Any, where: str) -> bytes:
    """Scalars, strings, lists and dictionaries with string keys; nothing else.

    Raises:
        EmoactError: Something else is in it, such as a NumPy scalar; names where.
    """
    return b"".join(_pieces(value, where, 0))


def _pieces(value: Any, where: str, depth: int) -> list[bytes]:
    # By exact type: numpy.float64 is a float and numpy.str_ a str, and neither may get in.
    kind = type(value)
    if kind is str:
        return [text(value)]
    if value is None:
        return [b"N"]
    if kind is bool:
        return [b"\x88" if value else b"\x89"]
    if kind is int:
        return [integer(value)]
    if kind is float:
        return [b"G" + struct.pack(">d", value)]
    if depth == _DEEPEST:
        raise EmoactError(f"{where[:200]} is nested deeper than {_DEEPEST} levels")
    if kind is list:
        pieces = [LIST, MARK]
        for index, item in enumerate(value):
            pieces += _pieces(item, f"{where}[{index}]", depth + 1)
        return [*pieces, LIST_END]
    if kind is dict:
        pieces = [DICT, MARK]
        for key, item in value.items():
            if type(key) is not str:
                raise EmoactError(f"{where} has the key {key!r}; keys must be str")
            pieces.append(text(key))
            pieces += _pieces(item, f"{where}[{key!r}]", depth + 1)
        return [*pieces, DICT_END]
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    raise EmoactError(
        f"{where} is a {module}{kind.__qualname__}; a contract pickle holds None, bool, "
        "int, float, str, list and dict only",
        remedy="Convert it first, a NumPy value with .item() or .tolist().",
    )


def _global(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


def _put(index: int) -> bytes:
    return b"q" + bytes([index])


def _get(index: int) -> bytes:
    return b"h" + bytes([index])


def _shape(sizes: tuple[int, ...]) -> bytes:
    return MARK + b"".join(map(integer, sizes)) + b"t"


# _reconstruct(ndarray, (0,), b"b"), its global and its arguments remembered after the first time.
_EMPTY_ARGUMENTS = _global("numpy", "ndarray") + integer(0) + b"\x85" + b"C\x01b" + b"\x87"
_FIRST_EMPTY = (
    _global("numpy._core.multiarray", "_reconstruct") + _put(0) + _EMPTY_ARGUMENTS + _put(1) + b"R"
)
_EMPTY = _get(0) + _get(1) + b"R"
# dtype("f4", False, True), then its state: version 3, little-endian, no fields, no alignment.
_FIRST_FLOAT32 = (
    _global("numpy", "dtype") + text("f4") + b"\x89\x88\x87R"
    + MARK + integer(3) + text("<") + b"NNN" + integer(-1) + integer(-1) + integer(0) + b"tb"
    + _put(2)
)  # fmt: skip
_FLOAT32 = _get(2)

_FIRST_REBUILD = _global("torch._utils", "_rebuild_tensor_v2") + _put(3)
_REBUILD = _get(3)
_FIRST_STORAGE = _global("torch.storage", "_load_from_bytes") + _put(4)
_STORAGE = _get(4)
_FIRST_HOOKS = _global("collections", "OrderedDict") + _put(5)
_HOOKS = _get(5)

# torch.save(..., _use_new_zipfile_serialization=False) of one CPU storage: magic number, protocol
# version and system as pickles of their own, then the storage with its key, then all keys.
_STORAGE_HEAD = (
    b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
    b"\x80\x02M\xe9\x03."
    b"\x80\x02}q\x00(X\x10\x00\x00\x00protocol_versionq\x01M\xe9\x03"
    b"X\x0d\x00\x00\x00little_endianq\x02\x88X\x0a\x00\x00\x00type_sizesq\x03}q\x04("
    b"X\x05\x00\x00\x00shortq\x05K\x02X\x03\x00\x00\x00intq\x06K\x04X\x04\x00\x00\x00longq\x07K\x04uu."
    b"\x80\x02(X\x07\x00\x00\x00storageq\x00ctorch\nLongStorage\nq\x01X\x01\x00\x00\x000q\x02"
    b"X\x03\x00\x00\x00cpuq\x03"
)
_STORAGE_TAIL = b"Ntq\x04Q.\x80\x02]q\x00X\x01\x00\x00\x000q\x01a."


@functools.lru_cache(maxsize=4096)
def array_start(shape: tuple[int, ...], *, position: int, first: bool) -> bytes:
    """The opcodes before the bytes of a float32 array in C order.

    They are the same at every position that differs by a multiple of the alignment. At `position`
    in the file the opcodes are written; the array's bytes then start at a multiple of the
    alignment.
    """
    before = (_FIRST_EMPTY if first else _EMPTY) + MARK
    size = 4 * math.prod(shape)
    after = _shape(shape) + (_FIRST_FLOAT32 if first else _FLOAT32) + b"\x89\x8e"
    after += size.to_bytes(8, "little")
    # The state starts with its version, 1, which may be spelled with any number of zero bytes.
    spare = -(position + len(before) + 2 + len(after)) % ALIGNMENT
    version = b"\x8a" + bytes([spare, 1]) + bytes(spare - 1) if spare else b"K\x01"
    return before + version + after


def token_tensor(ids: Int64[np.ndarray, " pos"], *, first: bool) -> bytes:
    """A torch int64 tensor with a storage of its own, of exactly its length."""
    count = len(ids)
    storage = (
        _STORAGE_HEAD + integer(count) + _STORAGE_TAIL
        + struct.pack("<q", count) + ids.astype("<i8").tobytes()
    )  # fmt: skip
    return (
        (_FIRST_REBUILD if first else _REBUILD) + MARK
        + (_FIRST_STORAGE if first else _STORAGE)
        + b"\x8e" + len(storage).to_bytes(8, "little") + storage + b"\x85R"
        + integer(0) + _shape((count,)) + _shape((1,)) + b"\x89"
        + (_FIRST_HOOKS if first else _HOOKS) + b")R" + b"tR"
    )  # fmt: skip
