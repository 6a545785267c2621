"""The one exception of the interpreter; `closed.load_closed` adds the path to it."""

from __future__ import annotations

RESAVE = (
    "Ask for the file as a dict of lists of numpy arrays, CPU tensors and plain Python values, "
    "saved with pickle.dump(..., protocol=4)."
)


class Refused(Exception):  # noqa: N818 - a verdict on a file, not a fault of ours
    """The stream asks for something outside the closed set.

    Args:
        reason: What was found and what is allowed.
        remedy: What the owner of the file can do.
        offset: Byte offset of the opcode; the machine fills it in.
    """

    def __init__(self, reason: str, *, remedy: str = RESAVE, offset: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.offset = offset
