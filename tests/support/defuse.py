"""Read one file in a process that may grow by so many bytes only; print what came of it."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from emoact.errors import FileRefusedError
from emoact.store.reading import read


def main(path: str, growth: int) -> None:
    """Address space is what is limited: mapped and promised memory count, not only used memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + Path(path).stat().st_size + growth
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    start = time.process_time()
    told: dict[str, object] = {"refused": False, "reason": "", "offset": None}
    try:
        read(path)
    except FileRefusedError as error:
        told = {"refused": True, "reason": error.reason, "offset": error.offset}
    told["cpu_seconds"] = time.process_time() - start
    told["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
