"""The stack machine of pickle, closed: it knows a few dozen opcodes and a few names."""

from __future__ import annotations

import pickletools
from typing import Any

from emoact.store.read.limits import Limits
from emoact.store.read.refusal import Refused

_WITH_ONE_BYTE = b"\x80Kh"  # PROTO, BININT1, BINGET: what follows them is read unasked
_NAMES = {opcode.code: opcode.name for opcode in pickletools.opcodes}


class Stopped(Exception):  # noqa: N818 - the STOP opcode, not a fault
    """The stream said that it ends."""


class Machine:
    """Interprets one stream; handlers of `opcodes` work on its fields.

    Args:
        data: The whole stream, as a read-only view of bytes.
        limits: What it may cost.
    """

    def __init__(self, data: memoryview, limits: Limits) -> None:
        self.data = data
        self.size = data.nbytes
        self.limits = limits
        self.position = 0
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.names_left = limits.names
        self.text_left = limits.text_bytes
        self.copy_left = limits.copied_bytes

    def skip(self, length: int) -> int:
        """Step over bytes that must be there; returns where they start.

        Raises:
            Refused: They reach beyond the end of the file.
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

    def pop_mark(self) -> list[Any]:
        """The values above the last mark; the stack is again what it was at the mark.

        Raises:
            Refused: There is no mark.
        """
        items = self.stack
        if not self.below:
            raise Refused("an opcode that needs a mark where there is none")
        self.stack = self.below.pop()
        return items

    def charge_text(self, length: int) -> None:
        """Count bytes that become short texts and integers.

        Raises:
            Refused: There are more than a file of this size can need.
        """
        self.text_left -= length
        if self.text_left < 0:
            raise Refused("more texts and numbers than a file of this size can need")

    def charge_copy(self, length: int) -> None:
        """Count bytes that leave the map.

        Raises:
            Refused: More is copied than a file of this size can need.
        """
        self.copy_left -= length
        if self.copy_left < 0:
            raise Refused("the same bytes are copied over and over")


def decode(data: memoryview) -> str:
    """UTF-8 without lone surrogates, which no page and no JSON document could carry.

    Raises:
        Refused: The bytes are not UTF-8.
    """
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError as error:
        raise Refused(f"a text that is not UTF-8 ({error.reason})") from error


def run(machine: Machine, handlers: list[Any]) -> Any:
    """Interpret the stream up to its STOP and return the one value it leaves.

    Raises:
        Refused: At the first thing outside the closed set, with its offset.
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
        raise Refused(_what_is_missing(machine, at), offset=at) from error
    raise Refused("more steps than a file of this size can need", offset=at)


def _what_is_missing(machine: Machine, at: int) -> str:
    ends = machine.position >= machine.size
    if at >= machine.size or (ends and machine.data[at] in _WITH_ONE_BYTE):
        return "the file is cut short"
    return f"opcode {name_of(machine.data[at])} needs values that are not there"


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
    """The name of an opcode for a message."""
    known = _NAMES.get(chr(code))
    return known or f"0x{code:02x}"
