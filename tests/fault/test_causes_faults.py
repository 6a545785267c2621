"""Runs about causes and typed answers, while their host is killed or told to stop."""

import os
import shutil
import signal
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from emoact.causes.ablate import ABLATE, AblateRequest
from emoact.causes.chosen import units_of
from emoact.causes.contributions import ContrastSettings, Target
from emoact.causes.direction import direction_of
from emoact.causes.heads import HEADS, HeadsRequest
from emoact.causes.prepared import Prepared, result_of
from emoact.causes.saved import verify_causes
from emoact.causes.settings import AblateSettings, SteerSettings
from emoact.causes.steer import SITE, STEER, SteerRequest
from emoact.errors import EmoactError
from emoact.host.client import continue_both
from emoact.jobs import control, launch
from emoact.jobs.directory import RunDirectory
from emoact.jobs.progress import read_run
from emoact.jobs.views import RunView
from emoact.models import hosts
from emoact.models.alike import request_alike
from emoact.store.layout import ResultsRoot
from tests.support.stand_in_world import wait_for
from tests.support.tiny_results import FOLDER

LONGEST_S = 120.0


def heads(results: Path) -> Prepared:
    return HEADS.prepare(
        HeadsRequest(
            results=results,
            model=FOLDER,
            emotion="anger",
            target=Target(layer=2),
            settings=ContrastSettings(n_permutations=20),
        )
    )


def ablations(results: Path) -> Prepared:
    # Many draws, so that the run lasts long enough to be cancelled.
    settings = AblateSettings(emotion="anger", layer=2, n_bootstrap=100_000)
    return ABLATE.prepare(AblateRequest(results=results, model=FOLDER, settings=settings))


def steering(results: Path) -> Prepared:
    settings = SteerSettings(doses=(1.0, 2.0), n_random=1_000)
    return STEER.prepare(SteerRequest(results=results, model=FOLDER, settings=settings))


ASKED = {"heads": heads, "ablate": ablations, "steer": steering}


@pytest.fixture
def results(tiny: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny, tmp_path / "results")


def view(asked: Prepared) -> RunView:
    return read_run(Path(asked.config.results), asked.config.run_id)


def worker_of(asked: Prepared) -> int | None:
    root = ResultsRoot(asked.config.results)
    worker = RunDirectory(root.run_dir(asked.config.run_id)).status().worker
    return None if worker is None else worker.pid


def begun(asked: Prepared) -> bool:
    """True once the host works; of a sweep, once a part is on disk."""
    if asked.kind == "steer":
        return any(ResultsRoot(asked.config.results).causes.glob("*/steer_part.json"))
    return view(asked).state in ("loading", "running") and worker_of(asked) is not None


def parts_of(results: Path) -> dict[str, int]:
    """When each part of a sweep was written."""
    found = ResultsRoot(results).causes.glob("*/steer_part.json")
    return {path.parent.name: path.stat().st_mtime_ns for path in found}


def check_resumed(asked: Prepared, undisturbed: Path) -> None:
    """What a resumed run has made equals the result of a run without a disturbance."""
    results, before = Path(asked.config.results), parts_of(Path(asked.config.results))
    control.resume(results, asked.config.run_id)
    wait_for(lambda: not view(asked).summary.active)
    assert view(asked).state == "finished", view(asked)
    # Must not happen: a part that was on disk is computed again, or something half done stays.
    assert {name: at for name, at in parts_of(results).items() if name in before} == before
    assert not list(results.rglob(".emoact-*"))
    assert not list(verify_causes(ResultsRoot(results)))
    again = ASKED[asked.kind](results)
    assert again.existing is not None
    assert again.existing.found == result_of(ASKED[asked.kind](undisturbed)).found


@pytest.mark.parametrize("kind", ["steer", "heads", "ablate"])
def test_a_killed_host_is_told(results: Path, tiny: Path, tmp_path: Path, kind: str) -> None:
    hosts.leave_others()
    asked = ASKED[kind](results)
    launch.start(asked.config)
    wait_for(lambda: begun(asked))
    worker = worker_of(asked)
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: not view(asked).summary.active)
    assert view(asked).state == "crashed"
    error = view(asked).error
    assert error is not None
    assert "resume" in (error.remedy or "").lower()
    assert ASKED[kind](results).existing is None
    check_resumed(asked, shutil.copytree(tiny, tmp_path / "undisturbed"))


@pytest.mark.parametrize("kind", ["steer", "ablate"])
def test_a_cancelled_run_keeps_parts(results: Path, tiny: Path, tmp_path: Path, kind: str) -> None:
    asked = ASKED[kind](results)
    launch.start(asked.config)
    # A host that still loads ends with its run.
    wait_for(lambda: begun(asked) and view(asked).state != "loading")
    control.cancel(results, asked.config.run_id, wait=True)
    wait_for(lambda: not view(asked).summary.active)
    assert view(asked).state == "cancelled"
    assert ASKED[kind](results).existing is None
    worker = worker_of(asked)
    check_resumed(asked, shutil.copytree(tiny, tmp_path / "undisturbed"))
    assert worker_of(asked) == worker


def host_pids() -> set[int]:
    """Processes that listen."""
    found = set()
    for folder in hosts.hosts():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
            try:
                asking.connect(os.fspath(folder / "socket"))
            except OSError:
                continue
            size = struct.calcsize("3i")
            credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
            found.add(struct.unpack("3i", credentials)[0])
    return found


def test_a_typed_answer_whose_host_is_killed_is_an_error_and_the_next_one_works(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No host of another process is counted or killed.
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    units = units_of(ResultsRoot(tiny), FOLDER)
    request = request_alike(FOLDER, [unit.configuration for unit in units], (SITE,))
    by_emotion = {unit.emotion: unit for unit in units}
    vector = direction_of(by_emotion["anger"], by_emotion["neutral"], Target(layer=1)).vector

    def ask() -> tuple[float, ...]:
        found = continue_both(request, "Thank you", layer=1, vector=vector, max_tokens=3)
        return found.steered.difference

    before = ask()
    assert np.isfinite(before[1:]).all()
    (first,) = host_pids()
    os.kill(first, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask)
        killed: set[int] = set()
        deadline = time.monotonic() + LONGEST_S
        # A single loss is made good by a new host; here every new one is killed, too.
        while not answer.done():
            assert time.monotonic() < deadline
            for pid in host_pids() - killed:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            time.sleep(0.005)
        with pytest.raises(EmoactError, match="ended before it answered") as lost:
            answer.result()
    assert first in killed
    assert lost.value.remedy
    np.testing.assert_array_equal(ask()[1:], before[1:])
