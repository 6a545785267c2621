"""Opcodes that name, call and build: a closed table of names, without any look-up in Python."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

from emoact.store.read import numpy_values, torch_storages
from emoact.store.read.limits import MAX_GLOBAL_LINE, Refused
from emoact.store.read.machine import Machine
from emoact.store.read.tokens import GLOBALS, ArrayCell, DTypeCell, Global, Text

_PIECE = 1 << 20


def push_global(machine: Machine) -> None:
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


def push_stack_global(machine: Machine) -> None:
    """STACK_GLOBAL: module and name from the stack."""
    name = machine.stack.pop()
    module = machine.stack.pop()
    if type(module) is not str or type(name) is not str:
        raise Refused("the name of a class or function that is not a short text")
    _push(machine, module, name)


def _push(machine: Machine, module: str, name: str) -> None:
    machine.names_left -= 1
    if machine.names_left < 0:
        raise Refused("more names of classes and functions than a file of this size can need")
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


def call(machine: Machine) -> None:
    """REDUCE: one of the known constructors, interpreted in this package."""
    args = machine.stack.pop()
    function = machine.stack.pop()
    if type(args) is not tuple:
        raise Refused("a call whose arguments are not a tuple")
    if type(function) is not Global or function not in _CALLS:
        raise Refused("a call of an unknown constructor")
    machine.stack.append(_CALLS[function](machine, args))


def build(machine: Machine) -> None:
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
            machine.charge_copy(len(text))
            return memoryview(text.encode("latin1"))
        if type(text) is Text:
            machine.charge_copy(text.length)
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


def _empty_bytes(machine: Machine, args: tuple[Any, ...]) -> memoryview:
    if args:
        raise Refused("bytes made from arguments")
    return machine.data[:0]


def _ordered_dict(_: Machine, args: tuple[Any, ...]) -> OrderedDict[Any, Any]:
    if args:
        raise Refused("an OrderedDict made from arguments")
    return OrderedDict()


def _scalar(machine: Machine, args: tuple[Any, ...]) -> np.generic:
    for data in args[1:2]:
        machine.charge_copy(data.nbytes if type(data) is memoryview else 0)
    return numpy_values.scalar(args)


_CALLS: dict[Global, Callable[[Machine, tuple[Any, ...]], Any]] = {
    Global.DTYPE: lambda _, args: numpy_values.make_dtype(args),
    Global.RECONSTRUCT: lambda _, args: numpy_values.reconstruct(args),
    Global.FROMBUFFER: lambda _, args: numpy_values.frombuffer(args),
    Global.SCALAR: _scalar,
    Global.ENCODE: _encode,
    Global.BYTES: _empty_bytes,
    Global.ORDERED_DICT: _ordered_dict,
    Global.LOAD_STORAGE: lambda _, args: torch_storages.load_storage(args),
    Global.REBUILD_TENSOR: lambda _, args: torch_storages.rebuild_tensor(args),
}
