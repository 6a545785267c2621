"""A disk that loses at a power cut what was not synced: recorded at `fsync`, made again elsewhere.

Two kinds of disk are told from one recording. A lazy one has a name on the disk when its folder was
synced. An eager one has every name at once. Both have the bytes of a file that were synced, and
none that were not.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Disk = Literal["lazy", "eager"]
Entries = dict[str, int]


@dataclass
class Recorder:
    """What is on the disk below a folder; `on_sync` is called before every sync, and at the end."""

    root: Path
    on_sync: Callable[[Recorder], None]
    _contents: dict[int, bytes] = field(default_factory=dict)
    _folders: dict[int, Entries] = field(default_factory=dict)
    _open: list[int] = field(default_factory=list)

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Watch every `os.fsync` of this process."""
        real = os.fsync

        def fsync(descriptor: int) -> None:
            self.on_sync(self)
            real(descriptor)
            self._synced(descriptor)

        setattr(os, "fsync", fsync)  # noqa: B010
        try:
            yield
            self.on_sync(self)
        finally:
            setattr(os, "fsync", real)  # noqa: B010
            for descriptor in self._open:
                os.close(descriptor)

    def _synced(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            self._folders[status.st_ino] = _entries(Path(f"/proc/self/fd/{descriptor}").readlink())
            return
        # Kept open, or the number of the file could be given to another one.
        kept = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY)
        self._open.append(kept)
        self._contents[status.st_ino] = os.pread(kept, status.st_size, 0)

    def make(self, target: Path, disk: Disk) -> None:
        """The folder as it is after a power cut at this moment."""
        target.mkdir(parents=True)
        self._make(self.root.stat().st_ino, self.root, target, disk)

    def _make(self, number: int, now: Path, target: Path, disk: Disk) -> None:
        names = self._folders.get(number, {}) if disk == "lazy" else _entries(now)
        for name, inode in names.items():
            place = now / name
            if inode in self._contents or not place.is_dir():
                (target / name).write_bytes(self._contents.get(inode, b""))
            else:
                (target / name).mkdir()
                self._make(inode, place, target / name, disk)


def _entries(folder: str | Path) -> Entries:
    return {entry.name: entry.inode() for entry in os.scandir(folder)}
