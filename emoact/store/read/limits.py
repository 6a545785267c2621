"""Limits on the cost of a stream, and the refusal of one."""

from __future__ import annotations

from dataclasses import dataclass

RESAVE = (
    "Ask for the file as a dict of lists of numpy arrays, CPU tensors and plain Python values, "
    "saved with pickle.dump(..., protocol=4)."
)


class Refused(Exception):  # noqa: N818 - a verdict on a file
    """Content of a stream outside the closed set.

    Args:
        reason: Content that was found, and content that is allowed.
        remedy: Next step for the owner of the file.
        offset: Byte offset of the opcode; `machine.run` sets it.
    """

    def __init__(self, reason: str, *, remedy: str = RESAVE, offset: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.offset = offset


MAX_DEPTH = 64
"""Nested containers; the contract needs four."""
MAX_INTEGER_BYTES = 64
"""Longest integer; our files pad one to 64 bytes, so that arrays start at cache lines."""
MAX_DIMENSIONS = 8
MAX_GLOBAL_LINE = 256
EAGER_TEXT_BYTES = 256
"""Longer texts are decoded later, as a value or as bytes of protocol 2."""
MAX_TEXT_BYTES = 16 << 20
MAX_CHECKED_BYTES = 4 << 20
"""Largest text or bool array; its bit patterns are checked before it is used."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Resources for the interpretation of one file, so that no small file is expensive.

    Attributes:
        opcodes: Steps; ordinary files have 14 to 25 an array, and hundreds of bytes to a step.
        names: Names of classes and functions; picklers write about ten, once each.
        text_bytes: Bytes of short texts and integers.
        copied_bytes: Bytes copied out of the map (protocol 2 stores bytes as text).
        containers: Lists, dicts and tuples of the finished value.
        nodes: Values reached from the root; a shared value counts each time.
        reached_bytes: Bytes of arrays and texts reached, counted in the same way.
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
        """Limits for a file of this many bytes."""
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
