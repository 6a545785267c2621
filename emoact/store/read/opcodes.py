"""Known opcodes, one handler each; every other opcode refuses the file.

Source: CPython's `Lib/pickletools.py`, which defines every opcode.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from struct import Struct
from types import NoneType
from typing import Any, NoReturn

import numpy as np

from emoact.store.read import calls
from emoact.store.read.limits import EAGER_TEXT_BYTES, MAX_INTEGER_BYTES, Refused
from emoact.store.read.machine import Machine, Stopped, decode, name_of
from emoact.store.read.tokens import Text

Handler = Callable[[Machine], None]
_U1, _U2, _U4, _U8 = Struct("<B"), Struct("<H"), Struct("<I"), Struct("<Q")
_I4, _F8 = Struct("<i"), Struct(">d")
_KEYS = frozenset(
    {str, int, float, bool, NoneType, np.str_, np.bool_, np.int64, np.int32, np.float64}
)
_OLD = frozenset(b"FILSTUVdglp")


def _number(form: Struct) -> Handler:
    """Handler that pushes a number of fixed width: BININT, BININT2, BINFLOAT."""

    def push(machine: Machine) -> None:
        machine.stack.append(form.unpack_from(machine.data, machine.skip(form.size))[0])

    return push


def _sized(form: Struct, act: Callable[[Machine, int], None]) -> Handler:
    """Handler that reads a length or an index, and acts on it."""

    def read(machine: Machine) -> None:
        act(machine, form.unpack_from(machine.data, machine.skip(form.size))[0])

    return read


def _long(machine: Machine, length: int) -> None:
    if length > MAX_INTEGER_BYTES:
        raise Refused(f"an integer of {length:,} bytes; at most {MAX_INTEGER_BYTES} are read")
    start = machine.skip(length)
    machine.charge_text(length)
    value = int.from_bytes(machine.data[start : start + length], "little", signed=True)
    machine.stack.append(value)


def _unicode(machine: Machine, length: int) -> None:
    start = machine.skip(length)
    if length > EAGER_TEXT_BYTES:
        machine.stack.append(Text(start, length))
        return
    machine.charge_text(length)
    machine.stack.append(decode(machine.data[start : start + length]))


def _bytes(machine: Machine, length: int) -> None:
    start = machine.skip(length)
    machine.stack.append(machine.data[start : start + length])


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


def _append(machine: Machine, values: list[Any]) -> None:
    target = machine.stack[-1]
    if type(target) is not list:
        raise Refused("values are appended to a value that is not a list")
    target.extend(values)


def _set(machine: Machine, items: list[Any]) -> None:
    target = machine.stack[-1]
    if type(target) is not dict and type(target) is not OrderedDict:
        raise Refused("items are set on a value that is not a dict")
    if len(items) % 2:
        raise Refused("a dict with a key that has no value")
    for at in range(0, len(items), 2):
        key = items[at]
        if type(key) is Text:
            machine.charge_text(key.length)
            key = decode(machine.data[key.start : key.start + key.length])
        if type(key) not in _KEYS:
            raise Refused("a dict key that is not a text, number, bool or None")
        if type(key) is int and not -(1 << 63) <= key < 1 << 63:
            raise Refused("a dict key that is an integer beyond 64 bits")
        target[key] = items[at + 1]


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


def _get(machine: Machine, index: int) -> None:
    try:
        machine.stack.append(machine.memo[index])
    except KeyError:
        raise Refused(f"memo number {index:,} is used before it is set") from None


_KNOWN: dict[bytes, Handler] = {
    b"\x80": _proto,
    b"\x95": _frame,
    b".": _stop,
    b"(": _mark,
    b"N": lambda machine: machine.stack.append(None),
    b"\x88": lambda machine: machine.stack.append(True),
    b"\x89": lambda machine: machine.stack.append(False),
    b"J": _number(_I4),
    b"K": lambda machine: machine.stack.append(machine.next_byte()),
    b"M": _number(_U2),
    b"\x8a": _sized(_U1, _long),
    b"\x8b": _sized(_U4, _long),
    b"G": _number(_F8),
    b"X": _sized(_U4, _unicode),
    b"\x8c": _sized(_U1, _unicode),
    b"\x8d": _sized(_U8, _unicode),
    b"B": _sized(_U4, _bytes),
    b"C": _sized(_U1, _bytes),
    b"\x8e": _sized(_U8, _bytes),
    b"\x96": _sized(_U8, _bytes),
    b"]": lambda machine: machine.stack.append([]),
    b"a": lambda machine: _append(machine, [machine.stack.pop()]),
    b"e": lambda machine: _append(machine, machine.pop_mark()),
    b"}": lambda machine: machine.stack.append({}),
    b"s": lambda machine: _set(machine, [machine.stack.pop(-2), machine.stack.pop()]),
    b"u": lambda machine: _set(machine, machine.pop_mark()),
    b")": lambda machine: machine.stack.append(()),
    b"t": _tuple,
    b"\x85": _tuple_of(1),
    b"\x86": _tuple_of(2),
    b"\x87": _tuple_of(3),
    b"q": _sized(_U1, _put),
    b"r": _sized(_U4, _put),
    b"\x94": lambda machine: _put(machine, len(machine.memo)),
    b"h": lambda machine: _get(machine, machine.next_byte()),
    b"j": _sized(_U4, _get),
    b"c": calls.push_global,
    b"\x93": calls.push_stack_global,
    b"R": calls.call,
    b"b": calls.build,
}
HANDLERS: list[Handler] = [_KNOWN.get(bytes([code]), _refuse) for code in range(256)]
