"""Known opcodes, one handler each; every other opcode refuses the file.

Names of classes and functions come from a closed table, without any look-up in Python.

Source: CPython's `Lib/pickletools.py`, which defines every opcode.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections import OrderedDict
from collections.abc import Callable
from struct import Struct
from types import NoneType
from typing import Any, NoReturn

import numpy as np

from emoact.store.read import numpy_values, torch_storages
from emoact.store.read.limits import EAGER_TEXT_BYTES, MAX_GLOBAL_LINE, MAX_INTEGER_BYTES, Refused
from emoact.store.read.machine import Machine, Stopped, decode, name_of
from emoact.store.read.tokens import GLOBALS, ArrayCell, DTypeCell, Global, Text

Handler = Callable[[Machine], None]
_U1, _U2, _U4, _U8 = Struct("<B"), Struct("<H"), Struct("<I"), Struct("<Q")
_I4, _F8 = Struct("<i"), Struct(">d")
_KEYS = frozenset(
    {str, int, float, bool, NoneType, np.str_, np.bool_, np.int64, np.int32, np.float64}
)
_OLD = frozenset(b"FILSTUVdglp")
_PIECE = 1 << 20


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
    machine.charge("text", length)
    value = int.from_bytes(machine.data[start : start + length], "little", signed=True)
    machine.stack.append(value)


def _unicode(machine: Machine, length: int) -> None:
    start = machine.skip(length)
    if length > EAGER_TEXT_BYTES:
        machine.stack.append(Text(start, length))
        return
    machine.charge("text", length)
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
            machine.charge("text", key.length)
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


def _global(machine: Machine) -> None:
    """GLOBAL: module and name as two lines."""
    module = _line(machine)
    _push(machine, module, _line(machine))


def _line(machine: Machine) -> str:
    start = machine.position
    window = bytes(machine.data[start : start + MAX_GLOBAL_LINE])
    length = window.find(b"\n")
    if length < 0:
        raise Refused("the name of a class or function without an end")
    machine.position = start + length + 1
    return window[:length].decode("utf-8", "replace")


def _stack_global(machine: Machine) -> None:
    """STACK_GLOBAL: module and name from the stack."""
    name = machine.stack.pop()
    module = machine.stack.pop()
    if type(module) is not str or type(name) is not str:
        raise Refused("the name of a class or function that is not a short text")
    _push(machine, module, name)


def _push(machine: Machine, module: str, name: str) -> None:
    machine.charge("names", 1)
    token = GLOBALS.get((module, name))
    if token is None:
        shown = ascii(f"{module}.{name}")[1:-1][:120]
        raise Refused(
            f"the file asks for {shown}; nothing was imported or called",
            remedy=(
                "Do not open this file with pickle.load unless you trust its author. A file of "
                "plain Python values, numpy arrays and CPU tensors needs no such name."
            ),
        )
    machine.stack.append(token)


def _call(machine: Machine) -> None:
    """REDUCE: one of the known constructors, interpreted in this package."""
    args = machine.stack.pop()
    function = machine.stack.pop()
    if type(args) is not tuple:
        raise Refused("a call whose arguments are not a tuple")
    if type(function) is not Global or function not in _CALLS:
        raise Refused("a call of an unknown constructor")
    machine.stack.append(_CALLS[function](machine, args))


def _build(machine: Machine) -> None:
    """BUILD: the state of a numpy dtype or array; of all other values it is refused."""
    state = machine.stack.pop()
    target = machine.stack[-1]
    if type(target) is DTypeCell:
        numpy_values.build_dtype(target, state)
    elif type(target) is ArrayCell:
        numpy_values.build_array(target, state)
    else:
        raise Refused("a state is set on a value that has none")


def _encode(machine: Machine, args: tuple[Any, ...]) -> memoryview:
    if len(args) != 2 or type(args[1]) is not str or args[1] != "latin1":
        raise Refused("an encoding other than latin1")
    text = args[0]
    try:
        if type(text) is str:
            machine.charge("copies", len(text))
            return memoryview(text.encode("latin1"))
        if type(text) is Text:
            machine.charge("copies", text.length)
            return _encode_pieces(machine.data[text.start : text.start + text.length])
    except UnicodeError:
        raise Refused("bytes written as text that is not latin1") from None
    raise Refused("an encoding of a value that is not text")


def _encode_pieces(data: memoryview) -> memoryview:
    # In pieces: one character beyond latin1 makes a str of the whole text four times as large.
    decoder = getincrementaldecoder("utf-8")()
    encoded = bytearray()
    for start in range(0, data.nbytes, _PIECE):
        piece = data[start : start + _PIECE]
        encoded += decoder.decode(piece, final=start + _PIECE >= data.nbytes).encode("latin1")
    return memoryview(encoded).toreadonly()


def _empty(args: tuple[Any, ...], value: Any, kind: str) -> Any:
    if args:
        raise Refused(f"{kind} made from arguments")
    return value


def _scalar(machine: Machine, args: tuple[Any, ...]) -> np.generic:
    for data in args[1:2]:
        machine.charge("copies", data.nbytes if type(data) is memoryview else 0)
    return numpy_values.scalar(args)


_CALLS: dict[Global, Callable[[Machine, tuple[Any, ...]], Any]] = {
    Global.DTYPE: lambda _, args: numpy_values.make_dtype(args),
    Global.RECONSTRUCT: lambda _, args: numpy_values.reconstruct(args),
    Global.FROMBUFFER: lambda _, args: numpy_values.frombuffer(args),
    Global.SCALAR: _scalar,
    Global.ENCODE: _encode,
    Global.BYTES: lambda machine, args: _empty(args, machine.data[:0], "bytes"),
    Global.ORDERED_DICT: lambda _, args: _empty(args, OrderedDict(), "an OrderedDict"),
    Global.LOAD_STORAGE: lambda _, args: torch_storages.load_storage(args),
    Global.REBUILD_TENSOR: lambda _, args: torch_storages.rebuild_tensor(args),
}


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
    b"c": _global,
    b"\x93": _stack_global,
    b"R": _call,
    b"b": _build,
}
HANDLERS: list[Handler] = [_KNOWN.get(bytes([code]), _refuse) for code in range(256)]
