"""Reading the files of a run directory, whatever somebody has put in their place."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from emoact.errors import RequestError


def read_regular(path: Path, *, limit: int, after: int = 0) -> bytes:
    """At most `limit` bytes of a regular file from byte `after` on.

    Raises:
        RequestError: It is missing, cannot be read, or is a link, a pipe or another odd thing.
    """
    try:
        # Without O_NONBLOCK, opening a named pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        said = "is missing" if isinstance(error, FileNotFoundError) else f"({error.strerror})"
        raise RequestError(f"{path.name} {said}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise RequestError(f"{path.name} is no regular file")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            file.seek(after)
            return file.read(limit)
    except OSError as error:
        raise RequestError(f"{path.name} ({error.strerror})") from error
    finally:
        os.close(descriptor)
