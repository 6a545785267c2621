"""`emoact runs`: the same truth as the pages, in words and in JSON."""

import json
from typing import Any

import pytest

from emoact.cli import main
from emoact.decode import sealed, unsealed
from emoact.jobs import progress
from emoact.jobs.snapshot import State
from tests.support.numpy_engine import behave
from tests.support.run_files import a_config, a_model, in_state, make_run
from tests.support.stand_in_world import World, running


def runs(world: World, *words: str) -> int:
    return main(["runs", *words, "--results", str(world.results)])


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_list_gives_every_run_with_its_state(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    states: tuple[State, ...] = ("finished", "failed")
    for state in states:
        snapshot = in_state(a_config(world.results), state)
        make_run(world.results, f"run-{state}", snapshot=snapshot)
    assert runs(world, "list", "--json") == 0
    rows = {row["id"]: row for row in document(capsys)["runs"]}
    assert {name: row["state"] for name, row in rows.items()} == {
        "run-finished": "finished",
        "run-failed": "failed",
    }
    assert rows["run-failed"]["models"] == ["tiny"]
    assert runs(world, "list") == 0
    out = capsys.readouterr().out
    assert "RUN" in out.splitlines()[0]
    assert "run-finished" in out


def test_without_an_action_it_lists(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "--results", str(world.results), "--json"]) == 0
    assert document(capsys) == {"runs": []}
    assert runs(world, "list") == 0
    assert "no runs in" in capsys.readouterr().err


def test_results_come_from_the_environment_when_nothing_is_said(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(world.results, "mine")
    monkeypatch.setenv("EMOACT_RESULTS", f"{world.results}:/elsewhere")
    assert main(["runs", "list", "--json"]) == 0
    assert [row["id"] for row in document(capsys)["runs"]] == ["mine"]


def test_a_damaged_run_is_listed_with_its_problem(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = make_run(world.results, "broken")
    directory.config_path.write_text("{")
    assert runs(world, "list") == 0
    assert "config.json is not JSON" in capsys.readouterr().out
    assert runs(world, "show", "broken") == 0
    assert "problem: config.json is not JSON" in capsys.readouterr().out


def test_a_number_beyond_all_numbers_costs_its_own_run_alone(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(world.results, "good")
    status = make_run(world.results, "bad").status_path
    fields, _ = unsealed(json.loads(status.read_text()))
    fields["snapshot"]["elapsed_s"] = 10**400
    status.write_text(json.dumps(sealed(fields)))
    assert runs(world, "list") == 0
    out = capsys.readouterr().out
    assert "good" in out
    assert "elapsed_s is 1000" in out
    assert runs(world, "show", "bad") == 0


def test_what_a_folder_says_does_not_act_on_the_terminal(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    acts = "\x1b]0;title\x07\x9b31m\u202e"
    make_run(
        world.results,
        "foreign",
        command=f"python {acts}",
        models=(a_model(asked=f"tiny{acts}", name=f"tiny{acts}"),),
    )
    for words in (["list"], ["show", "foreign"], ["show", "foreign", "--json"]):
        assert runs(world, *words) == 0
        out = capsys.readouterr().out
        assert not set(out) & set("\x1b\x07\x9b\u202e")
    assert "tiny" in out


def test_a_received_run_does_not_load_pickles_unasked(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    make_run(
        world.results,
        "received",
        snapshot=in_state(a_config(world.results), "failed"),
        allow_pickle_weights=True,
    )
    assert runs(world, "resume", "received") == 2
    assert "--allow-pickle-weights" in capsys.readouterr().err


def test_show_tells_unit_by_unit(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = world.start(world.config(world.model())).run_id
    world.wait(run_id)
    assert runs(world, "show", run_id) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"run {run_id}: finished\n")
    assert "command: python -m emoact extract --model" in out
    assert out.count("saved") == 2
    assert runs(world, "show", run_id, "--json") == 0
    shown = document(capsys)
    assert shown["state"] == "finished"
    assert [unit["state"] for unit in shown["units"]] == ["saved", "saved"]
    assert shown["config"]["run_id"] == run_id


def test_cancel_resume_and_delete(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    model = world.model(pass_s=0.1)
    world.write_dataset(n_samples=200)
    run_id = world.start(world.config(model)).run_id
    world.wait(run_id, running)
    assert runs(world, "delete", run_id, "--yes") == 2
    assert "cannot be deleted" in capsys.readouterr().err
    assert runs(world, "cancel", run_id, "--json") == 0
    assert document(capsys) == {"id": run_id, "state": "cancelled"}
    assert runs(world, "cancel", run_id) == 2
    behave(model)
    capsys.readouterr()
    assert runs(world, "resume", run_id, "--json") == 0
    assert document(capsys)["state"] == "finished"
    assert runs(world, "resume", run_id) == 2
    assert "is finished" in capsys.readouterr().err
    assert runs(world, "delete", run_id) == 2
    assert "--yes" in capsys.readouterr().err
    assert runs(world, "delete", run_id, "--yes", "--json") == 0
    assert document(capsys) == {"id": run_id, "deleted": True}
    assert progress.list_runs(world.results) == []
    assert len(list(world.results.rglob("*.pkl"))) == 2


def test_resume_can_be_detached(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    model = world.model(fail="no")
    run_id = world.start(world.config(model)).run_id
    world.wait(run_id)
    behave(model)
    assert runs(world, "resume", run_id, "--detach") == 0
    assert capsys.readouterr().out == f"{run_id}\n"
    assert world.wait(run_id).state == "finished"


def test_logs_are_the_last_lines(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    directory = make_run(world.results, "mine")
    assert runs(world, "logs", "mine") == 0
    assert "printed nothing" in capsys.readouterr().err
    directory.log_path.write_text("one\ntwo\nthree\n")
    assert runs(world, "logs", "mine", "--lines", "2") == 0
    assert capsys.readouterr().out == "two\nthree\n"
    assert runs(world, "logs", "mine", "--json") == 0
    assert document(capsys) == {"id": "mine", "lines": ["one", "two", "three"]}
    assert runs(world, "logs", "mine", "--lines", "0") == 2
