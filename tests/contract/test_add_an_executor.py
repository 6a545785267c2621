"""An executor that exists in this file alone runs, shows, cancels and resumes runs."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from emoact.cli import main
from emoact.errors import RequestError
from emoact.jobs import control, executor, launch, progress
from emoact.jobs.directory import RunDirectory
from emoact.jobs.executor import Capability
from emoact.jobs.lock import LockReading, RunLock, read_lock
from tests.support.pages import choices, open_page
from tests.support.stand_in_world import World, running, words
from tests.support.typed import Typed


class NiceExecutor:
    """Worker processes of a low priority, each at once."""

    name = "nice"
    label = "In the background"
    about = "a process of low priority"
    capabilities: frozenset[Capability] = frozenset({"cancel", "resume"})

    def submit(self, directory: RunDirectory, lock: RunLock, command: Sequence[str]) -> None:
        low = ["nice", *command, str(directory.path), "--lock-fd", str(lock.descriptor)]
        with directory.log_path.open("ab") as log:
            process = subprocess.Popen(
                low,
                stdout=log,
                stderr=log,
                pass_fds=(lock.descriptor,),
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
        threading.Thread(target=process.wait, daemon=True).start()

    def watch(self, directory: RunDirectory) -> LockReading:
        return read_lock(directory.lock_path)

    def cancel(self, directory: RunDirectory, *, attempt: int, is_over: Callable[[], bool]) -> None:
        while not is_over():
            time.sleep(0.01)


@pytest.fixture
def nice(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(executor, "EXECUTORS", (*executor.EXECUTORS, NiceExecutor()))
    return world


def extract(world: World, model: Path, *more: str) -> list[str]:
    return words(world, model, "--executor", "nice", *more)


def test_a_run_goes_through_it_and_the_list_the_run_and_the_page_name_it(
    nice: World, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = typed(*extract(nice, nice.model(), "--run-id", "mine", "--json")).json
    assert (document["state"], document["executor"]) == ("finished", "nice")
    config = json.loads((nice.results / "runs" / "mine" / "config.json").read_text())
    assert config["executor"] == "nice"
    assert "--executor nice" in config["command"]
    head, row = typed("runs", "list", "--results", nice.results).out.splitlines()
    assert row[head.index("EXECUTOR") :].startswith("nice")
    shown = typed("runs", "show", "mine", "--results", nice.results).out
    assert "executor: nice" in shown.splitlines()
    monkeypatch.setenv("EMOACT_RESULTS", str(nice.results))
    assert open_page("runs").dataframe[0].value["executor"].tolist() == ["nice"]


def test_it_is_cancelled_and_resumed(nice: World, typed: Typed) -> None:
    gate = nice.path / "gate"
    model = nice.model(gate=str(gate))
    typed(*extract(nice, model, "--run-id", "mine", "--detach"))
    nice.wait("mine", running)
    typed("runs", "cancel", "mine", "--results", nice.results)
    assert nice.wait("mine").state == "cancelled"
    gate.touch()
    typed("runs", "resume", "mine", "--results", nice.results)
    assert nice.wait("mine").state == "finished"


def test_without_a_queue_it_waits_for_no_other_run(nice: World) -> None:
    gate = nice.path / "gate"
    held = nice.start(nice.config(nice.model("held", gate=str(gate)))).run_id
    nice.wait(held, running)
    assert main(extract(nice, nice.model("free"))) == 0
    assert nice.view(held).state == "running"
    waiting = nice.start(nice.config(nice.model("waits", gate=str(gate)))).run_id
    assert nice.view(waiting).summary.place == 1
    gate.touch()
    assert nice.wait(waiting).state == "finished"


def test_a_run_of_an_absent_executor_is_shown(nice: World, monkeypatch: pytest.MonkeyPatch) -> None:
    model = nice.model(fail="broken")
    assert main(extract(nice, model, "--run-id", "mine")) == 1
    monkeypatch.setattr(executor, "EXECUTORS", (executor.LOCAL,))
    view = progress.read_run(nice.results, "mine")
    assert view.state == "failed"
    assert not view.summary.can_resume
    assert "executor 'nice' is unknown here" in view.problems[0]
    with pytest.raises(RequestError, match="executor 'nice' is unknown here"):
        control.resume(nice.results, "mine")
    with pytest.raises(RequestError, match="executor 'nice' is unknown here"):
        launch.start(nice.directory("mine").config())


def test_help_and_page_list_it(nice: World, monkeypatch: pytest.MonkeyPatch, typed: Typed) -> None:
    assert "nice: a process of low priority" in " ".join(typed("extract", "--help").out.split())
    monkeypatch.setenv("EMOACT_RESULTS", str(nice.results))
    offered = choices(open_page("extract"))
    assert offered["Runs on"] == [one.label for one in executor.offered()]
    assert {"This machine", "In the background"} <= set(offered["Runs on"])
