"""Read files, each in a process of its own that may grow by so many bytes only.

One path a line comes in, one JSON document a line goes out: what was refused, and what it cost.
"""

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from emoact.store.protocol import STORES, store_of


def tell(path: str, growth: int) -> dict[str, object]:
    """Address space is what is limited: mapped and promised memory count, not only used memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + Path(path).stat().st_size + growth
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    start = time.process_time()
    told: dict[str, object] = {"refused": False, "reason": ""}
    refusal = store_of(Path(path)).verify(Path(path)).refusal
    if refusal is not None:
        told = {"refused": True, "reason": refusal.reason}
    return {**told, "cpu_seconds": time.process_time() - start}


@contextlib.contextmanager
def defusing(growth: int) -> Iterator[Callable[[Path], dict[str, Any]]]:
    """A function that has a file read in such a process, and what came out of it."""
    with subprocess.Popen(
        [sys.executable, __file__, str(growth)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        send, answers = process.stdin, process.stdout
        assert send is not None
        assert answers is not None

        def ask(path: Path) -> dict[str, Any]:
            print(path, file=send, flush=True)
            told: dict[str, Any] = json.loads(answers.readline())
            return told

        yield ask


def main(growth: int) -> None:
    """Fork for every file, so that what one costs is not on the account of the next."""
    for store in STORES:
        store.verify(Path(os.devnull))  # imports what it needs
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            print(json.dumps(tell(line.rstrip("\n"), growth)), flush=True)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            print(json.dumps({"died": status}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
