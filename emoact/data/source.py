"""The bytes of a data set, read once from a regular file of bounded size."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from typing import BinaryIO

from emoact.data.refusal import refusal
from emoact.errors import RequestError

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """What was read from a path.

    Attributes:
        path: As the user gave it.
        data: The bytes.
        sha256: Their hash.
    """

    path: str
    data: bytes
    sha256: str


def open_regular(path: str) -> BinaryIO:
    """The file at a path, open for reading.

    Raises:
        RequestError: There is no such file, it is no regular file, or it cannot be opened.
    """
    try:
        # Without O_NONBLOCK, opening a named pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError:
        raise refusal(
            path, None, "there is no such file", remedy="Check the path given as the data set."
        ) from None
    except ValueError:
        raise refusal(
            path, None, "the path holds a NUL character", remedy="Give the path of a file."
        ) from None
    except OSError as error:
        raise refusal(
            path,
            None,
            f"the file cannot be opened ({error.strerror})",
            remedy="Check the path and that you may read it.",
        ) from None
    try:
        _check_kind(path, os.fstat(descriptor))
    except RequestError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def read_source(file: BinaryIO, *, path: str, max_bytes: int) -> Source:
    """What an open file holds.

    Raises:
        RequestError: It cannot be read, is empty or is larger than `max_bytes`.
    """
    try:
        data = file.read(max_bytes + 1)
    except OSError as error:
        raise refusal(
            path,
            None,
            f"the file cannot be read ({error.strerror})",
            remedy="Copy it to a working disk and try again.",
        ) from None
    if len(data) > max_bytes:
        raise refusal(
            path,
            None,
            f"the file is larger than {max_bytes:,} bytes",
            remedy="Split the data set, or raise max_bytes (environment: EMOACT_MAX_BYTES).",
        )
    if not data:
        raise refusal(
            path,
            None,
            "the file is empty",
            remedy="A data set needs at least one prompt with the fields text and emotion.",
        )
    return Source(path=path, data=data, sha256=hashlib.sha256(data).hexdigest())


def _check_kind(path: str, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    kind = next((kind for test, kind in _KINDS if test(status.st_mode)), "no regular file")
    raise refusal(
        path,
        None,
        f"this is {kind}; a data set is a regular file",
        remedy="Give the path of a .jsonl, .json, .csv, .tsv or .parquet file.",
    )
