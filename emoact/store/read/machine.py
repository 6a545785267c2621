"""Stack machine of pickle, closed: a few dozen opcodes and a few names."""

from __future__ import annotations

import pickletools
from typing import Any

from emoact.store.read.limits import Limits, Refused

_WITH_ONE_BYTE = b"\x80Kh"  # PROTO, BININT1, BINGET: their argument is read without `skip`
_USED_UP = {
    "names": "more names of classes and functions than a file of this size can need",
    "text": "more texts and numbers than a file of this size can need",
    "copies": "the same bytes are copied repeatedly",
}
_NAMES = {opcode.code: opcode.name for opcode in pickletools.opcodes}


class Stopped(Exception):  # noqa: N818 - the STOP opcode
    """End of the stream."""


class Machine:
    """State of the interpretation of one stream; the handlers of `opcodes` change it."""

    def __init__(self, data: memoryview, limits: Limits) -> None:
        self.data = data
        self.size = data.nbytes
        self.limits = limits
        self.position = 0
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.left = {
            "names": limits.names,
            "text": limits.text_bytes,
            "copies": limits.copied_bytes,
        }

    def skip(self, length: int) -> int:
        """Step over bytes, and return the position of the first.

        Raises:
            Refused: The bytes reach beyond the end of the file.
        """
        start = self.position
        if length > self.size - start:
            raise Refused(
                f"{length:,} bytes are announced, {max(0, self.size - start):,} are left: "
                "the file is cut short",
                remedy="Copy the file again, or make it again.",
            )
        self.position = start + length
        return start

    def next_byte(self) -> int:
        """The byte at the position, which is stepped over; IndexError at the end of the file."""
        value = self.data[self.position]
        self.position += 1
        return value

    def pop_mark(self) -> list[Any]:
        """Values above the last mark; the stack is restored to its state at the mark.

        Raises:
            Refused: There is no mark.
        """
        items = self.stack
        if not self.below:
            raise Refused("an opcode needs a mark, and there is none")
        self.stack = self.below.pop()
        return items

    def charge(self, resource: str, amount: int) -> None:
        """Count names, bytes of short texts and integers, or bytes copied out of the map.

        Raises:
            Refused: The sum exceeds the limit for a file of this size.
        """
        self.left[resource] -= amount
        if self.left[resource] < 0:
            raise Refused(_USED_UP[resource])


def decode(data: memoryview) -> str:
    """Text of UTF-8 bytes, without lone surrogates, which pages and JSON cannot hold.

    Raises:
        Refused: The bytes are not UTF-8.
    """
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise Refused(f"a text that is not UTF-8 ({error.reason})") from error


def run(machine: Machine, handlers: list[Any]) -> Any:
    """Interpret the stream up to STOP, and return its value.

    Raises:
        Refused: The stream holds an opcode outside the closed set; says its offset.
    """
    data = machine.data
    at = 0
    try:
        for _ in range(machine.limits.opcodes):
            at = machine.position
            machine.position = at + 1
            handlers[data[at]](machine)
    except Stopped:
        return _result(machine)
    except Refused as refusal:
        refusal.offset = at if refusal.offset is None else refusal.offset
        raise
    except IndexError as error:
        raise Refused(_shortage(machine, at), offset=at) from error
    raise Refused("more steps than a file of this size can need", offset=at)


def _shortage(machine: Machine, at: int) -> str:
    ends = machine.position >= machine.size
    if at >= machine.size or (ends and machine.data[at] in _WITH_ONE_BYTE):
        return "the file is cut short"
    return f"opcode {name_of(machine.data[at])} needs values, and the stack has none"


def _result(machine: Machine) -> Any:
    if machine.below or len(machine.stack) != 1:
        raise Refused("the stream ends with unfinished values", offset=machine.position)
    if machine.position != machine.size:
        raise Refused(
            f"{machine.size - machine.position:,} bytes follow the end of the pickle",
            remedy="Save one object per file.",
            offset=machine.position,
        )
    return machine.stack[0]


def name_of(code: int) -> str:
    """Name of an opcode for a message."""
    known = _NAMES.get(chr(code))
    return known or f"0x{code:02x}"
