"""Runs on real file systems that are full or read-only."""

from collections.abc import Iterator

import pytest

from emoact.errors import RequestError
from emoact.jobs import control, progress
from tests.support.disks import fill, make_read_only, mounted
from tests.support.run_files import a_config, hold, in_state, make_run
from tests.support.stand_in_world import World


@pytest.fixture
def world(world: World) -> Iterator[World]:
    """A world whose results lie on a disk of 400 kB."""
    with mounted(world.results, "size=400k"):
        yield world
        world.end_all()


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
    make_read_only(world.results)
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
