"""A power cut at every sync of a run, on disks that lose what was not synced."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from emoact.errors import EmoactError
from emoact.extraction.extractor import Quiet
from emoact.extraction.pipeline import run_units
from emoact.jobs import launch
from emoact.jobs.directory import RunDirectory
from emoact.store import manifest
from emoact.store.layout import ResultsRoot
from tests.support.numpy_engine import numpy_engine
from tests.support.stand_in_world import World, saved_arrays

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


class Told(Quiet):
    """Keeps the units that were acknowledged."""

    def __init__(self) -> None:
        self.saved: dict[str, str] = {}

    def unit(self, *event: object, **fields: object) -> None:
        if event[0] == "unit_saved":
            self.saved[str(fields["emotion"])] = str(fields["sha256"])


@pytest.mark.parametrize("disk", ["lazy", "eager"])
def test_a_power_cut_at_any_sync_loses_nothing_that_was_acknowledged(
    world: World, disk: Disk, record_property: Callable[[str, object], None]
) -> None:
    world.results.mkdir()
    config = world.config(world.model(), run_id="r1")
    told, started = Told(), [False]
    cuts: list[tuple[Path, dict[str, str], bool]] = []

    def cut(recorder: Recorder) -> None:
        target = world.path / "cuts" / f"{len(cuts)}"
        recorder.make(target, disk)
        cuts.append((target, dict(told.saved), started[0]))

    with Recorder(root=world.results, on_sync=cut).recording():
        launch.start(config, worker=("true",))
        started[0] = True
        run_units(config, reporter=told, plans={}, engine_for=numpy_engine)
    expected = saved_arrays(world.results)
    assert sorted(told.saved) == sorted(config.emotions)
    complaints = []
    for number, (target, saved, was_started) in enumerate(cuts):
        try:
            _check(target, saved, was_started=was_started)
            resumed = dataclasses.replace(config, results=str(target))
            run_units(resumed, reporter=Told(), plans={}, engine_for=numpy_engine)
            assert saved_arrays(target) == expected
        except (AssertionError, EmoactError) as error:
            complaints.append(f"cut {number}: {error}")
    record_property("points", len(cuts))
    assert len(cuts) > 10
    assert complaints == []


def _check(results: Path, saved: dict[str, str], *, was_started: bool) -> None:
    root = ResultsRoot(results)
    units = {entry.emotion: entry for entry in manifest.load(root).values()}
    for emotion, sha256 in saved.items():
        assert units[emotion].sha256 == sha256
    for entry in units.values():
        state = manifest.unit_state(root, entry.folder, entry.emotion, key=entry.key)
        assert state == "saved", f"{entry.emotion} was acknowledged and is {state}"
    if was_started:
        assert RunDirectory(root.run_dir("r1")).config().run_id == "r1"


def test_a_disk_that_is_told_nothing_has_nothing(tmp_path: Path) -> None:
    """The recording layer itself: without a sync of the file or of its folder a byte is lost."""
    root = tmp_path / "root"
    root.mkdir()
    seen: dict[str, list[bytes | None]] = {"lazy": [], "eager": []}

    def look(recorder: Recorder) -> None:
        for disk in ("lazy", "eager"):
            target = tmp_path / f"{disk}{len(seen[disk])}"
            recorder.make(target, disk)
            file = target / "file"
            seen[disk].append(file.read_bytes() if file.exists() else None)

    with Recorder(root=root, on_sync=look).recording():
        descriptor = os.open(root / "file", os.O_CREAT | os.O_RDWR)
        os.write(descriptor, b"content")
        os.fsync(descriptor)
        folder = os.open(root, os.O_RDONLY)
        os.fsync(folder)
    os.close(descriptor)
    os.close(folder)
    assert seen == {"lazy": [None, None, b"content"], "eager": [b"", b"content", b"content"]}
