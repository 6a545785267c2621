"""Peak memory of one way, measured in a child process.

`python -m emoact.bench.peak` reads a JSON request from standard input and prints one line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from emoact.errors import EmoactError
from emoact.schema import Device

_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, kw_only=True)
class Peak:
    """Memory in bytes."""

    before: int
    most: int


def peak_of(model: str, way: str, texts: Sequence[Sequence[str]], device: Device = "cpu") -> Peak:
    """Memory of one way, or of the whole pipeline (`run`), on texts grouped into units.

    On a GPU it is the memory of the GPU that torch allocated, else that of the process.

    Raises:
        EmoactError: The process failed.
    """
    request = {
        "model": model,
        "way": way,
        "texts": [list(group) for group in texts],
        "device": device,
    }
    done = subprocess.run(
        [sys.executable, "-m", "emoact.bench.peak"],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise EmoactError(f"measuring the memory of {way} failed: {last}")
    return Peak(**json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure in the child process."""
    from emoact.models.effort import let_threads_sleep

    let_threads_sleep()
    from emoact.bench.subject import Subject

    request = json.load(sys.stdin)
    subject = Subject(request["model"], request["texts"], request["device"])
    if request["way"].startswith("hugging_face"):
        subject.forget_bridge()
    job = subject.job(request["way"])
    if subject.device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        job()
        most = torch.cuda.max_memory_allocated()
    else:
        # Loading needs more memory than the loop, so that the kernel's peak begins anew.
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before = _memory("VmRSS")
        job()
        most = _memory("VmHWM")
    print(json.dumps({"before": before, "most": most}))


def _memory(field: str) -> int:
    try:
        for line in _STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


if __name__ == "__main__":
    main()
