"""A warm process whose forks do one thing to a run, so that strace can kill them at any call.

The workers that `start` and `resume` launch do nothing: the death of a launcher is the matter.
"""

import contextlib
import json
import os
import resource
from pathlib import Path

import numpy as np

from emoact.host import worker
from emoact.jobs import control, launch
from emoact.jobs.config import config_from_json
from emoact.models import hosts
from emoact.models.cache import cache_root
from tests.support.numpy_engine import numpy_engine
from tests.support.strace import FaultServer, serve

CALLS = (
    "mkdir", "fallocate", "ftruncate", "pwritev2", "write", "fsync",
    "rename", "renameat", "unlink", "unlinkat", "rmdir",
)  # fmt: skip
"""System calls that change the disk. A file that was only opened anew is covered by the next call,
before which the process dies."""


def run_server(folder: Path) -> FaultServer:
    """The warm process, seen from the tests."""
    # The first of several runs, whose calls are counted, must not be the one that makes it.
    cache_root().mkdir(parents=True, exist_ok=True)
    return FaultServer(folder, module="tests.support.fault_runs", calls=CALLS)


def limit_memory(spare: int) -> None:
    """Let this process have so many bytes more; no limit where it is negative."""
    if spare >= 0:
        held = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (held + spare, held + spare))


def _do(action: str, results: str, run_id: str, *more: str) -> int:
    nothing = ("true",)
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        if action in ("work", "limited"):
            directory = f"{results}/runs/{run_id}"
            if action == "limited":
                limit_memory(int(more[0]))
            return worker.main([directory], engine_for=numpy_engine, summarise=False)
        if action == "start":
            launch.start(config_from_json(json.loads(more[0])), worker=nothing)
        elif action == "resume":
            control.resume(results, run_id, worker=nothing)
        else:
            control.delete(results, run_id)
    return 0


if __name__ == "__main__":
    # A fork ends with its run and becomes no host.
    os.environ[hosts.IDLE] = "0"
    np.random.default_rng(1).standard_normal(1)  # loads the generators now and not in every fork
    serve(_do)
