"""A run on Ray: its files are those of a local run, also where workers are lost on the way."""

from __future__ import annotations

import json
import os
import random
import signal
import time

import psutil
import pytest

from emoact.cli import main
from emoact.jobs import executor
from tests.support.numpy_engine import behave
from tests.support.stand_in_world import World, saved_arrays, words

EMOTIONS = ("anger", "fear", "joy", "neutral", "sadness")

needs_ray = pytest.mark.skipif(
    len(executor.offered()) == 1, reason="Ray is not installed (emoact[ray])"
)


@pytest.fixture
def world(world: World) -> World:
    world.write_dataset(EMOTIONS)
    return world


def workers_of(world: World) -> list[psutil.Process]:
    """Processes of Ray below the run's worker."""
    status = world.directory("mine").status()
    assert status.worker is not None
    try:
        children = psutil.Process(status.worker.pid).children(recursive=True)
        return [each for each in children if "_Worker" in " ".join(each.cmdline())]
    except psutil.NoSuchProcess:
        return []


@needs_ray
def test_workers_that_are_killed_leave_the_files_of_a_local_run(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Workers are killed at random, then the run is cancelled and resumed."""
    rng = random.Random(0)
    gate = world.path / "gate"
    model = world.model(pass_s=0.05)
    assert main(words(world, model, results=world.path / "one")) == 0
    expected = saved_arrays(world.path / "one")
    behave(model, gate=str(gate))
    assert main(words(world, model, "--executor", "ray", "--run-id", "mine", "--detach")) == 0
    world.wait("mine", lambda view: view.state == "running" and bool(workers_of(world)))
    for _ in range(2):
        with_unit = workers_of(world)
        if with_unit:
            os.kill(rng.choice(with_unit).pid, signal.SIGKILL)
        time.sleep(1.0)
    results = ["--results", str(world.results)]
    assert main(["runs", "cancel", "mine", *results]) == 0
    assert world.wait("mine").state == "cancelled"
    gate.touch()
    assert main(["runs", "resume", "mine", *results]) == 0
    view = world.wait("mine")
    assert (view.state, view.summary.samples_done) == ("finished", 15)
    assert any("a worker was lost" in note for note in view.notes)
    assert all(unit.worker is not None for unit in view.units if unit.state == "saved")
    capsys.readouterr()
    assert main(["runs", "show", "mine", *results, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["executor"] == "ray"
    assert saved_arrays(world.results) == expected
    assert main(["verify", "--samples", "0", *results]) == 0


@needs_ray
def test_a_cluster_that_is_not_there_and_a_model_that_fails_end_the_run_with_the_reason(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    model = world.model(fail="the model is broken")
    nowhere = ["--executor", "ray", "--ray-address", "127.0.0.1:1"]
    assert main(words(world, model, *nowhere)) == 2
    assert "no head node of Ray answers" in capsys.readouterr().err
    assert main(words(world, model, "--executor", "ray", "--ray-address", "head")) == 2
    capsys.readouterr()
    assert main(words(world, model, "--executor", "ray")) == 1
    assert "the model is broken" in capsys.readouterr().err


def test_without_ray_and_beside_it_the_request_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = world.model()
    assert main(words(world, model, "--ray-address", "auto")) == 2
    assert "--executor ray" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert executor.offered() == (executor.LOCAL,)
    assert main(words(world, model, "--executor", "ray")) == 2
    assert "pip install 'emoact[ray]'" in capsys.readouterr().err
    assert not world.results.exists()
