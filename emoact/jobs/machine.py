"""This machine: its names, its cores, and further processes on it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from emoact.files import APPENDING, sole


@functools.cache
def this_machine() -> str:
    """A name of this machine since its last start; pids and monotonic clocks hold within it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    return f"{platform.node()}/{boot}"


def processor() -> str:
    """Name of the processor, or of its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def machine_id() -> str:
    """Hash of the processor and the cores, equal for machines of the same speed."""
    facts = f"{platform.system()}|{platform.machine()}|{processor()}|{cores()}"
    return hashlib.sha256(facts.encode()).hexdigest()[:12]


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def has_half() -> bool:
    """True where half precision has instructions of its own: on a GPU and on some processors."""
    if Path("/dev/nvidia0").exists():
        return True
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    return any(name in flags for name in ("avx512_bf16", "amx_bf16", "asimdhp"))


def start_apart(
    words: Sequence[str],
    *,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a process that outlives this one.

    Its output goes to the end of `log`. Without `log` or `env` it has those of this process;
    `pass_fds` are open files that it gets.

    Raises:
        OSError: The system refused.
        RequestError: The log has a second name.
    """
    with contextlib.ExitStack() as stack:
        output = None
        if log is not None:
            output = sole(os.open(log, APPENDING, 0o666), log)
            stack.callback(os.close, output)
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
            pass_fds=pass_fds,
            start_new_session=True,
        )
    # A child whose end is not collected stays in the process table as long as its parent.
    threading.Thread(target=process.wait, daemon=True).start()
    return process
