"""Caps on what a stream may cost, derived from its size, so that no small file is expensive."""

from __future__ import annotations

from dataclasses import dataclass

MAX_DEPTH = 64
"""Containers inside containers; the contract needs four."""
MAX_INTEGER_BYTES = 64
"""Longest integer; our own files pad one to 64 bytes, so that arrays start at cache lines."""
MAX_DIMENSIONS = 8
MAX_GLOBAL_LINE = 256
EAGER_TEXT_BYTES = 256
"""Longer texts are decoded when it is known what they are for: a value, or bytes of protocol 2."""
MAX_TEXT_BYTES = 16 << 20
MAX_CHECKED_BYTES = 4 << 20
"""Largest array whose bit patterns must be looked at before anybody may use it (text, bool)."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the interpreter of one file may spend.

    Attributes:
        opcodes: Steps; an honest file has 14 to 25 an array, and hundreds of bytes to a step.
        names: Classes and functions named; picklers name each of about ten once.
        text_bytes: Bytes that become short texts and integers at once.
        copied_bytes: Bytes copied out of the map (protocol 2 stores bytes as text).
        containers: Lists, dicts and tuples that the finished value may consist of.
        nodes: Values reached when shared ones are counted every time they are met.
        reached_bytes: Bytes of arrays and texts reached, counted the same way.
    """

    opcodes: int
    names: int
    text_bytes: int
    copied_bytes: int
    containers: int
    nodes: int
    reached_bytes: int

    @classmethod
    def for_size(cls, size: int) -> Limits:
        """Caps for a file of this many bytes."""
        opcodes = 400_000 + size // 128
        return cls(
            opcodes=opcodes,
            names=50_000 + size // 1024,
            text_bytes=(16 << 20) + size // 8,
            copied_bytes=(1 << 20) + 2 * size,
            containers=200_000 + size // 512,
            nodes=2 * opcodes,
            reached_bytes=(64 << 20) + 4 * size,
        )
