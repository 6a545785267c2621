"""A results folder, a data set and stand-in models for tests of runs, with their waiting."""

import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoact.jobs import control, launch, progress
from emoact.jobs.config import AnyConfig, JobConfig, JobKind, RunConfig, new_run_id, now
from emoact.jobs.directory import RunDirectory
from emoact.jobs.look import look
from emoact.jobs.request import ExtractRequest, prepare
from emoact.jobs.snapshot import State
from emoact.jobs.views import RunView
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read_all
from tests.support import stand_in_job
from tests.support.numpy_engine import stand_in_model
from tests.support.stand_in_worker import WORKER

LONGEST_WAIT_S = 60.0
EMOTIONS = ("anger", "neutral")


def saved_arrays(results: str | os.PathLike[str]) -> dict[str, list[bytes]]:
    """The arrays of every unit, in a form that compares bit for bit; refuses damaged files."""
    grid = read_all(results)
    assert grid.problems == ()
    return {
        f"{unit.folder}/{unit.emotion}": [
            rows.tobytes()
            for layers in (unit.residual_stream, unit.mlp_output)
            for samples in layers
            for rows in samples
        ]
        for unit in grid
    }


@dataclass(frozen=True)
class World:
    """Everything below one temporary folder."""

    path: Path

    @property
    def results(self) -> Path:
        return self.path / "results"

    @property
    def dataset(self) -> Path:
        return self.path / "prompts.jsonl"

    def write_dataset(self, emotions: Sequence[str] = EMOTIONS, n_samples: int = 3) -> Path:
        rows = [
            {"text": f"the {emotion} text number {number}", "emotion": emotion}
            for number in range(n_samples)
            for emotion in emotions
        ]
        self.dataset.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return self.dataset

    def model(self, name: str = "tiny", **behaviour: Any) -> Path:
        return stand_in_model(self.path / "models" / name, **behaviour)

    def request(self, *models: Path, **changes: Any) -> ExtractRequest:
        fields = {"dataset": self.dataset, "results": self.results, **changes}
        return ExtractRequest(models=tuple(map(str, models)), **fields)

    def config(self, *models: Path, **changes: Any) -> RunConfig:
        if not self.dataset.exists():
            self.write_dataset()
        return prepare(self.request(*models, **changes))

    def job(self, kind: JobKind, gate: Path) -> JobConfig:
        """A run that extracts nothing and ends once the gate is there."""
        return JobConfig(
            kind=kind,
            run_id=new_run_id(),
            created_at=now(),
            models=("tiny",),
            emotions=EMOTIONS,
            results=str(self.results),
            request={"gate": str(gate)},
        )

    def start(self, config: AnyConfig) -> launch.Started:
        return launch.start(config, worker=_worker_of(config))

    def resume(self, run_id: str) -> launch.Started:
        worker = _worker_of(self.directory(run_id).config())
        return control.resume(self.results, run_id, worker=worker)

    def view(self, run_id: str) -> RunView:
        return progress.read_run(self.results, run_id)

    def directory(self, run_id: str) -> RunDirectory:
        return RunDirectory(ResultsRoot(self.results).run_dir(run_id))

    def wait(self, run_id: str, until: Callable[[RunView], bool] | None = None) -> RunView:
        """The run once `until` holds of it, or else once its worker is gone."""
        deadline = time.monotonic() + LONGEST_WAIT_S
        while time.monotonic() < deadline:
            view = self.view(run_id)
            if until is None:
                if not view.summary.active and not self.directory(run_id).lock_is_held():
                    return view
            elif until(view):
                return view
            time.sleep(0.01)
        raise AssertionError(f"waited in vain; the run is {self.view(run_id)}")

    def kill(self, run_id: str) -> None:
        """SIGKILL to the worker."""
        status = look(self.directory(run_id)).status
        assert status is not None
        assert status.worker is not None
        os.kill(status.worker.pid, signal.SIGKILL)

    def end_all(self) -> None:
        """End all workers of the test, which write nothing afterwards."""
        for row in progress.list_runs(self.results):
            directory = self.directory(row.id)
            status = look(directory).status
            if status is not None and status.worker is not None:
                killed = status.worker.send(signal.SIGKILL, is_alive=directory.lock_is_held)
                if killed:
                    wait_for(lambda directory=directory: not directory.lock_is_held())  # type: ignore[misc]


def _worker_of(config: AnyConfig) -> Sequence[str]:
    return WORKER if config.kind == "extract" else stand_in_job.WORKER


def running(view: RunView) -> bool:
    """True when a pass may be under way."""
    return view.state == "running"


def wait_for(holds: Callable[[], object], within_s: float = LONGEST_WAIT_S) -> None:
    """Wait until this holds."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def directory_of(config: RunConfig) -> RunDirectory:
    return RunDirectory(Path(config.results) / "runs" / config.run_id)


def until(config: RunConfig, state: State) -> None:
    """Wait until a run has this state."""
    wait_for(lambda: look(directory_of(config)).state == state)


def finished(config: RunConfig) -> int:
    """Start a run and see it finish; returns the process that worked it off."""
    launch.start(config)
    directory = directory_of(config)
    wait_for(lambda: not (look(directory).active or directory.lock_is_held()))
    assert look(directory).state == "finished", directory.log_tail()
    return worker_of(config)


def worker_of(config: RunConfig) -> int:
    worker = directory_of(config).status().worker
    assert worker is not None
    return worker.pid


def steps_of(config: RunConfig) -> list[str]:
    """Steps that the run has told."""
    events = directory_of(config).events()
    return [event.fields["step"] for event in events if event.kind == "step"]


def words(
    world: World, model: Path, *more: str, results: str | os.PathLike[str] | None = None
) -> list[str]:
    """Words of a command that extracts the world's data set."""
    paths = ["--dataset", str(world.dataset), "--results", str(results or world.results)]
    return ["extract", "--model", str(model), *paths, *more]


def extract(world: World, *more: str) -> list[str]:
    """The same with the model `tiny`."""
    return words(world, world.path / "models" / "tiny", *more)


def files(world: World) -> list[Path]:
    return sorted(world.results.glob("activations/*/*"))
