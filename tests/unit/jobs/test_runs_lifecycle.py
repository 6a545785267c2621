"""One run from start to end, through real worker processes with the numpy stand-in."""

import shutil
from pathlib import Path

import pytest

from emoact.errors import RequestError
from emoact.jobs import control, executor, progress
from tests.support.stand_in_world import EMOTIONS, World, running, saved_arrays, wait_for


def test_a_run_saves_every_unit_and_leaves_nothing_else(world: World) -> None:
    config = world.config(world.model("one"), world.model("two"))
    view = world.wait(world.start(config).run_id)
    assert view.state == "finished"
    assert [unit.state for unit in view.units] == ["saved"] * 4
    assert [unit.emotion for unit in view.units] == [*EMOTIONS, *EMOTIONS]
    assert all(Path(unit.path or "").stat().st_size == unit.size for unit in view.units)
    assert view.summary.samples_done == view.summary.n_samples == 12
    assert view.tokens_done == view.n_tokens == 12 * 6
    assert view.summary.tokens_per_s is not None
    assert view.remaining_s is None
    left = sorted(path.name for path in world.results.iterdir())
    assert left == [".manifest.lock", "activations", "manifest.json", "runs"]
    assert sorted(path.name for path in (world.results / "runs").iterdir()) == [".lock", view.id]


@pytest.mark.parametrize("resumed_at", ["the new place", "the old place"])
def test_a_renamed_folder_ends_the_run_and_stays_renamed(world: World, resumed_at: str) -> None:
    run_id = world.start(world.config(world.model(pass_s=0.2))).run_id
    world.wait(run_id, running)
    moved = world.results.with_name("moved")
    world.results.rename(moved)
    wait_for(lambda: not progress.read_run(moved, run_id).summary.active)
    assert [path for path in world.results.rglob("*") if path.is_file()] == []
    assert progress.read_run(moved, run_id).state == "crashed"
    if resumed_at == "the old place":
        shutil.rmtree(world.results, ignore_errors=True)
        moved.rename(world.results)
    place = world.results if resumed_at == "the old place" else moved
    control.resume(place, run_id)
    wait_for(lambda: progress.read_run(place, run_id).state == "finished")
    assert len(list((place / "activations").rglob("*.pkl"))) == len(EMOTIONS)


def test_a_killed_run_is_crashed_and_resumed_at_its_first_missing_unit(world: World) -> None:
    model = world.model(pass_s=0.05)
    run_id = world.start(world.config(model)).run_id
    world.wait(run_id, lambda view: view.units[0].state == "saved")
    world.kill(run_id)
    crashed = world.wait(run_id)
    assert crashed.state == "crashed"
    assert crashed.error is not None
    assert crashed.summary.can_resume
    # It was killed while it computed the second one, or before it began.
    assert crashed.units[0].state == "saved"
    assert crashed.units[1].state in ("stopped", "waiting")
    plan = world.directory(run_id).plan_path.read_bytes()
    first = Path(crashed.units[0].path or "").stat()
    assert world.resume(run_id).existing is False
    view = world.wait(run_id)
    assert view.state == "finished"
    assert view.attempt == 2
    assert [unit.state for unit in view.units] == ["saved", "saved"]
    # What was there was neither computed nor written again.
    assert Path(view.units[0].path or "").stat().st_mtime_ns == first.st_mtime_ns
    assert world.directory(run_id).plan_path.read_bytes() == plan
    assert view.summary.elapsed_s is not None
    assert view.summary.elapsed_s >= (crashed.summary.elapsed_s or 0)


def test_cancel_interrupts_a_model_that_loads(world: World) -> None:
    run_id = world.start(world.config(world.model(load_s=60))).run_id
    world.wait(run_id, lambda view: view.state == "loading" and view.step is not None)
    control.cancel(world.results, run_id, wait=True)
    assert world.view(run_id).state == "cancelled"
    said = world.directory(run_id).status().snapshot.state
    assert said == "cancelled", "it was killed instead of interrupted"


def test_a_deaf_worker_is_killed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "GRACE_S", 0.5)
    run_id = world.start(world.config(world.model(deaf_s=60))).run_id
    world.wait(run_id, running)
    control.cancel(world.results, run_id, wait=True)
    view = world.wait(run_id)
    assert view.state == "cancelled"
    status = world.directory(run_id).status()
    assert status.snapshot.state == "running", "the worker itself never got to say anything"


def test_an_unforeseen_error_leaves_its_traceback_in_the_log(world: World) -> None:
    run_id = world.start(world.config(world.model(crash="this was not foreseen"))).run_id
    view = world.wait(run_id)
    assert view.state == "failed"
    assert view.error is not None
    assert view.error.message == "ZeroDivisionError: this was not foreseen"
    assert any("Traceback" in line for line in view.error.log_tail)


def test_a_cancelled_waiter_leaves_the_queue_and_the_next_moves_up(world: World) -> None:
    models = [world.model("a", pass_s=0.2), world.model("b"), world.model("c")]
    first, second, third = (world.start(world.config(model)).run_id for model in models)
    world.wait(third, lambda view: view.summary.place == 2)
    control.cancel(world.results, second, wait=True)
    assert world.view(second).state == "cancelled"
    assert world.wait(third, lambda view: view.summary.place == 1).state == "pending"
    assert world.wait(first).state == "finished"
    assert world.wait(third).state == "finished"


def test_more_slots_let_runs_work_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOACT_WORKERS", "2")
    models = [world.model(name, pass_s=0.3) for name in ("a", "b")]
    ids = [world.start(world.config(model)).run_id for model in models]
    world.wait(ids[0], lambda view: running(view) and running(world.view(ids[1])))
    assert {world.wait(run_id).state for run_id in ids} == {"finished"}
    assert len(saved_arrays(world.results)) == 4


def test_a_taken_run_id_is_refused(world: World) -> None:
    model = world.model()
    world.wait(world.start(world.config(model, run_id="mine")).run_id)
    with pytest.raises(RequestError, match="there is a run 'mine' already"):
        world.start(world.config(model, run_id="mine", emotions=("anger",)))


def test_a_changed_data_set_is_not_resumed(world: World) -> None:
    run_id = world.start(world.config(world.model(fail="no"))).run_id
    world.wait(run_id)
    world.write_dataset(n_samples=4)
    with pytest.raises(RequestError, match="has changed since run"):
        world.resume(run_id)
    assert world.view(run_id).state == "failed"


def test_a_run_started_from_a_thread_leaves_no_zombie(world: World) -> None:
    run_id = world.start(world.config(world.model())).run_id
    world.wait(run_id)
    worker = world.directory(run_id).status().worker
    assert worker is not None
    wait_for(lambda: not Path(f"/proc/{worker.pid}").exists(), within_s=5)
