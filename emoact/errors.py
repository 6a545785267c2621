"""Errors of emoact, each with its exit code."""

from __future__ import annotations


class EmoactError(Exception):
    """Failure during the work (exit code 1).

    Args:
        message: Problem and place: file, line, field, value found, values allowed.
        remedy: Next step, as a sentence of its own.
    """

    exit_code = 1

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message


class RequestError(EmoactError):
    """Wrong request, found before the work starts (exit code 2)."""

    exit_code = 2


def as_request_error(error: EmoactError) -> RequestError:
    """The same error as a wrong request: no work has started."""
    return RequestError(error.message, remedy=error.remedy)


class CancelledError(EmoactError):
    """Cancellation by the user (exit code 130)."""

    exit_code = 130


class FileRefusedError(EmoactError):
    """File that cannot be trusted, or breaks the contract (exit code 1).

    Args:
        message: Problem.
        path: File.
        offset: Byte offset of the first refused content, or None.
        remedy: Next step.
    """

    def __init__(
        self, message: str, *, path: str, offset: int | None = None, remedy: str | None = None
    ) -> None:
        where = path if offset is None else f"{path}, byte {offset:,}"
        super().__init__(f"{where}: {message}", remedy=remedy)
        self.reason = message
        self.path = path
        self.offset = offset
