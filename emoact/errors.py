"""The errors that a user of emoact can meet, each with the exit code it becomes."""

from __future__ import annotations


class EmoactError(Exception):
    """Something went wrong while the work was under way (exit code 1).

    Args:
        message: What is wrong and where: file, line, field, what was found, what is allowed.
        remedy: What to do next, as a sentence of its own.
    """

    exit_code = 1

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message


class RequestError(EmoactError):
    """The request was wrong in a way that shows before work starts (exit code 2)."""

    exit_code = 2


class CancelledError(EmoactError):
    """Somebody asked for the run to stop (exit code 130)."""

    exit_code = 130


class FileRefusedError(EmoactError):
    """A file cannot be trusted, or does not keep the contract (exit code 1).

    Args:
        message: What is wrong with it.
        path: The file.
        offset: Byte offset of the first thing that was refused, where there is one.
        remedy: What to do next.
    """

    def __init__(
        self, message: str, *, path: str, offset: int | None = None, remedy: str | None = None
    ) -> None:
        where = path if offset is None else f"{path}, byte {offset:,}"
        super().__init__(f"{where}: {message}", remedy=remedy)
        self.reason = message
        self.path = path
        self.offset = offset
