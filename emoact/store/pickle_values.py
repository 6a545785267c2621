"""Plain values as pickle opcodes of protocol 4, so that the bytes depend on the values alone.

What each opcode does: `python -m pickletools FILE`, and the comments in Python's `pickletools.py`.
"""

from __future__ import annotations

import struct
from typing import Any

from emoact.errors import EmoactError

START = b"\x80\x04"
STOP = b"."
MARK = b"("
DICT = b"}"
DICT_END = b"u"
LIST = b"]"
LIST_END = b"e"

_DEEPEST = 64


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

    Args:
        value: The value.
        where: Its name in messages, such as `metadata`.

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
