"""After any sequence of operations on runs, the states shown are those that the rules allow."""

import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from emoact.errors import RequestError
from emoact.jobs import control, progress
from emoact.jobs.config import JobKind
from emoact.jobs.look import look
from emoact.jobs.queue import one_at_a_time
from tests.support.stand_in_world import World

MODELS = ("a", "b")
JOBS: dict[str, JobKind] = {"an analysis": "analyze", "a report": "report"}
ACTIVE = {"pending", "loading", "running"}


class RunsMachine(RuleBasedStateMachine):
    """Runs of gated models and gated jobs beside a list of what each must be.

    `queue` holds the active runs in the order in which they joined; a gated run works until it is
    let go, so nothing changes between two rules by itself but the head of the queue getting on.
    """

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(tempfile.mkdtemp(prefix="emoact-machine-"))
        cache = {"EMOACT_CACHE": str(self._folder / "cache"), "EMOACT_WORKERS": "1"}
        self._environment = mock.patch.dict(os.environ, cache)
        self._environment.start()
        self.world = World(self._folder)
        self.world.write_dataset(emotions=("anger",), n_samples=1)
        for name in MODELS:
            self.world.model(name, gate=str(self.gate(name)))
        self.queue: list[str] = []
        self.ended: dict[str, str] = {}
        self.model_of: dict[str, str] = {}

    def teardown(self) -> None:
        self.world.end_all()
        self._environment.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def gate(self, name: str) -> Path:
        return self._folder / f"gate-{name}"

    def config(self, name: str) -> Any:
        if name in JOBS:
            return self.world.job(JOBS[name], self.gate(name))
        return self.world.config(self._folder / "models" / name)

    def remove_activations(self) -> None:
        """Files that one run saved would let another run of the model end at once."""
        if (self.world.results / "activations").exists():
            shutil.rmtree(self.world.results / "activations")
            (self.world.results / "manifest.json").unlink(missing_ok=True)

    def twin(self, name: str) -> str | None:
        return next((run_id for run_id in self.queue if self.model_of[run_id] == name), None)

    @rule(name=st.sampled_from([*MODELS, *JOBS]), copies=st.integers(1, 3))
    def start(self, name: str, copies: int) -> None:
        """One click, or several at once from several tabs."""
        self.remove_activations()
        there = self.twin(name)
        configs = [self.config(name) for _ in range(copies)]
        with ThreadPoolExecutor(copies) as pool:
            found = list(pool.map(self.world.start, configs))
        (run_id,) = {started.run_id for started in found}
        assert sum(not started.existing for started in found) == (there is None)
        if there is None:
            self.queue.append(run_id)
            self.model_of[run_id] = name
        else:
            assert run_id == there

    @precondition(lambda self: self.queue)
    @rule()
    def let_the_head_finish(self) -> None:
        run_id = self.queue.pop(0)
        gate = self.gate(self.model_of[run_id])
        gate.touch()
        assert self.world.wait(run_id).state == "finished"
        gate.unlink()
        self.ended[run_id] = "finished"

    @precondition(lambda self: self.queue)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        run_id = data.draw(st.sampled_from(self.queue))
        control.cancel(self.world.results, run_id, wait=True)
        self.queue.remove(run_id)
        self.ended[run_id] = "cancelled"

    @precondition(lambda self: self.queue)
    @rule(data=st.data())
    def kill(self, data: st.DataObject) -> None:
        run_id = data.draw(st.sampled_from(self.queue))
        self.world.wait(run_id, lambda _: self.has_worker(run_id))
        self.world.kill(run_id)
        self.world.wait(run_id, lambda view: not view.summary.active)
        self.queue.remove(run_id)
        self.ended[run_id] = "crashed"

    def has_worker(self, run_id: str) -> bool:
        status = look(self.world.directory(run_id)).status
        return status is not None and status.worker is not None

    @precondition(lambda self: self.ended)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        run_id = data.draw(st.sampled_from(sorted(self.ended)))
        there = self.twin(self.model_of[run_id])
        if self.ended[run_id] == "finished":
            with pytest.raises(RequestError, match="is finished"):
                self.world.resume(run_id)
            return
        self.remove_activations()
        started = self.world.resume(run_id)
        assert started.existing == (there is not None)
        assert started.run_id == (there or run_id)
        if there is None:
            del self.ended[run_id]
            self.queue.append(run_id)

    @precondition(lambda self: self.ended)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        run_id = data.draw(st.sampled_from(sorted(self.ended)))
        control.delete(self.world.results, run_id)
        del self.ended[run_id]

    @precondition(lambda self: self.ended)
    @rule(data=st.data())
    def what_has_ended_cannot_be_cancelled(self, data: st.DataObject) -> None:
        run_id = data.draw(st.sampled_from(sorted(self.ended)))
        with pytest.raises(RequestError, match="cannot be cancelled"):
            control.cancel(self.world.results, run_id)

    @precondition(lambda self: self.queue)
    @rule(data=st.data())
    def what_is_active_cannot_be_deleted(self, data: st.DataObject) -> None:
        run_id = data.draw(st.sampled_from(self.queue))
        with pytest.raises(RequestError, match="cannot be deleted"):
            control.delete(self.world.results, run_id)
        assert self.world.resume(run_id).existing

    @invariant()
    def the_states_are_those_that_the_rules_allow(self) -> None:
        rows = {row.id: row for row in progress.list_runs(self.world.results)}
        assert set(rows) == {*self.queue, *self.ended}
        for run_id, state in self.ended.items():
            assert rows[run_id].state == state
        for place, run_id in enumerate(self.queue):
            row = rows[run_id]
            assert row.state in ACTIVE
            # No run works before those that came earlier.
            assert place == 0 or row.state == "pending"
        assert all(row.problem is None for row in rows.values())

    @invariant()
    def at_most_one_run_works(self) -> None:
        runs = self.world.results / "runs"
        if runs.exists():
            with one_at_a_time(runs):
                looks = [look(self.world.directory(run_id)) for run_id in self.queue]
            assert sum(found.state in ("loading", "running") for found in looks) <= 1


TestRunsMachine = RunsMachine.TestCase
TestRunsMachine.settings = settings(
    max_examples=8,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
