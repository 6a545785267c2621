"""What each known opcode does to the machine; every other opcode refuses the file.

Source: CPython's `Lib/pickletools.py`, which defines every opcode.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from struct import Struct
from types import NoneType
from typing import Any, NoReturn

import numpy as np

from emoact.store.read import calls, literals
from emoact.store.read.machine import Machine, Stopped, decode, name_of
from emoact.store.read.refusal import Refused
from emoact.store.read.tokens import Text

Handler = Callable[[Machine], None]
_U4, _U8 = Struct("<I"), Struct("<Q")
_KEYS = frozenset(
    {str, int, float, bool, NoneType, np.str_, np.bool_, np.int64, np.int32, np.float64}
)
_OLD = frozenset(b"FILSTUVdglp")


def _refuse(machine: Machine) -> NoReturn:
    code = machine.data[machine.position - 1]
    if code in _OLD:
        raise Refused(f"opcode {name_of(code)} of pickle protocol 0 or 1, or of Python 2")
    raise Refused(f"opcode {name_of(code)}, which no activation file needs")


def _proto(machine: Machine) -> None:
    version = machine.data[machine.position]
    if machine.position != 1 or not 2 <= version <= 5:
        raise Refused(f"pickle protocol {version} at byte {machine.position - 1}; 2 to 5 are read")
    machine.position += 1


def _frame(machine: Machine) -> None:
    start = machine.skip(8)
    (length,) = _U8.unpack_from(machine.data, start)
    if length > machine.size - machine.position:
        raise Refused(f"a frame of {length:,} bytes, more than the file has left")


def _stop(_: Machine) -> NoReturn:
    raise Stopped


def _mark(machine: Machine) -> None:
    machine.below.append(machine.stack)
    machine.stack = []


def _empty_list(machine: Machine) -> None:
    machine.stack.append([])


def _append(machine: Machine) -> None:
    value = machine.stack.pop()
    _extend(machine, [value])


def _appends(machine: Machine) -> None:
    _extend(machine, machine.pop_mark())


def _extend(machine: Machine, values: list[Any]) -> None:
    target = machine.stack[-1]
    if type(target) is not list:
        raise Refused("values are appended to something that is no list")
    target.extend(values)


def _empty_dict(machine: Machine) -> None:
    machine.stack.append({})


def _setitem(machine: Machine) -> None:
    value = machine.stack.pop()
    key = machine.stack.pop()
    _set(machine, [key, value])


def _setitems(machine: Machine) -> None:
    _set(machine, machine.pop_mark())


def _set(machine: Machine, items: list[Any]) -> None:
    target = machine.stack[-1]
    if type(target) is not dict and type(target) is not OrderedDict:
        raise Refused("items are set on something that is no dict")
    if len(items) % 2:
        raise Refused("a dict with a key that has no value")
    for at in range(0, len(items), 2):
        key = items[at]
        if type(key) is Text:
            machine.charge_text(key.length)
            key = decode(machine.data[key.start : key.start + key.length])
        if type(key) not in _KEYS:
            raise Refused("a dict key that is no text, number, bool or None")
        if type(key) is int and not -(1 << 63) <= key < 1 << 63:
            raise Refused("a dict key that is an integer beyond 64 bits")
        target[key] = items[at + 1]


def _empty_tuple(machine: Machine) -> None:
    machine.stack.append(())


def _tuple(machine: Machine) -> None:
    items = machine.pop_mark()
    machine.stack.append(tuple(items))


def _tuple_of(length: int) -> Handler:
    def build(machine: Machine) -> None:
        stack = machine.stack
        if len(stack) < length:
            raise IndexError
        items = tuple(stack[-length:])
        del stack[-length:]
        stack.append(items)

    return build


def _put(machine: Machine, index: int) -> None:
    if index > machine.size:
        raise Refused(f"memo number {index:,} in a file of {machine.size:,} bytes")
    machine.memo[index] = machine.stack[-1]


def _binput(machine: Machine) -> None:
    _put(machine, machine.data[machine.skip(1)])


def _long_binput(machine: Machine) -> None:
    _put(machine, _U4.unpack_from(machine.data, machine.skip(4))[0])


def _memoize(machine: Machine) -> None:
    machine.memo[len(machine.memo)] = machine.stack[-1]


def _get(machine: Machine, index: int) -> None:
    try:
        machine.stack.append(machine.memo[index])
    except KeyError:
        raise Refused(f"memo number {index:,} is used before it is set") from None


def _binget(machine: Machine) -> None:
    at = machine.position
    machine.position = at + 1
    _get(machine, machine.data[at])


def _long_binget(machine: Machine) -> None:
    _get(machine, _U4.unpack_from(machine.data, machine.skip(4))[0])


_KNOWN: dict[bytes, Handler] = {
    b"\x80": _proto,
    b"\x95": _frame,
    b".": _stop,
    b"(": _mark,
    b"N": literals.push_none,
    b"\x88": literals.push_true,
    b"\x89": literals.push_false,
    b"J": literals.push_binint,
    b"K": literals.push_binint1,
    b"M": literals.push_binint2,
    b"\x8a": literals.push_long1,
    b"\x8b": literals.push_long4,
    b"G": literals.push_binfloat,
    b"X": literals.push_binunicode,
    b"\x8c": literals.push_short_binunicode,
    b"\x8d": literals.push_binunicode8,
    b"B": literals.push_binbytes,
    b"C": literals.push_short_binbytes,
    b"\x8e": literals.push_binbytes8,
    b"\x96": literals.push_binbytes8,
    b"]": _empty_list,
    b"a": _append,
    b"e": _appends,
    b"}": _empty_dict,
    b"s": _setitem,
    b"u": _setitems,
    b")": _empty_tuple,
    b"t": _tuple,
    b"\x85": _tuple_of(1),
    b"\x86": _tuple_of(2),
    b"\x87": _tuple_of(3),
    b"q": _binput,
    b"r": _long_binput,
    b"\x94": _memoize,
    b"h": _binget,
    b"j": _long_binget,
    b"c": calls.push_global,
    b"\x93": calls.push_stack_global,
    b"R": calls.call,
    b"b": calls.build,
}
HANDLERS: list[Handler] = [_KNOWN.get(bytes([code]), _refuse) for code in range(256)]
