"""`emoact runs`: the same truth as the pages, in words and in JSON."""

from collections.abc import Callable

import pytest

from emoact.jobs import progress
from emoact.jobs.snapshot import State
from tests.support.numpy_engine import behave
from tests.support.run_files import a_config, a_model, in_state, make_run
from tests.support.stand_in_world import World, running
from tests.support.typed import Said, Typed

Runs = Callable[..., Said]


@pytest.fixture
def runs(world: World, typed: Typed) -> Runs:
    return lambda *words, code=0: typed("runs", *words, "--results", world.results, code=code)


def test_list_gives_every_run_with_its_state(world: World, runs: Runs) -> None:
    assert runs("--json").json == {"runs": []}
    assert "no runs in" in runs("list").err
    states: tuple[State, ...] = ("finished", "failed")
    for state in states:
        snapshot = in_state(a_config(world.results), state)
        make_run(world.results, f"run-{state}", snapshot=snapshot)
    rows = {row["id"]: row for row in runs("list", "--json").json["runs"]}
    assert {name: row["state"] for name, row in rows.items()} == {
        "run-finished": "finished",
        "run-failed": "failed",
    }
    assert rows["run-failed"]["models"] == ["tiny"]
    out = runs("list").out
    assert "RUN" in out.splitlines()[0]
    assert "run-finished" in out


def test_results_come_from_the_environment_when_nothing_is_said(
    world: World, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(world.results, "mine")
    monkeypatch.setenv("EMOACT_RESULTS", f"{world.results}:/elsewhere")
    assert [row["id"] for row in typed("runs", "list", "--json").json["runs"]] == ["mine"]


def test_a_damaged_run_is_listed_with_its_problem(world: World, runs: Runs) -> None:
    directory = make_run(world.results, "broken")
    directory.config_path.write_text("{")
    assert "config.json is not JSON" in runs("list").out
    assert "problem: config.json is not JSON" in runs("show", "broken").out


def test_what_a_folder_says_does_not_act_on_the_terminal(world: World, runs: Runs) -> None:
    acts = "\x1b]0;title\x07\x9b31m\u202e"
    make_run(
        world.results,
        "foreign",
        command=f"python {acts}",
        models=(a_model(asked=f"tiny{acts}", name=f"tiny{acts}"),),
    )
    for words in (["list"], ["show", "foreign"], ["show", "foreign", "--json"]):
        out = runs(*words).out
        assert not set(out) & set("\x1b\x07\x9b\u202e")
        assert "tiny" in out


def test_a_received_run_does_not_load_pickles_unasked(world: World, runs: Runs) -> None:
    make_run(
        world.results,
        "received",
        snapshot=in_state(a_config(world.results), "failed"),
        allow_pickle_weights=True,
    )
    assert "--allow-pickle-weights" in runs("resume", "received", code=2).err


def test_show_tells_unit_by_unit(world: World, runs: Runs) -> None:
    run_id = world.start(world.config(world.model())).run_id
    world.wait(run_id)
    out = runs("show", run_id).out
    assert out.startswith(f"run {run_id}: finished\n")
    assert "command: python -m emoact extract --model" in out
    assert out.count("saved") == 2
    shown = runs("show", run_id, "--json").json
    assert shown["state"] == "finished"
    assert [unit["state"] for unit in shown["units"]] == ["saved", "saved"]
    assert shown["config"]["run_id"] == run_id


def test_cancel_resume_and_delete(world: World, runs: Runs) -> None:
    model = world.model(pass_s=0.1)
    world.write_dataset(n_samples=200)
    run_id = world.start(world.config(model)).run_id
    world.wait(run_id, running)
    assert "cannot be deleted" in runs("delete", run_id, "--yes", code=2).err
    assert runs("cancel", run_id, "--json").json == {"id": run_id, "state": "cancelled"}
    assert not world.view(run_id).summary.cancel_requested
    # It took effect within a pass: nothing was saved, and nothing is left half written.
    assert not list(world.results.rglob("*.pkl"))
    assert not (world.results / ".partial").exists()
    runs("cancel", run_id, code=2)
    behave(model)
    assert runs("resume", run_id, "--json").json["state"] == "finished"
    assert "is finished" in runs("resume", run_id, code=2).err
    assert "--yes" in runs("delete", run_id, code=2).err
    assert runs("delete", run_id, "--yes", "--json").json == {"id": run_id, "deleted": True}
    assert progress.list_runs(world.results) == []
    assert len(list(world.results.rglob("*.pkl"))) == 2


def test_resume_can_be_detached(world: World, runs: Runs) -> None:
    model = world.model(fail="no")
    run_id = world.start(world.config(model)).run_id
    world.wait(run_id)
    behave(model)
    assert runs("resume", run_id, "--detach").out == f"{run_id}\n"
    view = world.wait(run_id)
    assert (view.state, view.error) == ("finished", None)


def test_logs_are_the_last_lines(world: World, runs: Runs) -> None:
    directory = make_run(world.results, "mine")
    assert "printed nothing" in runs("logs", "mine").err
    directory.log_path.write_text("one\ntwo\nthree\n")
    assert runs("logs", "mine", "--lines", "2").out == "two\nthree\n"
    said = runs("logs", "mine", "--json").json
    assert said == {"id": "mine", "lines": ["one", "two", "three"]}
    runs("logs", "mine", "--lines", "0", code=2)
