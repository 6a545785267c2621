"""Small file systems that can be filled or made read-only, where this machine allows a mount."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def mounted(disk: Path, options: str) -> Iterator[Path]:
    """A tmpfs with these options at a new folder, until the block ends."""
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "emoact-test", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"mount not permitted: {done.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def make_read_only(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)


def fill(disk: Path, *, but: int = 0) -> Path:
    """A file that leaves so many bytes free; its removal gives the space back."""
    ballast = disk / "ballast"
    with ballast.open("wb") as file:
        for _ in range(1000):
            status = os.statvfs(disk)
            # A worker may write its signs of life meanwhile, so the figure may be old already.
            with contextlib.suppress(OSError):
                free = status.f_bavail * status.f_frsize
                os.posix_fallocate(file.fileno(), 0, max(free - but, 1))
                return ballast
    raise AssertionError("the disk could not be filled")
