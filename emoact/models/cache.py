"""Cache folder of emoact: converted models and hashes of large files."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

RECORD = "emoact.json"
"""Record of a conversion, in the converted directory. It is written last, so a directory that has
it is complete."""

_REMEMBER_FROM = 16_000_000
"""Smallest file whose hash is kept; smaller ones are hashed again in a few milliseconds."""


def cache_root() -> Path:
    """`EMOACT_CACHE`, or `emoact` in the user's cache folder."""
    named = os.environ.get("EMOACT_CACHE")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "emoact"


def converted_dir(gguf_sha256: str) -> Path:
    """Folder of the Hugging Face form of a GGUF file with this content; it need not exist yet."""
    return cache_root() / "models" / f"gguf-{gguf_sha256[:16]}"


def is_converted(directory: Path) -> bool:
    """True when the directory has a record, and the weights have the recorded size."""
    try:
        record = json.loads((directory / RECORD).read_bytes())
        return bool((directory / "model.safetensors").stat().st_size == record["weight_bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file, cached while its path, size, time and inode stay the same."""
    stat = path.stat()
    if stat.st_size < _REMEMBER_FROM:
        return hash_of(path)
    identity = f"{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ino}"
    memory = cache_root() / "hashes" / hashlib.sha256(identity.encode()).hexdigest()[:32]
    try:
        remembered = json.loads(memory.read_bytes())["sha256"]
        if isinstance(remembered, str) and len(remembered) == 64:
            return remembered
    except (OSError, ValueError, KeyError, TypeError):
        pass
    sha256 = hash_of(path)
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        memory.write_text(json.dumps({"sha256": sha256}))
    except OSError:
        # Without the cache the file is hashed again next time, with the same result.
        return sha256
    return sha256


def hash_of(path: Path) -> str:
    """Hex SHA-256 of a file, without the cache."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
