"""A run on Ray: its files are those of a local run, also where workers are lost on the way."""

import contextlib
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from emoact.cli import main
from emoact.errors import EmoactError
from emoact.host.ray_run import run_on_ray
from emoact.jobs import executor
from emoact.jobs.views import RunView
from emoact.store.reading import read_all
from tests.support.numpy_engine import behave, numpy_engine
from tests.support.ray_nodes import ThreeNodes
from tests.support.stand_in_world import World, saved_arrays, words
from tests.support.typed import Typed

EMOTIONS = ("anger", "fear", "joy", "neutral", "sadness")
SEEDS = range(int(os.environ.get("EMOACT_SEEDS", "1")))
_TRIES = 6
_PATIENCE_S = 200.0

needs_ray = pytest.mark.skipif(
    len(executor.offered()) == 1, reason="Ray is not installed (emoact[ray])"
)


@pytest.fixture
def world(world: World) -> World:
    world.write_dataset(EMOTIONS)
    return world


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreeNodes]:
    with pytest.MonkeyPatch.context() as patch:
        # Its workers have the environment of its nodes.
        patch.setenv("EMOACT_CACHE", str(tmp_path_factory.mktemp("cache")))
        started = ThreeNodes()
    yield started
    started.end()


def until(world: World, holds: Callable[[RunView], bool], run_id: str = "mine") -> RunView:
    deadline = time.monotonic() + _PATIENCE_S
    while not holds(view := world.view(run_id)):
        assert time.monotonic() < deadline, view
        time.sleep(0.05)
    return view


def ended(world: World, run_id: str) -> str:
    """State of a run once it is over; that of one which was killed is `crashed`."""
    lock = world.directory(run_id).lock_is_held
    return until(world, lambda view: not view.summary.active and not lock(), run_id).state


@needs_ray
@pytest.mark.parametrize("seed", SEEDS)
def test_lost_workers_nodes_and_drivers_leave_the_files_of_a_local_run(
    seed: int,
    nodes: ThreeNodes,
    world: World,
    typed: Typed,
    record_property: Callable[[str, object], None],
) -> None:
    """A worker is killed behind a gate or becomes a zombie; then things are lost at random."""
    rng, lost = random.Random(seed), Counter[str]()
    gate = world.path / "gate"
    model = world.model()
    typed(*words(world, model, results=world.path / "one"))
    expected = saved_arrays(world.path / "one")
    behave(model, gate=str(gate), pass_s=0.1)
    nodes.mend()
    results = ["--results", str(world.results)]
    on_ray = ["--executor", "ray", "--ray-address", nodes.address]
    typed(*words(world, model, *on_ray, "--run-id", "mine", "--detach"))
    until(world, lambda view: any(unit.state == "running" for unit in view.units))
    if seed % 2:
        until(world, lambda _: nodes.make_zombie(rng, then=gate.touch))
        lost["zombie"] += 1
    else:
        lost["worker"] += nodes.kill_worker(rng)
        until(world, lambda view: any("a worker was lost" in note for note in view.notes))
        gate.touch()

    def kill_driver(_: random.Random) -> bool:
        with contextlib.suppress(ProcessLookupError):
            world.kill("mine")
        return True

    def duplicate(_: random.Random) -> bool:
        # The same request at the same time, in a process of its own.
        again = ["--shard", "1/1", "--run-id", "again", "--detach"]
        return main(words(world, model, *again)) == 0

    losses: dict[str, Callable[[random.Random], bool]] = {
        "worker": nodes.kill_worker,
        "node": nodes.kill_node,
        "zombie": nodes.make_zombie,
        "driver": kill_driver,
        "duplicate": duplicate,
    }
    for kind in rng.sample(list(losses), rng.randint(1, 3)):
        time.sleep(rng.uniform(0.0, 1.0))
        if world.view("mine").summary.active:
            lost[kind] += losses[kind](rng)
    tries = 0
    while (state := ended(world, "mine")) != "finished":
        tries += 1
        assert tries < _TRIES, (state, world.view("mine").error)
        nodes.mend()
        again = ["runs", "resume", "mine", *results, "--detach", *on_ray[2:]]
        typed(*again)
    if lost["duplicate"]:
        ended(world, "again.1-of-1")
    for kind, count in lost.items():
        record_property(kind, count)
    assert saved_arrays(world.results) == expected
    view = world.view("mine")
    assert view.summary.samples_done == 15
    assert all(unit.worker is not None for unit in view.units if unit.state == "saved")
    assert typed("runs", "show", "mine", *results, "--json").json["executor"] == "ray"
    typed("verify", "--samples", "0", *results)


@needs_ray
def test_no_cluster_or_a_bad_model_ends_it(world: World, nodes: ThreeNodes, typed: Typed) -> None:
    model = world.model(fail="the model is broken")
    nowhere = ["--executor", "ray", "--ray-address", "127.0.0.1:1"]
    assert "no head node of Ray answers" in typed(*words(world, model, *nowhere), code=2).err
    typed(*words(world, model, "--executor", "ray", "--ray-address", "head"), code=2)
    there = ["--executor", "ray", "--ray-address", nodes.address]
    assert "the model is broken" in typed(*words(world, model, *there), code=1).err


@needs_ray
def test_a_worker_without_model_or_results_ends_the_run(world: World, nodes: ThreeNodes) -> None:
    model = world.model()
    config = world.config(model, executor="ray", ray_address=nodes.address)

    def refusal() -> str:
        with pytest.raises(EmoactError, match="worker-1 on ") as told:
            run_on_ray(config, reporter=Mock(), plans={}, engine_for=numpy_engine)
        return f"{told.value.message} {told.value.remedy}"

    # The driver made no folder of the run here, as on a machine that does not share it.
    assert "a folder that all nodes share" in refusal()
    world.directory(config.run_id).path.mkdir(parents=True)
    model.rename(world.path / "elsewhere")
    assert f"{model}" in refusal()
    assert read_all(world.results).units == ()


def test_without_ray_and_beside_it_the_request_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch, typed: Typed
) -> None:
    model = world.model()
    assert "--executor ray" in typed(*words(world, model, "--ray-address", "auto"), code=2).err
    for found in ("2.9.3", "3.0.0", None):
        monkeypatch.setattr("emoact.jobs.executor._ray_version", lambda found=found: found)
        told = typed(*words(world, model, "--executor", "ray"), code=2).err
        assert "pip install 'emoact[ray]'" in told
        assert (found or "not installed") in told
    assert executor.offered() == (executor.LOCAL,)
    assert not world.results.exists()


@needs_ray
def test_another_version_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    config = world.config(world.model(), executor="ray", ray_address="auto")
    init = Mock(side_effect=RuntimeError("Version mismatch: the cluster was started with 2.9.0"))
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    with pytest.raises(EmoactError, match="reached at auto: Version mismatch") as told:
        run_on_ray(config, reporter=Mock(), plans={}, engine_for=numpy_engine)
    assert "version of Ray" in str(told.value.remedy)
