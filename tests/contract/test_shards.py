"""Shards of one request: killed, repeated and duplicated, they leave what one run leaves."""

import contextlib
import json
import os
import random
import signal
import subprocess
from collections.abc import Callable

import pytest

from emoact.cli import main
from emoact.errors import RequestError
from emoact.jobs import progress
from emoact.jobs.config import Shard
from emoact.jobs.look import look
from emoact.jobs.queue import run_directories
from tests.support.pages import open_page
from tests.support.stand_in_world import World, saved_arrays, wait_for, words
from tests.support.typed import Typed

EMOTIONS = ("anger", "fear", "joy", "neutral", "sadness")


@pytest.fixture
def world(world: World) -> World:
    world.write_dataset(EMOTIONS)
    return world


def states(world: World) -> dict[str, str]:
    return {each.run_id: look(each).state for each in run_directories(world.results / "runs")}


@pytest.mark.parametrize("seed", range(int(os.environ.get("EMOACT_SEEDS", "2"))))
def test_shards_that_are_killed_and_repeated_leave_what_one_run_leaves(
    seed: int, world: World, record_property: Callable[[str, object], None]
) -> None:
    rng = random.Random(seed)
    model = world.model(pass_s=0.01)
    assert main(words(world, model, results=world.path / "one")) == 0
    expected = saved_arrays(world.path / "one")
    runs = world.results / "runs"
    shards = [f"{number}/3" for number in (1, 2, 3)]
    kills = 5
    while kills:
        for shard in rng.sample(shards, 3):
            assert main(words(world, model, "--shard", shard, "--detach")) == 0
        active = [each for each in run_directories(runs) if look(each).active]
        if not active:
            break
        status = look(rng.choice(active)).status
        if status is not None and status.worker is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(status.worker.pid, signal.SIGKILL)
        kills -= 1
    record_property("shard", 5 - kills)
    for shard in shards:
        # Again, and once more: a shard that is done has nothing to do.
        assert main(words(world, model, "--shard", shard)) == 0
        assert main(words(world, model, "--shard", shard)) == 0
    assert saved_arrays(world.results) == expected
    assert main(["verify", "--samples", "0", "--results", str(world.results)]) == 0
    (row,) = progress.list_runs(world.results)
    assert (row.state, row.samples_done, row.n_samples) == ("finished", 15, 15)


def test_shards_are_one_run(world: World, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    model = world.model()
    typed(*words(world, model, "--shard", "1/2", "--run-id", "mine"))
    results = ["--results", str(world.results)]
    assert set(states(world)) == {"mine.1-of-2"}
    (row,) = typed("runs", "list", *results, "--json").json["runs"]
    assert (row["id"], row["state"], row["executor"]) == ("mine", "cancelled", "shard")
    assert row["problem"] == "1 of 2 shards were not started: 2"
    typed(*words(world, model, "--shard", "2/2", "--run-id", "mine"))
    shown = typed("runs", "show", "mine", *results, "--json").json
    assert (shown["state"], shown["problem"]) == ("finished", None)
    assert [unit["emotion"] for unit in shown["units"]] == list(EMOTIONS)
    assert all(unit["state"] == "saved" for unit in shown["units"])
    typed("runs", "logs", "mine", *results)
    monkeypatch.setenv("EMOACT_RESULTS", str(world.results))
    table = open_page("runs", run="mine").dataframe[0].value
    assert table["id"].tolist() == ["mine"]
    typed("runs", "delete", "mine", "--yes", *results)
    assert states(world) == {}


def test_shards_wait_for_no_other_run_and_are_cancelled_and_resumed_together(world: World) -> None:
    gate = world.path / "gate"
    model = world.model(gate=str(gate))
    for shard in ("1/2", "2/2"):
        assert main(words(world, model, "--shard", shard, "--run-id", "mine", "--detach")) == 0
    wait_for(lambda: set(states(world).values()) == {"running"})
    assert progress.read_run(world.results, "mine").state == "running"
    assert main(["runs", "cancel", "mine", "--results", str(world.results)]) == 0
    assert set(states(world).values()) == {"cancelled"}
    gate.touch()
    assert main(["runs", "resume", "mine", "--results", str(world.results)]) == 0
    assert set(states(world).values()) == {"finished"}


def test_more_shards_than_units_have_nothing_to_do(world: World) -> None:
    model = world.model()
    for number in range(1, 8):
        assert main(words(world, model, "--shard", f"{number}/7")) == 0
    assert len(saved_arrays(world.results)) == len(EMOTIONS)
    assert progress.list_runs(world.results)[0].state == "finished"


@pytest.mark.parametrize("text", ["5/4", "0/4", "1", "1/0", "a/b", "-1/4", "1/999999999", "1.0/2"])
def test_a_shard_that_does_not_exist_is_refused(text: str, world: World, typed: Typed) -> None:
    assert "I/N" in typed(*words(world, world.model(), f"--shard={text}"), code=2).err
    assert not world.results.exists()


def test_shards_of_two_requests_in_one_folder_are_named(world: World, typed: Typed) -> None:
    model = world.model()
    typed(*words(world, model, "--shard", "1/2"))
    some = ["--emotion", "joy", "--emotion", "neutral"]
    told = typed(*words(world, model, "--shard", "2/2", *some), code=2).err
    assert "shards of another request" in told
    assert 'emotions: saved ["anger", "fear", "joy", "neutral", "sadness"]' in told
    typed(*words(world, model, "--shard", "2/2", *some, "--run-id", "mine"))
    said = typed(*words(world, model, "--shard", "1/2", "--run-id", "mine"), code=2)
    assert "are called 'mine' already" in said.err
    typed(*words(world, model, "--shard", "2/2"))
    typed(*words(world, model, "--shard", "2/3", *some))


def test_every_unit_is_in_one_shard_and_neighbours_stay_together() -> None:
    for n_units in range(12):
        for count in range(1, 9):
            places = [
                place
                for number in range(1, count + 1)
                for place in range(n_units)[Shard(number=number, count=count).slice(n_units)]
            ]
            assert places == list(range(n_units))
    with pytest.raises(RequestError, match="I/N"):
        Shard(number=2, count=1)


def test_two_divisions_of_a_request_at_once_leave_what_one_run_leaves(world: World) -> None:
    model = world.model(pass_s=0.01)
    assert main(words(world, model, results=world.path / "one")) == 0
    for shard in ("1/1", "1/2", "2/2", "3/3"):
        assert main(words(world, model, "--shard", shard, "--detach")) == 0
    wait_for(lambda: set(states(world).values()) == {"finished"})
    assert saved_arrays(world.results) == saved_arrays(world.path / "one")


@pytest.mark.parametrize("shard", ["1/2", "2/5"])
def test_a_file_not_recorded_by_a_killed_shard_is_made_again(shard: str, world: World) -> None:
    """Killed between the file and its record; then repeated, or divided anew."""
    model = world.model()
    assert main(words(world, model, "--shard", "1/2")) == 0
    assert len(saved_arrays(world.results)) == 2
    before = {name: rows for name, rows in saved_arrays(world.results).items() if "fear" in name}
    manifest = world.results / "manifest.json"
    content = json.loads(manifest.read_text())
    content["units"] = {name: unit for name, unit in content["units"].items() if "fear" not in name}
    manifest.write_text(json.dumps(content))
    assert main(words(world, model, "--shard", shard)) == 0
    entries = json.loads(manifest.read_text())["units"]
    assert sum("fear" in name for name in entries) == 1
    after = {name: rows for name, rows in saved_arrays(world.results).items() if "fear" in name}
    assert after == before
    # What another run has left there is still in the way.
    del entries[next(name for name in entries if "fear" in name)]
    manifest.write_text(json.dumps({**content, "units": entries}))
    assert main(words(world, model)) == 2


def test_the_script_for_slurm_runs_every_shard(world: World, typed: Typed) -> None:
    """Bash runs the script as SLURM would, one task after the other."""
    model = world.model()
    command = words(world, model, "--keep", "pooled")
    script = typed("slurm", *command[1:], "--shards", "2", "--cpus", "3", "--partition", "big").out
    head = [line for line in script.splitlines() if line.startswith("#SBATCH")]
    assert {"#SBATCH --array=1-2", "#SBATCH --cpus-per-task=3", "#SBATCH --requeue"} < set(head)
    assert "#SBATCH --partition=big" in head
    assert "\n#SBATCH --output=" in script
    assert any(line.startswith("#SBATCH --mem=") for line in head)
    (line,) = (line for line in script.splitlines() if line.startswith("exec "))
    assert subprocess.run(["bash", "-n", "-c", script], check=False).returncode == 0
    for task in ("1", "2"):
        shown = subprocess.run(
            ["bash", "-c", line.replace("exec python -m emoact", "printf '%s\\n'")],
            env={**os.environ, "SLURM_ARRAY_TASK_ID": task},
            capture_output=True,
            text=True,
            check=True,
        )
        asked = shown.stdout.splitlines()
        assert asked[-2:] == ["--shard", f"{task}/2"]
        typed(*asked)
    (row,) = progress.list_runs(world.results)
    assert (row.state, row.samples_done) == ("finished", 15)
    typed("slurm", *command[1:], "--shards", "0", code=2)
    typed("slurm", *command[1:], "--shards", "2", "--memory", "4G #", code=2)
