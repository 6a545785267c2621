"""Files that are either there whole and on the disk, or not there at all."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from emoact.errors import EmoactError
from emoact.store.locks import FOLDER_FLAGS, acquire, create_locked, make_folder, remove_if_stale

_TEMPORARY = re.compile(r"\.emoact-[0-9a-f]{16}\.tmp")
_NO_ROOM = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "the file is larger than the system allows",
}
_NOT_ALLOWED = (errno.EROFS, errno.EACCES, errno.EPERM)


class NewFile:
    """A file beside the one whose place it is going to take, under a name that says so.

    Raises:
        EmoactError: The folder cannot be written, or there is no room.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, need: int = 0, parents: bool = True
    ) -> None:
        self.path, self._need = Path(path), need
        with self.telling(), contextlib.ExitStack() as stack:
            if parents:
                make_folder(self.path.parent)
            self._folder = os.open(self.path.parent, FOLDER_FLAGS)
            stack.callback(os.close, self._folder)
            _remove_stale(self._folder)
            check_room(self._folder, need)
            self._name, self.file = _open_temporary(self._folder)
            stack.pop_all()

    def put_in_place(self, *, durable: bool = True) -> None:
        """Close the file and give it its name; where a step fails it is discarded.

        It returns only once the file has reached the disk where it is durable.

        Raises:
            EmoactError: A step failed; an unconfirmed fsync too.
        """
        try:
            with self.telling():
                self._need = max(self._need, self.file.tell())
                self.file.flush()
                if durable:
                    os.fsync(self.file.fileno())
                # Still open and locked, or another writer would take the file for a dead one's.
                os.replace(
                    self._name, self.path.name, src_dir_fd=self._folder, dst_dir_fd=self._folder
                )
                self._name = ""
                self.file.close()
                if durable:
                    os.fsync(self._folder)
        finally:
            self.discard()

    def discard(self) -> None:
        """Close and remove the file, unless it is in place; a second call does nothing."""
        if self._folder < 0:
            return
        if self._name:
            # If the disk refuses this, the next writer in the folder removes the file.
            with contextlib.suppress(OSError):
                os.unlink(self._name, dir_fd=self._folder)
        with contextlib.suppress(OSError):
            self.file.close()
        os.close(self._folder)
        self._folder = -1

    @contextlib.contextmanager
    def telling(self) -> Iterator[None]:
        """Turn an error of the disk into one that says what it means and what to do."""
        try:
            yield
        except OSError as error:
            raise write_error(error, path=self.path, need=self._need) from error


@contextlib.contextmanager
def replace_atomically(
    path: str | os.PathLike[str], *, need: int = 0, durable: bool = True, parents: bool = True
) -> Iterator[BinaryIO]:
    """A new binary file that takes the place of `path` when the block ends without an error.

    A reader of `path` sees the old content or the new, never a part. When the block or any step
    after it fails, the old file stays and the new one is discarded, an unconfirmed fsync included.

    Args:
        path: The file to put in place.
        need: Bytes that will be written, where known; a disk without room then shows at once.
        durable: True to return only once the file has reached the disk. False is for files that may
            be lost in a power cut, such as a heartbeat.
        parents: True to create missing parent folders.

    Raises:
        EmoactError: The file could not be written; says how many bytes were needed and are free.
    """
    new = NewFile(path, need=need, parents=parents)
    try:
        yield new.file
        new.put_in_place(durable=durable)
    except OSError as error:
        raise write_error(error, path=path, need=need) from error
    finally:
        new.discard()


def write_json(
    path: str | os.PathLike[str], content: Any, *, durable: bool = True, parents: bool = True
) -> None:
    """Replace `path` by a JSON document, whole or not at all; see `replace_atomically`.

    Raises:
        EmoactError: The file could not be written.
        ValueError: The content holds NaN or infinity, which JSON does not have.
    """
    text = json.dumps(content, indent=1, allow_nan=False).encode() + b"\n"
    with replace_atomically(path, need=len(text), durable=durable, parents=parents) as file:
        file.write(text)


@contextlib.contextmanager
def lock_held(path: Path, *, patience_s: float) -> Iterator[None]:
    """Hold the lock of a file among all threads and processes; its folder is made where missing.

    Raises:
        EmoactError: The file cannot be made, another process holds it too long, or the file system
            has no locks.
    """
    try:
        make_folder(path.parent)
        descriptor = acquire(path, patience_s=patience_s)
    except OSError as error:
        raise write_error(error, path=path) from error
    if descriptor is None:
        raise EmoactError(
            f"{path} has been held by another process for {patience_s:g} s",
            remedy="End the process that hangs (fuser shows it), then try again.",
        )
    try:
        yield
    finally:
        os.close(descriptor)


def remove_left_behind(folders: Path) -> None:
    """Remove what writers that died left in the folders below a folder."""
    with contextlib.suppress(OSError):
        for path in folders.iterdir():
            with contextlib.suppress(OSError):
                folder = os.open(path, FOLDER_FLAGS | os.O_NOFOLLOW)
                try:
                    _remove_stale(folder)
                finally:
                    os.close(folder)


def check_folder(path: str | os.PathLike[str]) -> None:
    """Raise `EmoactError` unless files can be written in a folder that is there."""
    try:
        folder = os.open(path, FOLDER_FLAGS)
        try:
            _remove_stale(folder)
            name, file = _open_temporary(folder)
            with file:
                os.unlink(name, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise write_error(error, path=path) from error


def write_error(error: OSError, *, path: str | os.PathLike[str], need: int = 0) -> EmoactError:
    """The error that tells a user why `path` could not be written and what to do."""
    code, where = error.errno, os.fspath(path)
    said = f"{os.strerror(code)} ({errno.errorcode.get(code, code)})" if code else str(error)
    if code in _NO_ROOM:
        wanted = f"{need:,} bytes are needed and " if need else ""
        free = free_bytes(path)
        room = f"{free:,} bytes are free" if free is not None else "the free space is unknown"
        message = (
            f"{where}: {_NO_ROOM[code]}: {wanted}{room}; {said}. The previous file is unchanged"
        )
        remedy = "Free some space or choose another folder with --results, then resume the run."
        if code == errno.EFBIG:
            remedy = (
                "Raise the file size limit (ulimit -f) or choose another folder with --results."
            )
    elif code in _NOT_ALLOWED:
        message = f"{where} cannot be written: {said}"
        remedy = "Make the folder writable, or choose another one with --results."
    else:
        message = f"{where} could not be written: {said}. What had been written of it is discarded"
        remedy = "Choose another folder with --results if this persists."
        if code == errno.EIO:
            remedy = "Check the disk (its messages are in the system log), then resume the run."
    return EmoactError(message, remedy=remedy)


def _open_temporary(folder: int) -> tuple[str, BinaryIO]:
    """A new file under a recognisable name, locked as long as its writer runs."""
    while True:
        name = f".emoact-{secrets.token_hex(8)}.tmp"
        descriptor = create_locked(name, folder=folder)
        if descriptor is not None:
            return name, os.fdopen(descriptor, "wb")


def _remove_stale(folder: int) -> None:
    """Remove the temporary files of writers that died."""
    for name in os.listdir(folder):
        if _TEMPORARY.fullmatch(name):
            with contextlib.suppress(OSError):
                remove_if_stale(name, folder=folder)


def check_room(descriptor: int, need: int) -> None:
    """Raise `OSError` (ENOSPC) unless `need` bytes, 0 where not known, are free on the disk."""
    if need and need > _free(os.fstatvfs(descriptor)):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def free_bytes(path: str | os.PathLike[str]) -> int | None:
    """Bytes free for this user where `path` is or will be; None when the system does not say."""
    for place in (Path(path), *Path(path).absolute().parents):
        with contextlib.suppress(OSError):
            return _free(os.statvfs(place))
    return None


def _free(status: os.statvfs_result) -> int:
    return status.f_bavail * status.f_frsize
