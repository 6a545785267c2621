"""Tensors: nested file of a storage, parsed without torch, and views of it.

A tensor in a plain pickle carries its storage as the bytes of a legacy `torch.save`: magic number,
protocol version and platform, then one persistent id `("storage", torch.<Type>Storage, key, "cpu",
numel, None)`, the list of keys, and the elements after their count. torch writes these bytes in
one way, so one regular expression states all allowed forms.

Source: `_legacy_save` and `_legacy_load` of `torch/serialization.py`; `__reduce__` of
`torch/storage.py`.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from typing import Any

import numpy as np

from emoact.store.read.limits import Refused
from emoact.store.read.numpy_values import check_shape
from emoact.store.read.tokens import BFloat16Array, Leaf, StorageCell

_DTYPES: dict[bytes, np.dtype[Any]] = {
    b"Double": np.dtype("<f8"),
    b"Float": np.dtype("<f4"),
    b"Half": np.dtype("<f2"),
    b"BFloat16": np.dtype("<u2"),
    b"Long": np.dtype("<i8"),
    b"Int": np.dtype("<i4"),
    b"Short": np.dtype("<i2"),
    b"Char": np.dtype("i1"),
    b"Byte": np.dtype("u1"),
    b"Bool": np.dtype("?"),
}
_PUT = rb"(?:q.)?"


def _text(text: bytes) -> bytes:
    return rb"X" + re.escape(len(text).to_bytes(4, "little") + text) + _PUT


_HEADER = re.compile(
    rb"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\."
    rb"\x80\x02M\xe9\x03\."
    rb"\x80\x02\}" + _PUT + rb"\("
    + _text(b"protocol_version") + rb"M\xe9\x03" + _text(b"little_endian") + rb"\x88"
    + _text(b"type_sizes") + rb"\}" + _PUT + rb"\("
    + _text(b"short") + rb"K\x02" + _text(b"int") + rb"K\x04" + _text(b"long") + rb"K[\x04\x08]uu\."
    + rb"\x80\x02\(" + _text(b"storage")
    + rb"ctorch\n(?P<type>[A-Za-z0-9]{1,20})Storage\n" + _PUT
    + rb"X(?P<key_length>.\0\0\0)(?P<key>[0-9]{1,20})" + _PUT
    + rb"X(?P<location_length>.\0\0\0)(?P<location>[a-z]{1,16}(?::[0-9]{1,4})?)" + _PUT
    + rb"(?:K(?P<u1>.)|M(?P<u2>..)|J(?P<i4>....)|\x8a(?P<long>[\x01-\x08].{1,8}?))Nt" + _PUT
    + rb"Q\.\x80\x02\]" + _PUT + rb"X(?P=key_length)(?P=key)" + _PUT + rb"a\.",
    re.DOTALL,
)  # fmt: skip
_HEADER_BYTES = 1024
_ON_CPU = "Move tensors to the CPU before saving: tensor.detach().cpu().clone()."


def load_storage(args: tuple[Any, ...]) -> StorageCell:
    """Storage in the nested file.

    Raises:
        Refused: The bytes differ from those that torch writes for one CPU storage.
    """
    if len(args) != 1 or type(args[0]) is not memoryview:
        raise Refused("a tensor storage that is not made of bytes")
    data = args[0]
    header = _HEADER.match(data[:_HEADER_BYTES])
    if header is None or not _lengths_agree(header):
        raise Refused("a nested tensor storage in a form that torch does not write")
    if header["location"] != b"cpu":
        raise Refused(f"a tensor on device {header['location'].decode()!r}", remedy=_ON_CPU)
    dtype = _DTYPES.get(header["type"])
    if dtype is None:
        raise Refused(
            f"a tensor of type {header['type'].decode()}Storage; allowed are "
            + ", ".join(name.decode() for name in _DTYPES),
            remedy="Convert tensors to int64 or float32 before saving.",
        )
    numel = _integer(header)
    start = header.end() + 8
    counted = int.from_bytes(data[header.end() : start], "little")
    if numel != counted or start + numel * dtype.itemsize != data.nbytes:
        raise Refused(f"a tensor storage of {numel:,} elements whose content has another length")
    return StorageCell(
        dtype=dtype, bfloat16=header["type"] == b"BFloat16", data=data[start:], numel=numel
    )


def _lengths_agree(header: re.Match[bytes]) -> bool:
    return all(
        int.from_bytes(header[f"{name}_length"], "little") == len(header[name])
        for name in ("key", "location")
    )


def _integer(header: re.Match[bytes]) -> int:
    for name in ("u1", "u2", "i4"):
        if header[name] is not None:
            return int.from_bytes(header[name], "little")
    length, value = header["long"][0], header["long"][1:]
    return int.from_bytes(value, "little") if length == len(value) else -1


def rebuild_tensor(args: tuple[Any, ...]) -> Leaf:
    """Tensor as a read-only view of its storage.

    Raises:
        Refused: The tensor reaches outside its storage, or is not a plain tensor.
    """
    if len(args) != 6:
        raise Refused(
            "a tensor that is not plain (conjugate or negative views, other types)", remedy=_ON_CPU
        )
    storage, offset, size, stride, requires_grad, hooks = args
    if type(storage) is not StorageCell:
        raise Refused("a tensor without a storage")
    if type(requires_grad) is not bool or type(hooks) is not OrderedDict or hooks:
        raise Refused("a tensor with hooks", remedy=_ON_CPU)
    if requires_grad and not storage.bfloat16 and storage.dtype.kind != "f":
        raise Refused("an integer tensor that requires gradients")
    shape = check_shape(size)
    if type(stride) is not tuple or len(stride) != len(shape):
        raise Refused("a tensor whose strides do not fit its shape")
    for step in (*stride, offset):
        if type(step) is not int or not 0 <= step < 1 << 48:
            raise Refused("a tensor with a stride or offset that is not a size")
    if math.prod(shape) > 1 << 48:
        raise Refused("a tensor with more elements than a file can hold")
    view = _view(storage, shape, offset, stride)
    return BFloat16Array(view) if storage.bfloat16 else view


def _view(
    storage: StorageCell, shape: tuple[int, ...], offset: int, stride: tuple[int, ...]
) -> np.ndarray[Any, np.dtype[Any]]:
    if 0 in shape:
        return np.ndarray(shape, storage.dtype, buffer=storage.data[:0])
    last = offset + sum((length - 1) * step for length, step in zip(shape, stride, strict=True))
    if last >= storage.numel:
        raise Refused(f"a tensor that ends at element {last:,} of {storage.numel:,} in its storage")
    item = storage.dtype.itemsize
    return np.ndarray(
        shape,
        storage.dtype,
        buffer=storage.data,
        offset=offset * item,
        strides=tuple(step * item for step in stride),
    )
