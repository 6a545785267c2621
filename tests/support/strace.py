"""Processes that strace kills, or whose disk it makes fail, at one chosen system call.

A warm process forks once for each death, so that hundreds of them take seconds. A fork waits for
SIGUSR1 before its first system call that matters, until strace holds it.
"""

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

_LINE = re.compile(r"(?:\d+ +)?(\w+)\((.*)")


@dataclass(frozen=True, kw_only=True)
class Ended:
    """End of a fork: exit code, or minus the signal; and its system calls."""

    code: int
    trace: str

    def chosen(self, every: bool, each: int) -> list[tuple[str, int]]:
        """The calls to disturb: all of them, or one in `each` and the last of every kind."""
        points = self.points()
        last = dict(points).items()
        return [p for turn, p in enumerate(points) if every or turn % each == 0 or p in last]

    def points(self) -> list[tuple[str, int]]:
        """Every call that changes the disk: its name, and its number among those of that name."""
        seen: Counter[str] = Counter()
        found = []
        for line in self.trace.splitlines():
            if match := _LINE.match(line):
                name, arguments = match.groups()
                seen[name] += 1
                if name != "openat" or "O_CREAT" in arguments:
                    found.append((name, seen[name]))
        return found


@functools.cache
def why_not() -> str | None:
    """Why strace cannot be used here, or None where it can."""
    if shutil.which("strace") is None:
        return "strace is not installed: apt-get install strace"
    tried = subprocess.run(
        ["strace", "-e", "trace=none", "true"], capture_output=True, text=True, check=False
    )
    return None if tried.returncode == 0 else f"strace is not permitted: {tried.stderr.strip()}"


class FaultServer:
    """The warm process, seen from the tests; its module calls `serve`."""

    def __init__(self, folder: Path, *, module: str, calls: Sequence[str]) -> None:
        self.folder = folder
        self._calls = calls
        self._process = subprocess.Popen(
            [sys.executable, "-B", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, "PYTHONPATH": ":".join(sys.path), "OPENBLAS_NUM_THREADS": "1"},
        )

    def close(self) -> None:
        """End the process."""
        _pipe(self._process.stdin).close()
        self._process.wait()
        _pipe(self._process.stdout).close()

    def fork(self, *asked: Any, inject: str | None = None) -> Ended:
        """One fork, to its end; `inject` as in `strace -e inject=...`."""
        trace = self.folder / "trace"
        commands, answers = _pipe(self._process.stdin), _pipe(self._process.stdout)
        commands.write(json.dumps(asked) + "\n")
        pid = int(answers.readline())
        faults = ["-e", f"inject={inject}"] if inject else []
        calls = f"trace={','.join(self._calls)}"
        tracer = subprocess.Popen(
            ["strace", "-o", str(trace), "-p", str(pid), "-e", calls, *faults],
            stderr=subprocess.PIPE,
            text=True,
        )
        said = _pipe(tracer.stderr).readline()
        if "attached" not in said:
            os.kill(pid, signal.SIGKILL)
            answers.readline()
            tracer.communicate()
            pytest.skip(f"strace is not permitted: {said.strip()}")
        os.kill(pid, signal.SIGUSR1)
        code = int(answers.readline())
        tracer.communicate()
        return Ended(code=code, trace=trace.read_text())


def serve(act: Callable[..., int]) -> None:
    """Be the warm process: fork for every line of standard input, and call `act` in the fork."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            signal.sigwait({signal.SIGUSR1})
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
            os._exit(act(*json.loads(line)))
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None, "the process was started without pipes"
    return pipe
