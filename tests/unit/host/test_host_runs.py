"""Extraction runs on a host that has their model already; the model is a numpy stand-in."""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emoact.decode import sealed, unsealed
from emoact.errors import EmoactError, RequestError
from emoact.host import client
from emoact.host.server import Server
from emoact.host.warm import WarmModel
from emoact.jobs import control, launch
from emoact.jobs.config import RunConfig
from emoact.jobs.lock import RunLock
from emoact.jobs.request import prepare
from emoact.models import hosts
from emoact.models.alike import ModelRequest
from emoact.schema import ExtractionOptions
from tests.support.numpy_engine import behave, numpy_engine
from tests.support.stand_in_worker import WORKER
from tests.support.stand_in_world import (
    LONGEST_WAIT_S,
    World,
    directory_of,
    finished,
    saved_arrays,
    steps_of,
    until,
    wait_for,
    worker_of,
)


@pytest.fixture
def world(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world whose workers become hosts; none outlives the test."""
    monkeypatch.setenv(hosts.IDLE, "60")
    yield world
    world.end_all()
    hosts.leave_others()
    wait_for(lambda: hosts.hosts() == [])


def in_another_folder(world: World, model: Path, name: str, **changes: Any) -> RunConfig:
    request = world.request(model, results=world.path / name, **changes)
    return prepare(request)


def request_of(config: RunConfig) -> ModelRequest:
    model = config.models[0]
    return ModelRequest(
        model=model.asked, folder=model.folder, commit=model.commit, options=config.options
    )


def test_a_second_run_of_a_model_loads_nothing_and_writes_the_same(world: World) -> None:
    model = world.model()
    first = world.config(model)
    second = in_another_folder(world, model, "second")
    pid = finished(first)
    assert finished(second) == pid
    assert "load" in steps_of(first)
    assert "load" not in steps_of(second)
    assert any("was warm" in line for line in directory_of(second).log_tail())
    assert len(saved_arrays(first.results)) == 2
    assert saved_arrays(first.results) == saved_arrays(second.results)
    # The run's own log and lock are closed; what is printed later goes to the host's.
    open_files = [os.fspath(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    assert not [path for path in open_files if str(world.path / "second") in path]


@pytest.mark.parametrize("seconds", ["0", "0.3"])
def test_idle_hosts_end(world: World, monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    monkeypatch.setenv(hosts.IDLE, seconds)
    pid = finished(world.config(world.model()))
    wait_for(lambda: not Path(f"/proc/{pid}").exists())
    assert hosts.hosts() == []


def test_a_run_that_is_cancelled_leaves_the_host_usable(world: World) -> None:
    model = world.model()
    pid = finished(world.config(model))
    behave(model, pass_s=0.02, gate=str(world.path / "gate"))
    # Behaviour is part of the engine; other prompts make it anew on the same loaded model.
    world.write_dataset(n_samples=4)
    slow = in_another_folder(world, model, "slow")
    launch.start(slow)
    results = Path(slow.results)
    until(slow, "running")
    control.cancel(results, slow.run_id, wait=True)
    until(slow, "cancelled")
    (world.path / "gate").touch()
    assert control.resume(results, slow.run_id).run_id == slow.run_id
    until(slow, "finished")
    assert worker_of(slow) == pid
    assert "load" not in steps_of(slow)


def test_a_killed_host_crashes_its_run_which_resumes_to_the_same_files(world: World) -> None:
    model = world.model()
    undisturbed = world.config(model)
    pid = finished(undisturbed)
    world.write_dataset(n_samples=4)
    behave(model, gate=str(world.path / "gate"))
    killed = in_another_folder(world, model, "killed")
    results = Path(killed.results)
    launch.start(killed)
    until(killed, "running")
    assert worker_of(killed) == pid
    os.kill(pid, 9)
    until(killed, "crashed")
    plan = directory_of(killed).plan_path.read_bytes()
    (world.path / "gate").touch()
    control.resume(results, killed.run_id)
    until(killed, "finished")
    assert worker_of(killed) != pid
    assert directory_of(killed).plan_path.read_bytes() == plan
    again = in_another_folder(world, model, "again")
    finished(again)
    assert saved_arrays(killed.results) == saved_arrays(again.results)


def test_a_sentence_goes_to_a_warm_host(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "WORKER", WORKER)
    config = world.config(world.model())
    request = request_of(config)
    assert not client.is_warm(request)
    pid = finished(config)
    assert client.is_warm(request)
    (before,) = hosts.hosts()
    looked = client.look_at(request, "two words")
    assert looked.token_strings == ("<s>", "two", "words")
    assert hosts.hosts() == [before]
    again = in_another_folder(world, Path(request.model), "again")
    assert finished(again) == pid


def test_a_host_at_work_takes_no_sentence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "WORKER", WORKER)
    config = world.config(world.model(gate=str(world.path / "gate")))
    request = request_of(config)
    launch.start(config)
    until(config, "running")
    assert not client.is_warm(request)
    (world.path / "gate").touch()
    until(config, "finished")
    wait_for(lambda: client.is_warm(request))


def test_a_run_that_fails_takes_its_process_with_it(world: World) -> None:
    config = world.config(world.model(fail="the weights are not what they were"))
    launch.start(config)
    until(config, "failed")
    wait_for(lambda: hosts.hosts() == [])


def test_an_odd_idle_time_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    config = world.config(world.model())
    for text in ("soon", "-1", "nan", "inf"):
        monkeypatch.setenv(hosts.IDLE, text)
        with pytest.raises(RequestError, match="EMOACT_HOST_IDLE_S is"):
            launch.start(config)
    assert not directory_of(config).exists()
    monkeypatch.setenv(hosts.IDLE, "0")


def test_of_two_runs_at_once_one_gets_the_host_and_both_finish(world: World) -> None:
    model = world.model()
    pid = finished(world.config(model))
    behave(model, gate=str(world.path / "gate"))
    world.write_dataset(n_samples=4)
    runs = [in_another_folder(world, model, name) for name in ("one", "two")]
    for config in runs:
        launch.start(config)
    (world.path / "gate").touch()
    for config in runs:
        until(config, "finished")
    workers = [worker_of(config) for config in runs]
    assert workers[0] == pid != workers[1]
    assert saved_arrays(runs[0].results) == saved_arrays(runs[1].results)


@pytest.mark.parametrize("other", ["dtype", "processing", "model", "threads", "pickle weights"])
def test_a_host_with_other_settings_is_not_used(
    world: World, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = world.model()
    first = world.config(model)
    pid = finished(first)
    changes: dict[str, Any] = {}
    if other == "dtype":
        changes["options"] = ExtractionOptions(dtype="bfloat16")
    elif other == "processing":
        changes["options"] = ExtractionOptions(processing="tl_compat")
    elif other == "model":
        model = world.model("another")
    elif other == "threads":
        monkeypatch.setenv("EMOACT_THREADS", "1")
    elif other == "pickle weights":
        changes["allow_pickle_weights"] = True
    second = in_another_folder(world, model, "second", **changes)
    assert finished(second) != pid
    assert "load" in steps_of(second)
    # One model at a time stays in memory.
    wait_for(lambda: not Path(f"/proc/{pid}").exists())


def test_a_resumed_run_with_another_number_of_threads_is_not_worked_off_warm(world: World) -> None:
    model = world.model()
    behave(model, fail="not today")
    resumed = in_another_folder(world, model, "resumed")
    launch.start(resumed)
    until(resumed, "failed")
    plan = directory_of(resumed).plan_path
    stated, _ = unsealed(json.loads(plan.read_text().replace('"threads": 1', '"threads": 3')))
    plan.write_text(json.dumps(sealed(stated)))
    behave(model)
    pid = finished(world.config(model))
    control.resume(resumed.results, resumed.run_id)
    until(resumed, "finished")
    assert worker_of(resumed) != pid
    assert steps_of(resumed).count("load") == 2


def test_a_host_refuses_a_lock_that_is_not_that_of_the_run(world: World) -> None:
    model = world.model()
    finished(world.config(model))
    (folder,) = hosts.hosts()
    second = in_another_folder(world, model, "second")
    launch.start(second, worker=("true",))
    wrong = RunLock.acquire(world.path / "lock")
    assert wrong is not None
    stamp = hosts.stamp(WORKER[-1], hosts.child_environment())
    asked = {"directory": str(directory_of(second).path)}
    with connected(folder) as connection:
        hosts.send(connection, {"request": "run", "stamp": stamp, "asked": asked})
        assert hosts.receive(connection)[0]["ok"] is True
        socket.send_fds(connection, [b"\0"], [wrong.descriptor])
        content, _ = hosts.receive(connection)
    assert content["ok"] is False
    assert "not the lock of run" in content["message"]
    wrong.close()
    # It is free again for a run that is handed over properly.
    third = in_another_folder(world, model, "third")
    finished(third)
    assert "load" not in steps_of(third)


NOWHERE = ({"directory": "relative"}, {"directory": "/nowhere"}, {"directory": "/", "more": 1})


def test_a_malformed_request_is_refused_and_a_long_one_not_read(world: World) -> None:
    finished(world.config(world.model()))
    (folder,) = hosts.hosts()
    for asked in (None, 3, {}, *NOWHERE):
        for name in ("run", "sentence", "no such request"):
            with connected(folder) as connection:
                hosts.send(connection, {"request": name, "stamp": "", "asked": asked})
                content, _ = hosts.receive(connection)
            assert content["ok"] is False
    with connected(folder) as connection:
        connection.sendall((hosts.REQUEST[0] + 1).to_bytes(8, "big") + b"{" * 100)
        with pytest.raises((EOFError, ConnectionResetError)):
            hosts.receive(connection)
    assert hosts.hosts() == [folder]


def connected(folder: Path) -> socket.socket:
    connection = hosts.connect(folder, timeout_s=5.0)
    assert connection is not None
    return connection


def ends(path: Path, lock: int) -> Callable[[], int]:
    return lambda: path.name.count(str(lock))


def test_another_user_is_not_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        assert hosts.is_own(ours)
        monkeypatch.setattr(os, "getuid", lambda: 12345)
        assert not hosts.is_own(ours)
    asked, warm = threading.Event(), WarmModel(numpy_engine, before_loading=lambda: None)
    server = Server(tmp_path, warm, stamp="", idle_s=0.0, run=ends)

    def first() -> int:
        asked.wait(LONGEST_WAIT_S)
        return 0

    serving = threading.Thread(target=server.serve, args=(first,), daemon=True)
    serving.start()
    try:
        while not (tmp_path / "socket").exists():
            time.sleep(0.01)
        with pytest.raises(EmoactError, match="another user's process listens"):
            hosts.connect(tmp_path, timeout_s=LONGEST_WAIT_S)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stranger:
            stranger.settimeout(LONGEST_WAIT_S)
            stranger.connect(str(tmp_path / "socket"))
            with contextlib.suppress(BrokenPipeError):
                hosts.send(stranger, {"request": "leave"})
            with pytest.raises((EOFError, ConnectionResetError)):
                hosts.receive(stranger, limits=hosts.REQUEST)
    finally:
        asked.set()
        serving.join(LONGEST_WAIT_S)
