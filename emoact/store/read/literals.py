"""Opcodes that push a value which stands in the stream: numbers, texts, bytes."""

from __future__ import annotations

from struct import Struct

from emoact.store.read.limits import EAGER_TEXT_BYTES, MAX_INTEGER_BYTES
from emoact.store.read.machine import Machine, decode
from emoact.store.read.refusal import Refused
from emoact.store.read.tokens import Text

_U2, _U4, _U8, _I4, _F8 = Struct("<H"), Struct("<I"), Struct("<Q"), Struct("<i"), Struct(">d")


def push_none(machine: Machine) -> None:
    """NONE."""
    machine.stack.append(None)


def push_true(machine: Machine) -> None:
    """NEWTRUE."""
    machine.stack.append(True)


def push_false(machine: Machine) -> None:
    """NEWFALSE."""
    machine.stack.append(False)


def push_binint(machine: Machine) -> None:
    """BININT: four bytes, signed."""
    machine.stack.append(_I4.unpack_from(machine.data, machine.skip(4))[0])


def push_binint1(machine: Machine) -> None:
    """BININT1: one byte."""
    machine.stack.append(machine.data[machine.position])
    machine.position += 1


def push_binint2(machine: Machine) -> None:
    """BININT2: two bytes."""
    machine.stack.append(_U2.unpack_from(machine.data, machine.skip(2))[0])


def push_binfloat(machine: Machine) -> None:
    """BINFLOAT: eight bytes, big-endian."""
    machine.stack.append(_F8.unpack_from(machine.data, machine.skip(8))[0])


def _long(machine: Machine, length: int) -> None:
    if length > MAX_INTEGER_BYTES:
        raise Refused(f"an integer of {length:,} bytes; at most {MAX_INTEGER_BYTES} are read")
    start = machine.skip(length)
    machine.charge_text(length)
    value = int.from_bytes(machine.data[start : start + length], "little", signed=True)
    machine.stack.append(value)


def push_long1(machine: Machine) -> None:
    """LONG1: up to 255 bytes."""
    _long(machine, machine.data[machine.skip(1)])


def push_long4(machine: Machine) -> None:
    """LONG4: up to 4 GiB, of which few are read."""
    _long(machine, _U4.unpack_from(machine.data, machine.skip(4))[0])


def _unicode(machine: Machine, length: int) -> None:
    start = machine.skip(length)
    if length > EAGER_TEXT_BYTES:
        machine.stack.append(Text(start, length))
        return
    machine.charge_text(length)
    machine.stack.append(decode(machine.data[start : start + length]))


def push_short_binunicode(machine: Machine) -> None:
    """SHORT_BINUNICODE."""
    _unicode(machine, machine.data[machine.skip(1)])


def push_binunicode(machine: Machine) -> None:
    """BINUNICODE."""
    _unicode(machine, _U4.unpack_from(machine.data, machine.skip(4))[0])


def push_binunicode8(machine: Machine) -> None:
    """BINUNICODE8."""
    _unicode(machine, _U8.unpack_from(machine.data, machine.skip(8))[0])


def _bytes(machine: Machine, length: int) -> None:
    start = machine.skip(length)
    machine.stack.append(machine.data[start : start + length])


def push_short_binbytes(machine: Machine) -> None:
    """SHORT_BINBYTES."""
    _bytes(machine, machine.data[machine.skip(1)])


def push_binbytes(machine: Machine) -> None:
    """BINBYTES."""
    _bytes(machine, _U4.unpack_from(machine.data, machine.skip(4))[0])


def push_binbytes8(machine: Machine) -> None:
    """BINBYTES8 and BYTEARRAY8."""
    _bytes(machine, _U8.unpack_from(machine.data, machine.skip(8))[0])
