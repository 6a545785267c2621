"""Arrays and token tensors as pickle opcodes, in the words of numpy and torch themselves.

The globals are those that numpy 2 and torch write at protocol 4. numpy 1.26 has them too, which is
why this is not protocol 5: `numpy._core.numeric._frombuffer` came with numpy 2 only.
"""

from __future__ import annotations

import struct

import numpy as np
from jaxtyping import Int64

from emoact.store.pickle_values import MARK, integer, text

ARRAY_END = b"tb"
"""Opcodes after the bytes of an array: TUPLE and BUILD."""

_ALIGNMENT = 64  # a cache line, so that arrays sliced out of a memory map compute at full speed


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


def array_start(shape: tuple[int, ...], *, position: int, first: bool) -> bytes:
    """The opcodes before the bytes of a float32 array in C order.

    Args:
        shape: Its shape.
        position: Where in the file they are written; the array's bytes then start at a multiple of
            the alignment.
        first: Whether it is the first array of the file.
    """
    before = (_FIRST_EMPTY if first else _EMPTY) + MARK
    size = 4 * int(np.prod(shape, dtype=np.int64))
    after = _shape(shape) + (_FIRST_FLOAT32 if first else _FLOAT32) + b"\x89\x8e"
    after += size.to_bytes(8, "little")
    # The state starts with its version, 1, which may be spelled with any number of zero bytes.
    spare = -(position + len(before) + 2 + len(after)) % _ALIGNMENT
    version = b"\x8a" + bytes([spare, 1]) + bytes(spare - 1) if spare else b"K\x01"
    return before + version + after


def token_tensor(ids: Int64[np.ndarray, " pos"], *, first: bool) -> bytes:
    """A torch int64 tensor with a storage of its own, of exactly its length.

    Args:
        ids: Token ids of one sample.
        first: Whether it is the first tensor of the file.
    """
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
