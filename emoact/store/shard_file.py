"""Scratch files: locked by their writer, preallocated, read and written at offsets."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Sequence
from pathlib import Path

from emoact.store.atomic import make_folder, try_lock

_ATTEMPTS = 100
_BUFFERS_PER_READ = 1024  # IOV_MAX of Linux and macOS
_NO_ALLOCATION = (errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


def open_locked(path: Path) -> int | None:
    """A new file at `path`, locked while its writer runs; None where another process holds it.

    Missing folders are created. A file that a killed writer left at `path` is replaced.

    Raises:
        OSError: The file system refused.
    """
    for attempt in range(_ATTEMPTS):
        try:
            make_folder(path.parent)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:
            # Another run removed the folder while it was empty.
            if attempt == _ATTEMPTS - 1:
                raise
            continue
        except FileExistsError:
            if not _remove_if_stale(path):
                return None
            continue
        try:
            try_lock(descriptor, wait=True)
            # Before it was locked, another process may have removed it as stale.
            if os.fstat(descriptor).st_nlink:
                return descriptor
        except BaseException:
            with contextlib.suppress(OSError):
                path.unlink()
            os.close(descriptor)
            raise
        os.close(descriptor)
    return None


def remove_stale_shards(partial: str | os.PathLike[str]) -> None:
    """Remove files of killed runs below a folder of work in progress, and empty folders."""
    for folder, _, names in os.walk(partial, topdown=False):
        for name in names:
            with contextlib.suppress(OSError):
                _remove_if_stale(Path(folder, name))
        with contextlib.suppress(OSError):
            Path(folder).rmdir()


def allocate(descriptor: int, size: int) -> None:
    """Reserve the space, so that a full disk is found before the work starts.

    Raises:
        OSError: There is no room.
    """
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in _NO_ALLOCATION:
            raise
    except AttributeError:  # macOS
        pass
    else:
        return
    status = os.fstatvfs(descriptor)
    if size > status.f_bavail * status.f_frsize:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.ftruncate(descriptor, size)


def write_at(descriptor: int, data: bytes | memoryview, position: int) -> None:
    """Write all of the data, in as many system calls as it takes.

    Raises:
        OSError: The disk refused.
    """
    view = memoryview(data)
    while view:
        done = os.pwrite(descriptor, view, position)
        view, position = view[done:], position + done


def read_at(descriptor: int, buffers: Sequence[memoryview], position: int) -> None:
    """Fill the buffers one after the other, in as many system calls as it takes.

    Raises:
        OSError: The disk failed, or the file ends before the buffers do.
    """
    rest = [buffer for buffer in buffers if len(buffer)]
    while rest:
        done = os.preadv(descriptor, rest[:_BUFFERS_PER_READ], position)
        if not done:
            raise OSError(errno.EIO, "the file is shorter than it was")
        position += done
        rest = _without(rest, done)


def _remove_if_stale(path: Path) -> bool:
    """Remove the file unless a running process holds it; True when it is gone."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    try:
        if try_lock(descriptor) is False:
            return False
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    finally:
        os.close(descriptor)
    return True


def _without(buffers: Sequence[memoryview], count: int) -> list[memoryview]:
    """The buffers without their first `count` bytes."""
    for index, buffer in enumerate(buffers):
        if count < len(buffer):
            return [buffer[count:], *buffers[index + 1 :]]
        count -= len(buffer)
    return []
