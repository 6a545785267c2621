"""A warm process whose forks do one thing to a run, so that strace can kill them at any call.

Every line of standard input is a JSON list: `work`, `start`, `resume` or `delete`, and its
arguments. The fork waits for SIGUSR1 before its first system call that matters, until strace holds
it. Workers compute with the numpy stand-in; a `start` and a `resume` launch a worker that does
nothing, because the death of a launcher is what they are about.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

CALLS = (
    "mkdir", "fallocate", "ftruncate", "pwrite64", "write", "fsync",
    "rename", "renameat", "unlink", "unlinkat", "rmdir",
)  # fmt: skip
"""System calls that change the disk. A file that was only opened anew is covered by the next call,
before which the process dies."""

_LINE = re.compile(r"(?:\d+ +)?(\w+)\(")


@dataclass(frozen=True, kw_only=True)
class Ended:
    """End of a fork: exit code, or minus the signal; and its system calls."""

    code: int
    trace: str

    def points(self) -> list[tuple[str, int]]:
        """Every call that changes the disk: its name, and the how many-th of that name."""
        seen: Counter[str] = Counter()
        found = []
        for line in self.trace.splitlines():
            if match := _LINE.match(line):
                seen[match[1]] += 1
                found.append((match[1], seen[match[1]]))
        return found


class RunFaultServer:
    """The warm process, seen from the tests."""

    def __init__(self, folder: Path) -> None:
        self._trace = folder / "trace"
        self._process = subprocess.Popen(
            [sys.executable, "-B", "-m", "tests.support.fault_runs"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, "PYTHONPATH": ":".join(sys.path), "OPENBLAS_NUM_THREADS": "1"},
        )

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def run(self, *words: str, inject: str | None = None) -> Ended:
        """One fork, to its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        pid = int(self._process.stdout.readline())
        faults = ["-e", f"inject={inject}"] if inject else []
        calls = f"trace={','.join(CALLS)}"
        tracer = subprocess.Popen(
            ["strace", "-o", str(self._trace), "-p", str(pid), "-e", calls, *faults],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        if "attached" not in said:
            os.kill(pid, signal.SIGKILL)
            self._process.stdout.readline()
            tracer.communicate()
            pytest.skip(f"strace is not permitted: {said.strip()}")
        os.kill(pid, signal.SIGUSR1)
        code = int(self._process.stdout.readline())
        tracer.communicate()
        return Ended(code=code, trace=self._trace.read_text())


def _serve() -> None:
    for module in ("emoact.extraction.worker", "tests.support.numpy_engine"):
        importlib.import_module(module)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    np.random.default_rng(1).standard_normal(1)
    for line in sys.stdin:
        words = json.loads(line)
        child = os.fork()
        if child == 0:
            signal.sigwait({signal.SIGUSR1})
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
            os._exit(_do(*words))
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _do(action: str, results: str, run_id: str, *more: str) -> int:
    from emoact.extraction import worker
    from emoact.jobs import control, launch
    from emoact.jobs.config import RunConfig
    from tests.support.numpy_engine import numpy_engine

    nothing = ("true",)
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        if action == "work":
            directory = f"{results}/runs/{run_id}"
            return worker.main([directory], engine_for=numpy_engine)
        if action == "start":
            launch.start(RunConfig.from_json(json.loads(more[0])), worker=nothing)
        elif action == "resume":
            control.resume(results, run_id, worker=nothing)
        else:
            control.delete(results, run_id)
    return 0


if __name__ == "__main__":
    _serve()
