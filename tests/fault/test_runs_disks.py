"""Runs on real file systems that are full or read-only."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from emoact.errors import RequestError
from emoact.jobs import control, progress
from tests.support.run_files import a_config, hold, in_state, make_run
from tests.support.stand_in_world import World

pytestmark = pytest.mark.fault


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world whose results lie on a disk of 400 kB."""
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    world = World(tmp_path)
    world.results.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "emoact-test", str(world.results)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"mount not permitted: {mounted.stderr.strip()}")
    try:
        yield world
        world.end_all()
    finally:
        subprocess.run(["umount", "--lazy", str(world.results)], check=True)


def fill(disk: Path, *, but: int = 0) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        for _ in range(1000):
            status = os.statvfs(disk)
            # The worker writes its signs of life meanwhile, so the figure may be old already.
            with contextlib.suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - but)
                return ballast
    raise AssertionError("the disk could not be filled")


def test_a_run_that_fills_the_disk_says_so_and_resumes_when_there_is_room(world: World) -> None:
    world.write_dataset(n_samples=40)
    config = world.config(world.model())
    ballast = fill(world.results, but=90_000)
    run_id = world.start(config).run_id
    view = world.wait(run_id)
    assert view.state == "failed"
    assert view.error is not None
    assert "the disk is full" in view.error.message
    assert "bytes are free" in view.error.message
    assert view.error.exit_code == 1
    ballast.unlink()
    world.resume(run_id)
    assert world.wait(run_id).state == "finished"


def test_a_disk_that_is_full_to_the_last_byte_still_gets_the_last_word(world: World) -> None:
    """Not even a sign of life finds room, so the old status is overwritten in its place."""
    world.write_dataset()
    gate = world.path / "gate"
    run_id = world.start(world.config(world.model(gate=str(gate)))).run_id
    world.wait(run_id, lambda view: view.state == "running")
    ballast = fill(world.results)
    gate.touch()
    view = world.wait(run_id)
    assert view.state == "failed"
    assert view.error is not None
    assert "the disk is full" in view.error.message
    ballast.unlink()


def test_runs_on_a_read_only_disk_are_shown_and_nothing_else_is_tried(world: World) -> None:
    snapshot = in_state(a_config(world.results), "failed")
    make_run(world.results, "ended", snapshot=snapshot)
    living = hold(make_run(world.results, "living"), phase="working")
    before = {row.id: row for row in progress.list_runs(world.results)}
    living.close()
    assert before["living"].state == "pending"
    subprocess.run(["mount", "-o", "remount,ro", str(world.results)], check=True)
    rows = {row.id: row for row in progress.list_runs(world.results)}
    assert (rows["ended"].state, rows["living"].state) == ("failed", "crashed")
    assert all(row.problem is None for row in rows.values())
    with pytest.raises(RequestError, match="Read-only"):
        world.config(world.model())
    with pytest.raises(RequestError, match="Read-only"):
        control.delete(world.results, "ended")
    with pytest.raises(RequestError, match="Read-only"):
        world.resume("ended")
    assert progress.read_run(world.results, "ended").state == "failed"
