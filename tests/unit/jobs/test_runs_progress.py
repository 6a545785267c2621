"""Reading runs whose directories are damaged, foreign or changing."""

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from emoact.errors import RequestError
from emoact.jobs.directory import RunDirectory, Status, write_status
from emoact.jobs.lock import RunLock, WorkerProcess
from emoact.jobs.progress import list_runs, read_run
from emoact.jobs.snapshot import RunError, Snapshot
from tests.support.run_files import (
    ESTIMATE,
    SAVED,
    a_config,
    an_event,
    hold,
    in_state,
    make_run,
    write_events,
)

Damage = Callable[[Path], object]


def overwrite(content: bytes) -> Damage:
    return lambda path: path.write_bytes(content)


def edit(**changes: object) -> Damage:
    return lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def remove(path: Path) -> None:
    path.unlink()


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replace_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def replace_by_link(path: Path) -> None:
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


JUNK = {
    "empty": b"",
    "binary": bytes(range(256)),
    "nul": b"\0" * 4096,
    "list": b"[]",
    "null": b"null",
    "text": b'"hello"',
    "deep": b"[" * 200_000,
    "nan": b'{"schema_version": NaN}',
    "empty object": b"{}",
    "surrogate": b'{"schema_version": 1, "\\ud800": 1}',
    "huge number": b'{"schema_version": ' + b"9" * 5000 + b"}",
}
BAD: dict[str, tuple[str, Damage]] = {
    **{
        f"{name} {kind}": (name, overwrite(content))
        for name in ("config.json", "status.json")
        for kind, content in JUNK.items()
    },
    **{
        f"{name} {change.__name__}": (name, change)
        for name in ("config.json", "status.json")
        for change in (remove, replace_by_folder, replace_by_pipe, replace_by_link, truncate)
    },
    "newer config": ("config.json", edit(schema_version=2)),
    "newer status": ("status.json", edit(schema_version=99)),
    "config of another run": ("config.json", edit(run_id="r2")),
    "config of another kind": ("config.json", edit(kind="party")),
    "models that are text": ("config.json", edit(models="gpt2")),
    "counts that are text": ("config.json", edit(counts={"anger": "4", "neutral": "2"})),
    "an option that does not exist": ("config.json", edit(options={"colour": "red"})),
    "a snapshot that is text": ("status.json", edit(snapshot="fine")),
    "a snapshot of nothing": ("status.json", edit(snapshot={"state": "done"})),
    "lock that is a folder": ("lock", replace_by_folder),
    "lock that is a link": ("lock", replace_by_link),
}


@pytest.mark.parametrize("damage", BAD, ids=str)
def test_a_damaged_run_shows_its_problem_alone(tmp_path: Path, damage: str) -> None:
    directory = make_run(tmp_path)
    healthy = make_run(tmp_path, "r2")
    shown_before = next(row for row in list_runs(tmp_path) if row.id == "r2")
    name, change = BAD[damage]
    change(directory.path / name)
    rows = {row.id: row for row in list_runs(tmp_path)}
    assert rows["r1"].problem
    assert rows["r1"].state == "crashed"
    assert rows["r2"] == shown_before
    view = read_run(tmp_path, "r1")
    assert view.problems
    json.dumps(view.to_json())
    assert healthy.exists()


@pytest.mark.parametrize("content", JUNK.values(), ids=list(JUNK))
def test_junk_events_do_not_hide_the_status(tmp_path: Path, content: bytes) -> None:
    snapshot = in_state(a_config(tmp_path), "finished")
    directory = make_run(tmp_path, snapshot=snapshot)
    directory.events_path.write_bytes(content)
    directory.log_path.write_bytes(content)
    assert read_run(tmp_path, "r1").state == "finished"
    assert list_runs(tmp_path)[0].problem is None


def test_without_a_status_the_events_say_how_it_ended(tmp_path: Path) -> None:
    directory = make_run(tmp_path)
    write_events(
        directory.events_path,
        an_event("turn"),
        an_event("unit_saved", 2.0, **SAVED),
        an_event("ended", 3.0, state="finished", error=None),
    )
    directory.status_path.unlink()
    view = read_run(tmp_path, "r1")
    assert view.state == "finished"
    assert view.units[0].state == "saved"
    assert view.problems == ("status.json is missing",)


def test_a_foreign_event_does_not_break_the_view(tmp_path: Path) -> None:
    directory = make_run(tmp_path)
    write_events(directory.events_path, an_event("unit_saved", nothing="to see"))
    directory.status_path.unlink()
    assert read_run(tmp_path, "r1").state == "crashed"


def test_other_things_in_the_runs_folder_are_passed_over(tmp_path: Path) -> None:
    make_run(tmp_path)
    runs = tmp_path / "runs"
    (runs / "notes.txt").write_text("mine")
    (runs / ".hidden").mkdir()
    (runs / "with space").mkdir()
    (runs / "link").symlink_to(runs / "r1")
    os.mkfifo(runs / "pipe")
    assert [row.id for row in list_runs(tmp_path)] == ["r1"]


def test_there_are_no_runs_where_there_is_no_folder(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "nowhere") == []
    (tmp_path / "file").touch()
    assert list_runs(tmp_path / "file") == []


@pytest.mark.parametrize("run_id", ["../r1", "/etc", "", ".", "..", "a/b", "a\0b", "x" * 300, "é"])
def test_a_hostile_run_id_is_refused(tmp_path: Path, run_id: str) -> None:
    make_run(tmp_path)
    with pytest.raises(RequestError):
        read_run(tmp_path, run_id)


def test_a_close_name_is_proposed(tmp_path: Path) -> None:
    make_run(tmp_path, "20260131-120000-a1b2")
    with pytest.raises(RequestError) as caught:
        read_run(tmp_path, "20260131-120000-a1b3")
    assert "Did you mean 20260131-120000-a1b2?" in (caught.value.remedy or "")


def test_the_newest_run_comes_first(tmp_path: Path) -> None:
    for day in (3, 1, 2):
        make_run(tmp_path, f"r{day}", created_at=f"2026-01-0{day}T00:00:00+00:00")
    assert [row.id for row in list_runs(tmp_path)] == ["r3", "r2", "r1"]


def test_a_reader_writes_nothing(tmp_path: Path) -> None:
    directory = make_run(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in [directory.path, *directory.path.iterdir()]}
    read_run(tmp_path, "r1")
    list_runs(tmp_path)
    after = {path: path.stat().st_mtime_ns for path in [directory.path, *directory.path.iterdir()]}
    assert before == after


def test_only_a_changed_status_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = a_config(tmp_path)
    directory = make_run(tmp_path)
    reads = []
    real = RunDirectory.status

    def counted(self: RunDirectory) -> Status:
        reads.append(self.run_id)
        return real(self)

    monkeypatch.setattr(RunDirectory, "status", counted)
    for _ in range(5):
        list_runs(tmp_path)
    assert len(reads) == 1
    write_status(
        directory.status_path, Status.now(in_state(config, "finished"), None), durable=False
    )
    assert list_runs(tmp_path)[0].state == "finished"
    assert len(reads) == 2


def test_a_failed_run_shows_error_and_the_end_of_its_log(tmp_path: Path) -> None:
    error = RunError(message="no", remedy="do", exit_code=2)
    snapshot = in_state(a_config(tmp_path), "failed", error=error)
    directory = make_run(tmp_path, snapshot=snapshot)
    directory.log_path.write_text("".join(f"line {number}\n" for number in range(1000)))
    view = read_run(tmp_path, "r1")
    assert view.error is not None
    assert (view.error.message, view.error.remedy, view.error.exit_code) == ("no", "do", 2)
    assert view.error.log_tail[-1] == "line 999"
    assert view.summary.can_resume


def test_the_log_is_plain_text(tmp_path: Path) -> None:
    directory = make_run(tmp_path)
    directory.log_path.write_bytes(
        b"\x1b[31mred\x1b[0m\r\nloading 10%\rloading 100%\n\xff bell\x07\n\n"
    )
    assert directory.log_tail() == ("red", "loading 100%", "\ufffd bell")


def test_only_a_run_that_finished_in_one_go_is_compared_with_its_estimate(tmp_path: Path) -> None:
    config = a_config(tmp_path)
    finished = in_state(config, "finished", elapsed_s=12.0)
    make_run(tmp_path, "r1", estimate=ESTIMATE, snapshot=finished)
    again = dataclasses.replace(finished, attempt=2)
    make_run(tmp_path, "r2", estimate=ESTIMATE, snapshot=again)
    assert read_run(tmp_path, "r1").estimate_ratio == pytest.approx(1.2)
    assert read_run(tmp_path, "r2").estimate_ratio is None


def test_silence_is_told_by_a_steady_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = make_run(tmp_path)
    status = Status.now(in_state(a_config(tmp_path), "running"), WorkerProcess.current())
    write_status(
        directory.status_path, dataclasses.replace(status, beat=status.beat - 30), durable=False
    )
    lock = hold(directory)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    silent = read_run(tmp_path, "r1").silent_s
    assert silent is not None
    assert 30 <= silent < 40
    elsewhere = dataclasses.replace(status, machine="another/boot")
    write_status(directory.status_path, elsewhere, durable=False)
    assert read_run(tmp_path, "r1").silent_s is None
    lock.close()
    assert read_run(tmp_path, "r1").silent_s is None


@pytest.mark.parametrize("when", ["1970-01-01T00:00:00+00:00", "2999-01-01T00:00:00+00:00", "?"])
def test_a_wall_clock_that_jumped_changes_no_duration(tmp_path: Path, when: str) -> None:
    snapshot = in_state(
        a_config(tmp_path), "finished", elapsed_s=5.0, started_at=when, ended_at="2026-01-31"
    )
    make_run(tmp_path, snapshot=snapshot, created_at=when)
    assert list_runs(tmp_path)[0].elapsed_s == 5.0


def test_a_run_directory_that_vanishes_between_two_looks_is_no_error(tmp_path: Path) -> None:
    directory = make_run(tmp_path)
    list_runs(tmp_path)
    shutil.rmtree(directory.path)
    assert list_runs(tmp_path) == []


def test_a_resume_meanwhile_is_no_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lock seen free, then resumed, then the new status read: that is no crash."""
    config = a_config(tmp_path)
    directory = make_run(tmp_path, snapshot=in_state(config, "failed"))
    real = RunDirectory.status
    held: list[RunLock] = []

    def resumed_meanwhile(self: RunDirectory) -> Status:
        if not held:
            held.append(hold(directory))
            again = Status.now(Snapshot.before(config).again(), None)
            write_status(directory.status_path, again, durable=False)
        return real(self)

    monkeypatch.setattr(RunDirectory, "status", resumed_meanwhile)
    assert read_run(tmp_path, "r1").state == "pending"
    held[0].close()
