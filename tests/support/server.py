"""The dashboard as a process, as users start it."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class Server:
    """A dashboard that runs for one test or one module."""

    url: str
    results: Path
    log: Path
    pid: int


@contextlib.contextmanager
def serving(
    results: Path,
    log: Path,
    *,
    headless: bool = True,
    environment: Mapping[str, str] | None = None,
    sources: Path = ROOT,
    ready: Callable[[], object] = lambda: True,
) -> Iterator[Server]:
    """The command that users type, on a free port, until the block ends."""
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        port = int(listener.getsockname()[1])
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    command += ["--server.headless", "true"] if headless else []
    own = {"EMOACT_RESULTS": str(results), "HF_HUB_OFFLINE": "1", **(environment or {})}
    if sources != ROOT:
        own["PYTHONPATH"] = str(sources)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=sources,
            env={**os.environ, **own},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + 60
            while not (ready() and _is_healthy(port)):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
            yield Server(url=f"http://localhost:{port}", results=results, log=log, pid=process.pid)
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                # Streamlit waits without a limit for connections that a browser keeps open.
                process.kill()
                process.wait(timeout=20)


def _is_healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://localhost:{port}/_stcore/health") as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
