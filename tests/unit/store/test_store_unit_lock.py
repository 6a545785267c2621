"""One run at a time on one unit."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from emoact.errors import CancelledError, EmoactError
from emoact.store.layout import ResultsRoot
from emoact.store.locks import remove_stale_files
from emoact.store.manifest import unit_lock


def give_up() -> None:
    raise CancelledError("waited")


@pytest.fixture
def root(tmp_path: Path) -> ResultsRoot:
    return ResultsRoot(tmp_path / "results")


def test_a_second_run_waits_until_the_first_is_done(root: ResultsRoot) -> None:
    inside, order = threading.Event(), []

    def second() -> None:
        with unit_lock(root, "gpt2", "joy", while_waiting=lambda: inside.set()):
            order.append("second")

    with unit_lock(root, "gpt2", "joy"):
        thread = threading.Thread(target=second)
        thread.start()
        assert inside.wait(timeout=10)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_many_runs_are_inside_one_at_a_time_even_while_others_sweep_up(root: ResultsRoot) -> None:
    inside, most, done = [], [], []

    def run(worker: int) -> None:
        for _ in range(5):
            remove_stale_files(root.partial)
            with unit_lock(root, "gpt2", "joy"):
                inside.append(worker)
                most.append(len(inside))
                time.sleep(0.002)
                inside.remove(worker)
            done.append(worker)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    assert max(most) == 1
    assert len(done) == 20


def test_other_units_are_not_kept_waiting(root: ResultsRoot) -> None:
    with (
        unit_lock(root, "gpt2", "joy"),
        unit_lock(root, "gpt2", "anger", while_waiting=give_up),
        unit_lock(root, "pythia-160m", "joy", while_waiting=give_up),
    ):
        assert len(list(root.partial.rglob("*.lock"))) == 3


def test_a_waiting_run_can_give_up(root: ResultsRoot) -> None:
    with (
        unit_lock(root, "gpt2", "joy"),
        pytest.raises(CancelledError),
        unit_lock(root, "gpt2", "joy", while_waiting=give_up),
    ):
        pytest.fail("two runs are inside at once")


def test_the_lock_of_a_killed_run_is_free(root: ResultsRoot) -> None:
    script = (
        "import os, sys; from emoact.store.layout import ResultsRoot;"
        "from emoact.store.manifest import unit_lock\n"
        "with unit_lock(ResultsRoot(sys.argv[1]), 'gpt2', 'joy'): os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(root.path)],
        check=False,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert ended.returncode == -9
    assert root.lock_path("gpt2", "joy").exists()
    with unit_lock(root, "gpt2", "joy", while_waiting=give_up):
        pass
    assert not root.lock_path("gpt2", "joy").exists()


def test_the_lock_is_given_back_after_an_error(root: ResultsRoot) -> None:
    with pytest.raises(ValueError, match="mine"), unit_lock(root, "gpt2", "joy"):
        raise ValueError("mine")
    assert not root.lock_path("gpt2", "joy").exists()


def test_a_lock_that_cannot_be_made_is_an_error_with_the_path(root: ResultsRoot) -> None:
    root.path.mkdir()
    root.partial.write_text("in the way")
    with (
        pytest.raises(EmoactError, match=r"activations_joy\.lock could not be written"),
        unit_lock(root, "gpt2", "joy"),
    ):
        pytest.fail("there is no lock")
