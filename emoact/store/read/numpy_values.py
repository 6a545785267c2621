"""dtypes, arrays and scalars of numpy, rebuilt from the exact forms that numpy writes."""

from __future__ import annotations

import math
import re
from typing import Any, cast

import numpy as np

from emoact.store.read.limits import MAX_CHECKED_BYTES, MAX_DIMENSIONS, Refused
from emoact.store.read.tokens import ArrayCell, DTypeCell, Global

CODES = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
MAX_STRING_LENGTH = 1024
_STRING_CODE = re.compile(r"U([1-9][0-9]{0,3})")
_BUILT: dict[tuple[str, str], np.dtype[Any]] = {
    (code, order): np.dtype(order + code)
    for code in CODES
    for order in ("|" if code.endswith("1") else "<>")
}
_AS_FLOATS = "Convert such arrays with numpy.asarray(array, dtype=numpy.float32) and save again."


def make_dtype(args: tuple[Any, ...]) -> DTypeCell:
    """Cell for `numpy.dtype(code, False, True)`.

    Raises:
        Refused: The code is not one that an activation file can need.
    """
    if len(args) != 3 or type(args[0]) is not str or not _is_flags(args[1], args[2]):
        raise Refused("a numpy dtype with arguments that numpy does not write")
    code = args[0]
    if code not in CODES:
        length = _STRING_CODE.fullmatch(code)
        if length is None or int(length[1]) > MAX_STRING_LENGTH:
            raise Refused(
                f"numpy dtype {code[:40]!r}; allowed are {', '.join(CODES)} and short text (U)",
                remedy=_AS_FLOATS,
            )
    return DTypeCell(code)


def _is_flags(align: object, copy: object) -> bool:
    return type(align) in (bool, int) and type(copy) in (bool, int) and not align and copy == 1


def build_dtype(cell: DTypeCell, state: object) -> None:
    """Set the byte order of a dtype from the exact state that numpy writes.

    Raises:
        Refused: A field of the state differs from the one that numpy writes.
    """
    if cell.dtype is not None:
        raise Refused("a numpy dtype whose state is set twice")
    if type(state) is not tuple or len(state) != 8:
        raise Refused("a numpy dtype state that numpy does not write")
    version, order, subarray, names, fields, size, alignment, flags = state
    plain = (
        type(version) is int
        and version == 3
        and type(order) is str
        and subarray is names is fields is None
        and type(size) is type(alignment) is type(flags) is int
    )
    if not plain:
        raise Refused("a numpy dtype state that numpy does not write", remedy=_AS_FLOATS)
    if cell.code in CODES:
        if (cell.code, order) not in _BUILT or (size, alignment, flags) != (-1, -1, 0):
            raise Refused("a numpy dtype state that does not belong to its code")
        cell.dtype = _BUILT[cell.code, order]
        return
    if order not in ("<", ">") or (size, alignment, flags) != (4 * int(cell.code[1:]), 4, 8):
        raise Refused("a numpy dtype state that does not belong to its code")
    cell.dtype = np.dtype(order + cell.code)


def check_shape(shape: object) -> tuple[int, ...]:
    """Shape, checked to be a tuple of at most eight non-negative integers.

    Raises:
        Refused: It is not such a tuple, or has a zero beside huge lengths.
    """
    if type(shape) is not tuple or len(shape) > MAX_DIMENSIONS:
        raise Refused(f"an array shape that is not a tuple of at most {MAX_DIMENSIONS} integers")
    for length in shape:
        if type(length) is not int or not 0 <= length < 1 << 48:
            raise Refused("an array shape with a length that is not a size")
    if 0 in shape and math.prod(filter(None, shape)) > 1 << 20:
        raise Refused("an empty array whose other lengths are huge")
    return shape


def make_array(
    data: object, dtype: object, shape: object, order: object
) -> np.ndarray[Any, np.dtype[Any]]:
    """Array as a read-only view of bytes of the map.

    Raises:
        Refused: Type, shape and number of bytes do not agree.
    """
    if type(data) is not memoryview:
        raise Refused("an array whose content is not bytes")
    if type(dtype) is not DTypeCell or dtype.dtype is None:
        raise Refused("an array whose dtype is not complete")
    lengths = check_shape(shape)
    if type(order) is not str or order not in ("C", "F"):
        raise Refused("an array in an order other than C or F")
    expected = math.prod(lengths) * dtype.dtype.itemsize
    if expected != data.nbytes:
        raise Refused(
            f"an array of shape {lengths} and dtype {dtype.code} needs {expected:,} bytes, "
            f"its content has {data.nbytes:,}"
        )
    return np.ndarray(lengths, dtype.dtype, buffer=data, order="C" if order == "C" else "F")


def check_values(array: np.ndarray[Any, np.dtype[Any]]) -> None:
    """Refuse bit patterns that no value of the dtype has, which numpy does not check.

    Raises:
        Refused: A text holds a value that is not a character, or a bool is neither 0 nor 1.
    """
    kind = array.dtype.kind
    if kind not in "Ub" or not array.size:
        return
    if array.nbytes > MAX_CHECKED_BYTES:
        raise Refused(
            "a text or bool array larger than 4 MiB", remedy="Save texts as lists of str."
        )
    if kind == "b":
        if array.view(np.uint8).max() > 1:
            raise Refused("a bool array with values beside 0 and 1")
        return
    order = "<" if array.dtype.str[0] == "<" else ">"
    points = np.frombuffer(array.tobytes(), order + "u4")
    if points.max() > 0x10FFFF or ((points >= 0xD800) & (points < 0xE000)).any():
        raise Refused("a text array with values that are not characters")


def frombuffer(args: tuple[Any, ...]) -> np.ndarray[Any, np.dtype[Any]]:
    """Array of `_frombuffer(data, dtype, shape, order[, axes])`.

    Raises:
        Refused: The arguments are not as numpy writes them.
    """
    if len(args) == 4:
        return make_array(*args)
    if len(args) != 5 or type(args[3]) is not str or args[3] != "K" or type(args[4]) is not tuple:
        raise Refused("a numpy array with arguments that numpy does not write")
    data, dtype, shape, _, axes = args
    array = make_array(data, dtype, shape, "C")
    if any(type(axis) is not int for axis in axes) or sorted(axes) != list(range(array.ndim)):
        raise Refused("a numpy array whose axes are not a permutation")
    return array.transpose(axes)


def reconstruct(args: tuple[Any, ...]) -> ArrayCell:
    """Empty cell of `_reconstruct(ndarray, (0,), b"b")`.

    Raises:
        Refused: Another type than `numpy.ndarray`, or other arguments.
    """
    if (
        len(args) != 3
        or args[0] is not Global.NDARRAY
        or type(args[1]) is not tuple
        or len(args[1]) != 1
        or type(args[1][0]) is not int
        or args[1][0] != 0
        or type(args[2]) is not memoryview
        or bytes(args[2][:2]) != b"b"
    ):
        raise Refused("a numpy array with arguments that numpy does not write")
    return ArrayCell()


def build_array(cell: ArrayCell, state: object) -> None:
    """Fill the cell from `(1, shape, dtype, is_fortran, data)`.

    Raises:
        Refused: The state is not as numpy writes it, or is set twice.
    """
    if cell.array is not None:
        raise Refused("a numpy array whose state is set twice")
    if type(state) is not tuple or len(state) != 5:
        raise Refused("a numpy array state that numpy does not write")
    version, shape, dtype, fortran, data = state
    if type(version) is not int or version != 1 or type(fortran) is not bool:
        raise Refused("a numpy array state that numpy does not write", remedy=_AS_FLOATS)
    cell.array = make_array(data, dtype, shape, "F" if fortran else "C")


def scalar(args: tuple[Any, ...]) -> np.generic:
    """NumPy scalar of `scalar(dtype, data)`.

    Raises:
        Refused: Type and number of bytes do not agree.
    """
    if len(args) != 2:
        raise Refused("a NumPy scalar with arguments that numpy does not write")
    array = make_array(args[1], args[0], (), "C")
    check_values(array)
    return cast("np.generic", array[()])
