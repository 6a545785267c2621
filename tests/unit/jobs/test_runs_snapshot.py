import itertools
import json
import os
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from emoact.decode import decode
from emoact.errors import EmoactError, RequestError
from emoact.jobs.events import EventLog, read_events
from emoact.jobs.rates import remaining_seconds
from emoact.jobs.snapshot import HISTORY_POINTS, Snapshot
from tests.support.run_files import SAVED, a_config, a_model, an_event, write_events

STARTED = {"model": "tiny", "emotion": "anger"}


def story(tmp_path: Path) -> Snapshot:
    return Snapshot.before(a_config(tmp_path)).after_all(
        [
            an_event("started"),
            an_event("turn"),
            an_event("step", 0.5, step="load", model="tiny", detail="weights"),
            an_event("unit_planned", 3.0, model="tiny", emotion="anger", n_samples=4, n_tokens=40),
            an_event(
                "unit_planned", 3.0, model="tiny", emotion="neutral", n_samples=2, n_tokens=20
            ),
            an_event("unit_started", 3.5, **STARTED),
        ]
    )


def test_states_follow_the_events_and_elapsed_time_never_runs_backwards(tmp_path: Path) -> None:
    before = Snapshot.before(a_config(tmp_path))
    assert before.state == "pending"
    assert before.after(an_event("turn")).state == "loading"
    assert story(tmp_path).state == "running"
    assert story(tmp_path).ready_s == {"tiny": 3.0}
    assert story(tmp_path).after(an_event("note", 1.0, text="late")).elapsed_s == 3.5
    ended = story(tmp_path).after(an_event("ended", 9.0, state="finished", error=None))
    assert (ended.state, ended.step, ended.elapsed_s) == ("finished", None, 9.0)


def test_progress_and_saving_are_seen_on_the_unit(tmp_path: Path) -> None:
    running = story(tmp_path).after(
        an_event("unit_progress", 4.0, **STARTED, samples_done=2, tokens_done=20)
    )
    assert running.units[0].state == "running"
    assert (running.units[0].samples_done, running.tokens_done) == (2, 20)
    saving = running.after(an_event("step", 5.0, step="save", model="tiny"))
    assert [unit.state for unit in saving.units] == ["saving", "waiting"]
    saved = saving.after(an_event("unit_saved", 5.5, **SAVED))
    assert saved.units[0].state == "saved"
    assert (saved.units[0].samples_done, saved.units[0].size) == (4, 100)


def test_the_history_has_a_point_a_second_and_forgets_the_oldest(tmp_path: Path) -> None:
    snapshot = story(tmp_path)
    for number in range(1, 400):
        snapshot = snapshot.after(
            an_event(
                "unit_progress",
                3.5 + number * 0.5,
                **STARTED,
                samples_done=0,
                tokens_done=number * 10,
            )
        )
    assert len(snapshot.history) == HISTORY_POINTS
    assert {rate for _, rate in snapshot.history} == {20.0}
    times = [time for time, _ in snapshot.history]
    assert {later - earlier for earlier, later in itertools.pairwise(times)} == {1.0}


def test_another_attempt_keeps_what_is_saved_and_begins_the_rest_again(tmp_path: Path) -> None:
    crashed = story(tmp_path).after_all(
        [
            an_event("unit_saved", 6.0, **SAVED),
            an_event("unit_started", 6.0, model="tiny", emotion="neutral"),
            an_event(
                "unit_progress", 7.0, model="tiny", emotion="neutral", samples_done=1, tokens_done=9
            ),
        ]
    )
    again = crashed.again()
    assert (again.attempt, again.state, again.earlier_s) == (2, "pending", 7.0)
    assert [unit.state for unit in again.units] == ["saved", "waiting"]
    assert [unit.samples_done for unit in again.units] == [4, 0]
    later = again.after(an_event("unit_skipped", 1.0, **STARTED, path="/r/a.pkl", reason="there"))
    assert later.units[0].state == "saved", "this run wrote it"
    assert later.elapsed_s == 8.0


def test_a_unit_of_another_run_counts_as_skipped(tmp_path: Path) -> None:
    snapshot = story(tmp_path).after(
        an_event("unit_skipped", 1.0, model="tiny", emotion="neutral", path="/r/n", reason="there")
    )
    assert snapshot.units[1].state == "skipped"
    assert snapshot.units[1].samples_done == 2
    assert snapshot.tokens_done == 0


def test_a_snapshot_survives_its_file(tmp_path: Path) -> None:
    snapshot = story(tmp_path).after(an_event("note", 4.0, text="a remark"))
    assert decode(Snapshot, json.loads(json.dumps(asdict(snapshot)))) == snapshot


def test_the_remaining_time_is_tokens_left_over_the_rate_once_there_is_one(tmp_path: Path) -> None:
    assert remaining_seconds(story(tmp_path), a_config(tmp_path)) is None
    snapshot = story(tmp_path).after(
        an_event("unit_progress", 5.5, **STARTED, samples_done=2, tokens_done=20)
    )
    # 20 tokens in 2 s; 20 of this unit and 20 of the next are left.
    assert remaining_seconds(snapshot, a_config(tmp_path)) == pytest.approx(4.0)


def test_a_larger_model_that_comes_later_takes_longer_and_has_to_load(tmp_path: Path) -> None:
    config = a_config(
        tmp_path,
        models=(a_model("tiny", n_parameters=100), a_model("big", n_parameters=300)),
        emotions=("anger",),
    )
    snapshot = Snapshot.before(config).after_all(
        [
            an_event("turn"),
            an_event("step", 0.0, step="load", model="tiny"),
            an_event("unit_planned", 1.0, model="tiny", emotion="anger", n_samples=4, n_tokens=40),
            an_event("unit_started", 1.0, **STARTED),
            an_event("unit_saved", 3.0, **SAVED),
        ]
    )
    # 40 tokens in 2 s by the small one; three times as long for the other, and 1 s to load.
    assert remaining_seconds(snapshot, config) == pytest.approx(7.0)


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
