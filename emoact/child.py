"""A function in a process of its own, with limits of memory and time.

For parsers of other projects: a damaged or hostile file can make them abort their process, or fill
the memory. The process is asked in JSON and answers in JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from emoact.errors import RequestError

_ROOT = str(Path(__file__).resolve().parents[1])
_CODE = "import sys; sys.path.insert(0, sys.argv[1]); from emoact.child import main; main()"
_MEMORY = 4 << 30
_SECONDS = 60
_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")


def limit(*, memory: int = _MEMORY, seconds: int = _SECONDS) -> None:
    """Limit this process, which then writes no file; a limit that the system lacks is left out."""
    limits = (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    )
    for kind, value in limits:
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (value, value))


def environment() -> dict[str, str]:
    """Variables that such a process sees; the others may hold tokens."""
    return {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}


def ask(function: str, asked: Any, *, memory: int = _MEMORY, seconds: int = _SECONDS) -> Any:
    """Answer of a function, `package.module:name`, of plain JSON in a process of its own.

    Raises:
        RequestError: It raised an error, or was stopped at its limit of memory or time.
    """
    stopped = (
        f"it was stopped after {seconds} seconds or {memory >> 20:,} MiB of memory, or crashed"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _CODE, _ROOT, function, str(memory), str(seconds)],
            input=json.dumps(asked).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
            timeout=4 * seconds,
            check=False,
        )
        problem, answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise RequestError(stopped) from error
    if problem is not None:
        raise RequestError(problem)
    return answer


def main() -> None:
    """Answer what standard input asks for."""
    module, _, name = sys.argv[2].partition(":")
    limit(memory=int(sys.argv[3]), seconds=int(sys.argv[4]))
    answer: tuple[str | None, Any]
    try:
        answer = None, getattr(importlib.import_module(module), name)(json.load(sys.stdin))
    except Exception as error:  # noqa: BLE001 - a foreign parser can raise anything
        answer = f"{type(error).__name__}: {error}"[:400], None
    json.dump(answer, sys.stdout)
