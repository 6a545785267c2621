import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from emoact.errors import EmoactError, RequestError
from emoact.jobs.events import EventLog, read_events
from tests.support.run_files import an_event, write_events


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_events_come_back_in_order(path: Path) -> None:
    events = (an_event("started"), an_event("note", 1.5, text="ünï\ncode"), an_event("turn"))
    write_events(path, *events)
    assert read_events(path) == events


def test_a_line_without_its_end_waits_for_it(path: Path) -> None:
    write_events(path, an_event("started"))
    whole = path.stat().st_size
    line = an_event("turn").to_line()
    for cut in range(1, len(line)):
        path.write_bytes(path.read_bytes()[:whole] + line[:cut])
        assert read_events(path) == (an_event("started"),)
    path.write_bytes(path.read_bytes()[:whole] + line)
    assert read_events(path) == (an_event("started"), an_event("turn"))


def test_lines_of_others_are_passed_over(path: Path) -> None:
    write_events(path, an_event("started"))
    lines = [b"{}", b"\xff\xfe", b"[" * 100_000, b'{"kind": "party"}', b"null", b"NaN"]
    with path.open("ab") as file:
        file.write(b"\n".join(lines) + b"\n")
    write_events(path, an_event("turn"))
    assert [event.kind for event in read_events(path)] == ["started", "turn"]


def _peak(read: Callable[[], object]) -> int:
    """The most bytes that Python held while it read."""
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("filled", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_very_long_file_is_read_up_to_its_limit(path: Path, filled: bool) -> None:
    line = an_event("note", text="x" * 900).to_line()
    content = line * (180_000_000 // len(line) if filled else 3)
    with path.open("wb") as file:
        file.write(content)
        file.truncate(max(180_000_000, len(content)))
    found: list[tuple[object, ...]] = []
    # 8 MB of text are read, and each event has some objects beside it.
    assert _peak(lambda: found.append(read_events(path))) < 60_000_000
    assert len(found[0]) == (8_000_000 // len(line) if filled else 3)


def test_a_new_worker_cuts_off_what_a_killed_one_left_half_written(path: Path) -> None:
    write_events(path, an_event("started"))
    with path.open("ab") as file:
        file.write(b'{"kind": "note", "fields": {"text": "' + b"x" * 5000)
    write_events(path, an_event("turn"))
    assert read_events(path) == (an_event("started"), an_event("turn"))
    whole = an_event("started").to_line() + an_event("turn").to_line()
    assert path.read_bytes() == whole


def test_a_failed_append_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(path)
    log.append(an_event("started"))
    real, calls = os.pwrite, []

    def full_after_five_bytes(descriptor: int, data: bytes, offset: int) -> int:
        calls.append(data)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(descriptor, data[:5], offset)

    monkeypatch.setattr(os, "pwrite", full_after_five_bytes)
    with pytest.raises(EmoactError, match="the disk is full"):
        log.append(an_event("turn"))
    monkeypatch.undo()
    log.append(an_event("note", text="x"))
    assert [event.kind for event in read_events(path)] == ["started", "note"]


def test_no_event_is_written_into_a_file_of_another_name(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"without a newline")
    (tmp_path / "events.jsonl").hardlink_to(tmp_path / "mine")
    with pytest.raises(EmoactError, match="hard link"):
        EventLog(tmp_path / "events.jsonl")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "events.jsonl").unlink()
    with pytest.raises(EmoactError, match="link"):
        EventLog(tmp_path / "link")
    assert (tmp_path / "mine").read_bytes() == b"without a newline"


def test_a_missing_file_a_pipe_and_a_link_are_refused(tmp_path: Path) -> None:
    write_events(tmp_path / "elsewhere", an_event("turn"))
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RequestError, match="symbolic link"):
        read_events(tmp_path / "link")
    with pytest.raises(RequestError, match="is missing"):
        read_events(tmp_path / "events.jsonl")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RequestError, match="not a regular file"):
        read_events(tmp_path / "pipe")
