"""strace as a hand that kills a writer, or makes its disk fail, at one chosen system call."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

CALLS = (
    "mkdir", "openat", "fallocate", "ftruncate", "pwrite64", "write", "fsync", "fdatasync",
    "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir",
)  # fmt: skip
"""The system calls by which the store changes the disk."""

_LINE = re.compile(r"(\w+)\((.*)")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """End of a writer."""

    code: int
    acknowledged: dict[str, str]
    error: str | None
    trace: str


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
    """A warm writer process; every run is a fork of it in the hands of strace."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-B", "-m", "tests.support.fault_writer"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, "PYTHONPATH": ":".join(sys.path), "OPENBLAS_NUM_THREADS": "1"},
        )

    def close(self) -> None:
        """End the server."""
        _pipe(self._process.stdin).close()
        self._process.wait()
        _pipe(self._process.stdout).close()

    def run(self, results: Path, seed: int, *, inject: str | None = None) -> Outcome:
        """One writer, to its end.

        Args:
            results: The results folder.
            seed: Which numbers it writes.
            inject: What happens to it, as in `strace -e inject=...`.
        """
        report, trace = self._folder / "report", self._folder / "trace"
        commands, answers = _pipe(self._process.stdin), _pipe(self._process.stdout)
        commands.write(json.dumps([str(results), seed, str(report)]) + "\n")
        pid = int(answers.readline())
        faults = ["-e", f"inject={inject}"] if inject else []
        tracer = subprocess.Popen(
            ["strace", "-p", str(pid), "-e", f"trace={','.join(CALLS)}", *faults, "-o", str(trace)],
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
        items: list[dict[str, Any]] = [json.loads(line) for line in report.read_text().splitlines()]
        return Outcome(
            code=code,
            acknowledged=dict(item["acknowledged"] for item in items if "acknowledged" in item),
            error=next((item["error"] for item in items if "error" in item), None),
            trace=trace.read_text(),
        )


def state_changes(trace: str) -> list[tuple[str, int]]:
    """Every call of a trace that changes the disk: its name, and the how many-th of that name."""
    seen: Counter[str] = Counter()
    found = []
    for line in trace.splitlines():
        if match := _LINE.match(line):
            name, arguments = match.groups()
            seen[name] += 1
            if name != "openat" or "O_CREAT" in arguments:
                found.append((name, seen[name]))
    return found


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise RuntimeError("the process was started without pipes")
    return pipe
