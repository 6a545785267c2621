import os
import subprocess
import sys
from pathlib import Path

import pytest

from emoact.errors import RequestError
from emoact.jobs.lock import LockReading, QueueNote, RunLock, read_lock
from emoact.jobs.snapshot import derive_state


def acquired(path: Path) -> RunLock:
    lock = RunLock.acquire(path)
    assert lock is not None
    return lock


def test_a_lock_is_seen_held_and_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert read_lock(path) == LockReading(held=False, note=None)
    lock = acquired(path)
    assert read_lock(path).held
    assert RunLock.acquire(path) is None
    lock.close()
    assert not read_lock(path).held


def test_the_line_in_it_is_overwritten_in_place(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = acquired(path)
    notes = [
        QueueNote(ticket=123456, phase="waiting"),
        QueueNote(ticket=7, phase="working"),
        QueueNote(ticket=7, phase="ended"),
    ]
    sizes = set()
    for note in notes:
        lock.write(note)
        assert read_lock(path) == LockReading(held=True, note=note)
        sizes.add(path.stat().st_size)
    assert len(sizes) == 1
    lock.close()


@pytest.mark.parametrize("content", [b"", b"7 waiting\n", b"x" * 1000, b"\0" * 21])
def test_a_foreign_line_is_no_note(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "lock").write_bytes(content)
    assert read_lock(tmp_path / "lock") == LockReading(held=False, note=None)


def test_a_child_that_got_the_lock_holds_it_after_us(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = acquired(path)
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        pass_fds=(lock.descriptor,),
    )
    lock.close()
    assert read_lock(path).held
    child.kill()
    child.wait()
    assert not read_lock(path).held


def test_an_adopted_lock_does_not_pass_to_grandchildren(tmp_path: Path) -> None:
    lock = acquired(tmp_path / "lock")
    os.set_inheritable(lock.descriptor, True)
    adopted = RunLock.adopt(lock.descriptor)
    assert not os.get_inheritable(adopted.descriptor)
    adopted.close()


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").touch()
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        read_lock(tmp_path / "lock")
    with pytest.raises(OSError, match="symbolic links"):
        RunLock.acquire(tmp_path / "lock")


def test_a_place_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(descriptor: int, operation: int) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    with pytest.raises(RequestError, match="cannot be locked") as caught:
        RunLock.acquire(tmp_path / "lock")
    assert "--results" in (caught.value.remedy or "")


@pytest.mark.parametrize(
    ("stated", "held", "cancelled", "shown"),
    [
        ("pending", True, False, "pending"),
        ("loading", True, False, "loading"),
        ("running", True, True, "running"),
        ("running", False, False, "crashed"),
        ("running", False, True, "cancelled"),
        ("pending", False, False, "crashed"),
        ("finished", False, False, "finished"),
        ("finished", True, True, "finished"),
        ("failed", False, True, "failed"),
        ("cancelled", False, False, "cancelled"),
        (None, True, False, "running"),
        (None, False, False, "crashed"),
        (None, False, True, "cancelled"),
    ],
)
def test_the_state_is_derived_from_lock_and_files(
    stated: str | None, held: bool, cancelled: bool, shown: str
) -> None:
    assert derive_state(stated, held=held, cancel_requested=cancelled) == shown  # type: ignore[arg-type]
