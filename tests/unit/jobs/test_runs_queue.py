import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from emoact.errors import CancelledError, RequestError
from emoact.jobs.directory import RunDirectory
from emoact.jobs.lock import LockReading, QueueNote, RunLock, read_lock
from emoact.jobs.queue import join, one_at_a_time, wait_for_turn, worker_slots
from emoact.jobs.snapshot import derive_state
from tests.support.run_files import hold, make_run


def a_run(results: Path, run_id: str) -> tuple[RunDirectory, RunLock]:
    directory = make_run(results, run_id)
    lock = RunLock.acquire(directory.lock_path)
    assert lock is not None
    return directory, lock


def joined(results: Path, names: str) -> list[tuple[RunDirectory, RunLock]]:
    runs = [a_run(results, name) for name in names]
    for _, lock in runs:
        join(results / "runs", lock)
    return runs


def take_turn(directory: RunDirectory, lock: RunLock, slots: int = 1) -> list[int]:
    """The places that a run was told before its turn came."""
    places: list[int] = []
    told = places.append
    wait_for_turn(directory, lock, slots=slots, on_place=told, check_cancelled=lambda: None)
    return places


def give_up_at(place: int, places: list[int]) -> None:
    if place in places:
        raise CancelledError("enough")


def places_of_a_waiter(directory: RunDirectory, lock: RunLock, slots: int = 1) -> list[int]:
    """The first place that a run is told, which has to wait."""
    places: list[int] = []
    with pytest.raises(CancelledError):
        wait_for_turn(
            directory,
            lock,
            slots=slots,
            on_place=places.append,
            check_cancelled=lambda: give_up_at(places[0], places) if places else None,
        )
    return places


def test_the_first_run_does_not_wait(tmp_path: Path) -> None:
    directory, lock = a_run(tmp_path, "a")
    assert join(tmp_path / "runs", lock) is None
    assert take_turn(directory, lock) == []
    note = lock.note()
    assert note is not None
    assert note.phase == "working"


def test_places_count_those_who_wait(tmp_path: Path) -> None:
    runs = [a_run(tmp_path, name) for name in "abc"]
    assert [join(tmp_path / "runs", lock) for _, lock in runs] == [None, 2, 3]
    take_turn(*runs[0])
    assert places_of_a_waiter(*runs[1]) == [1]
    assert places_of_a_waiter(*runs[2]) == [2]


def test_the_next_begins_when_the_worker_before_it_is_gone(tmp_path: Path) -> None:
    (first, first_lock), (second, second_lock) = joined(tmp_path, "ab")
    take_turn(first, first_lock)
    began = threading.Event()

    def wait() -> None:
        take_turn(second, second_lock)
        began.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not began.wait(0.3)
    first_lock.close()
    assert began.wait(5)
    thread.join()


def test_a_run_joins_behind_all_that_live(tmp_path: Path) -> None:
    old = make_run(tmp_path, "old")
    hold(old, ticket=900, phase="working").close()
    alive = make_run(tmp_path, "alive")
    held = hold(alive, ticket=41, phase="working")
    _, lock = a_run(tmp_path, "new")
    assert join(tmp_path / "runs", lock) == 1
    note = lock.note()
    assert note is not None
    assert note.ticket == 42
    held.close()


def test_a_run_does_not_wait_for_its_own_earlier_attempt(tmp_path: Path) -> None:
    directory = make_run(tmp_path)
    lock = hold(directory, ticket=7, phase="working")
    assert join(tmp_path / "runs", lock) is None
    assert take_turn(directory, lock) == []


def test_two_slots_let_two_work_and_the_third_wait(tmp_path: Path) -> None:
    runs = joined(tmp_path, "abc")
    assert take_turn(*runs[0], slots=2) == []
    assert take_turn(*runs[1], slots=2) == []
    assert places_of_a_waiter(*runs[2], slots=2) == [1]


def test_no_run_overtakes_a_waiting_one_even_when_a_slot_is_free(tmp_path: Path) -> None:
    runs = joined(tmp_path, "abc")
    take_turn(*runs[0], slots=2)
    assert places_of_a_waiter(*runs[2], slots=2) == [2]


def test_a_starter_that_hangs_does_not_make_waiters_fail(tmp_path: Path) -> None:
    directory, lock = a_run(tmp_path, "a")
    join(tmp_path / "runs", lock)
    with one_at_a_time(tmp_path / "runs"):
        thread = threading.Thread(target=take_turn, args=(directory, lock))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5", "65", "9" * 5000, "２"])
def test_an_odd_number_of_workers_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("EMOACT_WORKERS", text)
    with pytest.raises(RequestError, match="EMOACT_WORKERS"):
        worker_slots()


def test_one_worker_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMOACT_WORKERS", raising=False)
    assert worker_slots() == 1
    monkeypatch.setenv("EMOACT_WORKERS", "3")
    assert worker_slots() == 3


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
    with pytest.raises(RequestError, match="symbolic links"):
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
def test_lock_and_files_give_the_state(
    stated: str | None, held: bool, cancelled: bool, shown: str
) -> None:
    assert derive_state(stated, held=held, cancel_requested=cancelled) == shown  # type: ignore[arg-type]
