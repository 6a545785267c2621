"""Files that are locked while their process runs; the kernel frees them, however that ends."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from pathlib import Path

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC

_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)
_ATTEMPTS = 100
_PAUSE_S = 0.01


def try_lock(descriptor: int, *, wait: bool = False, shared: bool = False) -> bool | None:
    """Lock an open file; None where the file system has no locks.

    With `wait` it waits until the file is free; otherwise it returns False when another process
    holds it. A `shared` lock is one that others may share.

    Raises:
        OSError: The file system refused for another reason.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind if wait else kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return None
        raise
    return True


def acquire(path: Path, *, patience_s: float = 0.0) -> int | None:
    """The open file at `path`, locked; None when another process holds it after `patience_s`.

    Raises:
        OSError: The file cannot be made, or the file system has no locks (ENOLCK).
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
    deadline = time.monotonic() + patience_s
    locked: bool | None = False
    try:
        while (locked := try_lock(descriptor)) is False and time.monotonic() < deadline:
            time.sleep(_PAUSE_S)
    finally:
        if not locked:
            os.close(descriptor)
    if locked is None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))
    return descriptor if locked else None


def make_folder(path: str | os.PathLike[str]) -> None:
    """Create a folder and its missing parents, each on the disk before the next.

    Raises:
        OSError: The file system refused.
    """
    folder = Path(path)
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir()
    sync_folder(folder.parent)


def sync_folder(path: Path) -> None:
    """Have the names in a folder on the disk when this returns.

    Raises:
        OSError: The file system refused.
    """
    folder = os.open(path, FOLDER_FLAGS)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def create_locked(path: str | Path, *, folder: int | None = None) -> int | None:
    """A new file, locked while its writer runs; None where it was removed before it was locked.

    A relative path starts from the open folder.

    Raises:
        OSError: The file is there already, or the file system refused.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o666, dir_fd=folder)
    try:
        try_lock(descriptor, wait=True)
        # Between its creation and its lock it looked like a dead writer's file.
        if os.fstat(descriptor).st_nlink:
            return descriptor
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path, dir_fd=folder)
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def open_locked(path: Path) -> int | None:
    """A new file at `path`, locked while its writer runs; None where another process holds it.

    Missing folders are created. A file that a killed writer left at `path` is replaced.

    Raises:
        OSError: The file system refused.
    """
    for attempt in range(_ATTEMPTS):
        try:
            make_folder(path.parent)
            descriptor = create_locked(path)
        except FileNotFoundError:
            # Another run removed the folder while it was empty.
            if attempt == _ATTEMPTS - 1:
                raise
            continue
        except FileExistsError:
            if not remove_if_stale(path):
                return None
            continue
        if descriptor is not None:
            return descriptor
    return None


def remove_if_stale(path: str | Path, *, folder: int | None = None) -> bool:
    """Remove a file unless a running process holds it; True when it is gone.

    A relative path starts from the open folder.

    Raises:
        OSError: The file system refused.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=folder)
    except FileNotFoundError:
        return True
    try:
        if not try_lock(descriptor):
            return False
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path, dir_fd=folder)
    finally:
        os.close(descriptor)
    return True


def remove_stale_files(partial: str | os.PathLike[str]) -> None:
    """Remove files of killed runs below a folder of work in progress, and empty folders."""
    for folder, _, names in os.walk(partial, topdown=False):
        for name in names:
            with contextlib.suppress(OSError):
                remove_if_stale(Path(folder, name))
        with contextlib.suppress(OSError):
            Path(folder).rmdir()
