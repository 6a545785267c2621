"""Regular files, opened without waiting: no pipe, device or folder in place of a file is read."""

from __future__ import annotations

import errno
import os
import stat
from io import BufferedReader

from emoact.errors import RequestError

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

APPENDING = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
"""Flags to append to a file of a folder that may be a stranger's: no link is followed, and a named
pipe is refused instead of being waited for."""
_LONGEST_HEADER = 8_000_000
"""Bytes of a safetensors header; one of 10,000 tensors has 1 MB. Its parser takes 18 times as much
memory."""


def sole(descriptor: int, path: str | os.PathLike[str]) -> int:
    """The same open file, where no other name leads to it whose content would change with it.

    Raises:
        RequestError: It is closed again, because another name does.
    """
    if os.fstat(descriptor).st_nlink > 1:
        os.close(descriptor)
        raise RequestError(
            f"{os.fspath(path)} has a second name (a hard link), whose content would change too",
            remedy="Copy the folder, so that its files are its own (`cp -r`, without -l).",
        )
    return descriptor


def check_header(path: str | os.PathLike[str], *, follow: bool = True) -> None:
    """Check the length of the header of a safetensors file, before its parser reads the file.

    `follow=False` refuses a symbolic link.

    Raises:
        OSError: It cannot be opened, or is no regular file.
        ValueError: The header is longer than any.
    """
    with open_regular(path, follow=follow) as file:
        length = int.from_bytes(file.read(8), "little")
    if length > _LONGEST_HEADER:
        raise ValueError(f"its header says {length:,} bytes; at most {_LONGEST_HEADER:,} are read")


def is_there(path: str | os.PathLike[str]) -> bool:
    """True for a path that leads to something; False, unlike `Path`, where it may not be known."""
    return os.path.exists(path)  # noqa: PTH110


def names_in(folder: str | os.PathLike[str]) -> list[str]:
    """Names in a folder, sorted; none where it is missing, no folder, or may not be read."""
    try:
        return sorted(entry.name for entry in os.scandir(folder))
    except OSError:
        return []


def kind_of(mode: int) -> str:
    """Kind of a thing on disk that is no regular file, in words."""
    return next((kind for test, kind in _KINDS if test(mode)), "something special")


def open_regular(path: str | os.PathLike[str], *, follow: bool = True) -> BufferedReader:
    """A regular file, open for reading.

    `follow=False` refuses a symbolic link.

    Raises:
        OSError: It is missing, cannot be opened, or is no regular file; `strerror` says which.
    """
    # Without O_NONBLOCK, opening a named pipe would wait for a writer.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    try:
        descriptor = os.open(path, flags if follow else flags | os.O_NOFOLLOW)
    except ValueError:
        raise OSError(errno.EINVAL, "the path is not one that a file can have", path) from None
    except OSError as error:
        if error.errno == errno.ELOOP and not follow and os.path.islink(path):  # noqa: PTH114
            raise OSError(errno.ELOOP, "it is a symbolic link", path) from None
        raise
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise OSError(errno.EINVAL, f"it is {kind_of(mode)}, not a regular file", path)
