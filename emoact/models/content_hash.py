"""SHA-256 of large files, remembered while size, time and inode stay the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from emoact.models.cache import cache_root

_REMEMBER_FROM = 16_000_000
"""Smaller files are hashed again: it takes a few milliseconds."""


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    stat = path.stat()
    if stat.st_size < _REMEMBER_FROM:
        return _hash(path)
    identity = f"{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ino}"
    memory = cache_root() / "hashes" / hashlib.sha256(identity.encode()).hexdigest()[:32]
    try:
        remembered = json.loads(memory.read_bytes())["sha256"]
        if isinstance(remembered, str) and len(remembered) == 64:
            return remembered
    except (OSError, ValueError, KeyError, TypeError):
        pass
    sha256 = _hash(path)
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        memory.write_text(json.dumps({"sha256": sha256}))
    except OSError:
        # A cache that cannot be written costs time, nothing else.
        return sha256
    return sha256
