"""A run on Ray: one warm model for each worker, which take units from the driver.

The driver is the worker process of the run. It writes the run directory, so that a run on Ray is
shown, cancelled and resumed as any other. Correctness does not rest on Ray: a worker computes a
unit as a run of its own would, under the lock of the unit and after a look at what is on the disk.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import signal
import time
from collections import deque
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoact.data import read_prompts
from emoact.errors import EmoactError, RequestError
from emoact.extraction.engine import EngineFor, Reporter
from emoact.extraction.pipeline import run_units
from emoact.host.warm import WarmModel
from emoact.jobs.config import RunConfig, config_from_json
from emoact.models.effort import THREADS, wanted
from emoact.store.layout import ResultsRoot

_PAUSE_S = 0.2
_TELL_S = 0.5
_LOSSES = 5
"""Workers that may be lost with one unit before the run fails."""

_FORWARDED = ("install", "download", "load", "self_check")
"""Steps that a run shows of its workers; what else they do, their units say."""


def run_on_ray(
    config: RunConfig,
    *,
    reporter: Reporter,
    plans: MutableMapping[str, Mapping[str, Any]],
    engine_for: EngineFor,
) -> None:
    """Compute and save every unit of a run that is not on disk yet.

    The first worker of a model chooses its plan, the others follow. `engine_for` is a function of a
    module, which workers import.

    Raises:
        RequestError: As `run_units`, or a worker does not see the results folder.
        CancelledError: The reporter was asked to stop.
        EmoactError: Ray cannot be reached, a unit lost too many workers, or a model failed.
    """
    if not config.units:
        return
    with _connected(config.ray_address) as ray:
        driver = _Driver(
            ray=ray, config=config, reporter=reporter, plans=plans, engine_for=engine_for
        )
        try:
            driver.work()
        finally:
            driver.end()


@contextlib.contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    """Ray, with a cluster of this machine or a part of another one."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray: Any = importlib.import_module("ray")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
    if address is None:
        options |= {"address": "local", "include_dashboard": False}
    else:
        options["address"] = address
    try:
        ray.init(**options)
    except Exception as error:
        raise EmoactError(
            f"Ray cannot be reached at {address or 'this machine'}: {str(error)[:300]}",
            remedy="`ray status` says if a cluster runs there. Its version of Ray and of Python "
            "has to be the one here.",
        ) from error
    finally:
        # Ray has handlers of its own; the run ends as other runs do.
        for number, handler in handlers.items():
            signal.signal(number, handler)
    try:
        yield ray
    finally:
        ray.shutdown()


@dataclass(kw_only=True)
class _Driver:
    """Gives units to workers, and writes what they tell."""

    ray: Any
    config: RunConfig
    reporter: Reporter
    plans: MutableMapping[str, Mapping[str, Any]]
    engine_for: EngineFor

    def __post_init__(self) -> None:
        queues: Any = importlib.import_module("ray.util.queue")
        self._threads = wanted(THREADS) or 1
        self._gpus = 1 if self.config.options.device == "cuda" else 0
        self._told = queues.Queue(actor_options=_beside_driver(self.ray))
        self._waiting = deque(range(len(self.config.units)))
        self._losses = [0] * len(self.config.units)
        self._idle: list[Any] = []
        self._working: dict[Any, tuple[Any, int]] = {}
        self._choosing: set[str] = set()
        self._n_made = 0

    def work(self) -> None:
        """Return when every unit is on the disk."""
        while self._waiting or self._working:
            self.reporter.check_cancelled()
            self._tell()
            self._give()
            if not self._waiting:
                # A worker that waits for a place, as its node was lost, takes that of an idle one.
                self._end_idle()
            done, _ = self.ray.wait(list(self._working), timeout=_PAUSE_S)
            for reference in done:
                self._take(reference)
        self._tell()

    def end(self) -> None:
        """End all workers at once; a file is whole or not there."""
        self._idle += [worker for worker, _ in self._working.values()]
        self._end_idle()

    def _end_idle(self) -> None:
        while self._idle:
            with contextlib.suppress(Exception):
                self.ray.kill(self._idle.pop())

    def _has_room(self) -> bool:
        """True where the nodes that are there now hold one more worker."""
        resources = self.ray.cluster_resources()
        most = int(resources.get("CPU", 1)) // self._threads
        if self._gpus:
            most = min(most, int(resources.get("GPU", 0)))
        return len(self._working) < max(1, most)

    def _give(self) -> None:
        for _ in range(len(self._waiting)):
            if not self._idle and not self._has_room():
                return
            index = self._waiting.popleft()
            folder = self.config.units[index][0].folder
            if folder not in self.plans and folder in self._choosing:
                # Its first worker is about to choose the plan that all units have to share.
                self._waiting.append(index)
                continue
            self._choosing.add(folder)
            worker = self._idle.pop() if self._idle else self._make()
            plans = {name: dict(choices) for name, choices in self.plans.items()}
            reference = worker.work.remote(index, plans)
            self._working[reference] = worker, index

    def _make(self) -> Any:
        self._n_made += 1
        made = self.ray.remote(_Worker).options(
            num_cpus=self._threads,
            num_gpus=self._gpus,
            runtime_env={"env_vars": {THREADS: str(self._threads)}},
        )
        return made.remote(
            f"worker-{self._n_made}", self.config.to_json(), self._told, self.engine_for
        )

    def _take(self, reference: Any) -> None:
        worker, index = self._working.pop(reference)
        model, part = self.config.units[index]
        try:
            failure = self.ray.get(reference)
        except self.ray.exceptions.RayError as error:
            self._choosing.discard(model.folder)
            self._losses[index] += 1
            if self._losses[index] >= _LOSSES:
                raise EmoactError(
                    f"{self._losses[index]} workers were lost with {model.name} {part.label}: "
                    f"{str(error).strip().splitlines()[0][:200]}",
                    remedy="A worker may need more memory than its node has; resume with fewer "
                    "workers for each node (EMOACT_THREADS).",
                ) from error
            self.reporter.note(
                f"a worker was lost with {model.name} {part.label}; another computes it"
            )
            self._waiting.appendleft(index)
            return
        if failure is not None:
            kind = RequestError if failure["wrong_request"] else EmoactError
            raise kind(failure["message"], remedy=failure["remedy"])
        self._idle.append(worker)

    def _tell(self) -> None:
        """Write what the workers have told since."""
        told: Sequence[tuple[str, dict[str, Any]]] = ()
        with contextlib.suppress(Exception):
            size = self._told.qsize()
            told = self._told.get_nowait_batch(size) if size else ()
        for kind, fields in told:
            if kind == "plan":
                if fields["folder"] not in self.plans:
                    self.plans[fields["folder"]] = fields["choices"]
            else:
                getattr(self.reporter, kind)(**fields)


def _beside_driver(ray: Any) -> dict[str, Any]:
    """Options of an actor on the node of the driver, which no other node takes along when lost."""
    scheduling: Any = importlib.import_module("ray.util.scheduling_strategies")
    node = ray.get_runtime_context().get_node_id()
    strategy = scheduling.NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    return {"num_cpus": 0, "scheduling_strategy": strategy}


class _Worker:
    """One process of Ray with a warm model."""

    def __init__(self, name: str, config: dict[str, Any], told: Any, engine_for: EngineFor) -> None:
        found = config_from_json(config)
        if not isinstance(found, RunConfig):
            raise TypeError(f"run {found.run_id!r} is no extraction")
        self._name, self._config, self._told = name, found, told
        self._warm = WarmModel(engine_for, before_loading=lambda: None)
        # Once for all units: a large data set takes seconds to read.
        self._read = functools.cache(read_prompts)

    def work(self, index: int, plans: dict[str, Any]) -> dict[str, Any] | None:
        """Compute one unit; returns what went wrong, or None."""
        chosen = _Plans(plans, self._told)
        reporter = _Told(self._name, self._config, self._told)
        try:
            reporter.check_in_place()
            run_units(
                self._config,
                reporter=reporter,
                plans=chosen,
                engine_for=self._warm,
                units=self._config.units[index : index + 1],
                read_dataset=self._read,
            )
        except EmoactError as error:
            return {
                "message": f"{self._name} on {os.uname().nodename}: {error.message}",
                "remedy": error.remedy,
                "wrong_request": isinstance(error, RequestError),
            }
        return None


class _Plans(dict[str, Mapping[str, Any]]):
    """Plans by model folder; a choice is told to the driver at once."""

    def __init__(self, plans: Mapping[str, Mapping[str, Any]], told: Any) -> None:
        super().__init__(plans)
        self._told = told

    def __setitem__(self, folder: str, choices: Mapping[str, Any]) -> None:
        super().__setitem__(folder, choices)
        self._told.put(("plan", {"folder": folder, "choices": dict(choices)}))


class _Told:
    """Reporter of a worker; the driver writes what it is told."""

    def __init__(self, name: str, config: RunConfig, told: Any) -> None:
        self._name, self._told, self._last = name, told, 0.0
        self._directory = ResultsRoot(config.results).run_dir(config.run_id)

    def step(self, step: Any, **fields: Any) -> None:
        """Tell the steps before the passes."""
        if step in _FORWARDED:
            self._told.put(("step", {"step": step, **fields}))

    def unit(self, event: Any, **fields: Any) -> None:
        """Tell an event of a unit; progress twice a second at most."""
        now = time.monotonic()
        if event == "unit_progress":
            if now - self._last < _TELL_S:
                return
            self._last = now
        if event == "unit_started":
            fields["worker"] = self._name
        self._told.put(("unit", {"event": event, **fields}))

    def note(self, text: str) -> None:
        """Tell a remark."""
        self._told.put(("note", {"text": text}))

    def check_in_place(self) -> None:
        """Raise `RequestError` unless this machine sees the run's folder."""
        if not Path(self._directory).is_dir():
            raise RequestError(
                f"{self._directory} is not to be seen from there",
                remedy="Results have to lie in a folder that all nodes share.",
            )

    def check_cancelled(self) -> None:
        """Return; the driver ends the worker of a run that was cancelled."""
