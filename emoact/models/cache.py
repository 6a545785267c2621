"""Cache folder of emoact: converted models and hashes of large files."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from emoact.decode import read_json
from emoact.errors import EmoactError, RequestError
from emoact.files import open_regular

RECORD = "emoact.json"
"""Record of a conversion, in the converted directory. It is written last, so a directory that has
it is complete."""
MAX_RECORD_BYTES = 1_000_000

_REMEMBER_FROM = 1 << 20
"""Smallest file whose hash is kept; smaller ones are hashed again in a few milliseconds."""
_BLOCK = 1 << 24


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
        record = read_json(directory / RECORD, limit=MAX_RECORD_BYTES)
        return bool((directory / "model.safetensors").stat().st_size == record["weight_bytes"])
    except (OSError, KeyError, TypeError, RequestError):
        return False


def file_sha256(
    path: Path, *, again: bool = False, check_cancelled: Callable[[], None] = lambda: None
) -> str:
    """Hex SHA-256 of a file, remembered while its path, size, times and inode stay the same.

    `again` reads the file where its hash is remembered, too: a disk can change a bit on its own,
    which moves no time. `check_cancelled` is called between blocks and may raise to stop.

    Raises:
        EmoactError: The file cannot be read, or changes while it is.
    """
    known = None if again else known_sha256(path)
    if known is not None:
        return known
    try:
        memory = memory_of(path, "hashes")
        digest = hashlib.sha256()
        with open_regular(path) as file:
            while block := file.read(_BLOCK):
                check_cancelled()
                digest.update(block)
        if memory_of(path, "hashes") != memory:
            raise EmoactError(f"{path} changed while it was read", remedy="Start again.")
    except OSError as error:
        raise EmoactError(f"{path} cannot be read: {error.strerror}") from error
    keep(memory, digest.hexdigest())
    return digest.hexdigest()


def known_sha256(path: Path) -> str | None:
    """Hash of a file where it takes no time: remembered, or of a small file; else None."""
    try:
        if path.stat().st_size < _REMEMBER_FROM:
            return hash_of(path)
        remembered = memory_of(path, "hashes").read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    return remembered if re.fullmatch("[0-9a-f]{64}", remembered) else None


def memory_of(path: Path, kind: str, *others: Path) -> Path:
    """File that remembers something of a file in its present state, such as its hash.

    `others` are the files besides that it was taken from.

    Raises:
        OSError: One of the files is not there.
    """
    state: list[str | int] = []
    for each in (path, *others):
        stat = each.stat()
        state += (os.fspath(each.resolve()), stat.st_size, stat.st_mtime_ns)
        state += (stat.st_ctime_ns, stat.st_ino)
    identity = json.dumps(state)
    return cache_root() / kind / hashlib.sha256(identity.encode()).hexdigest()[:32]


def hash_of(path: Path) -> str:
    """Hex SHA-256 of a regular file, without the cache.

    Raises:
        OSError: It cannot be read, or is a pipe, a device or a folder.
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_remembered(kind: str, content: str) -> bool:
    """True when a content of this hash was found good before."""
    return (cache_root() / kind / content).is_file()


def remember(kind: str, content: str) -> None:
    """Remember that the content of this hash is good; without a cache it is checked again."""
    keep(cache_root() / kind / content, "")


def keep(memory: Path, text: str) -> None:
    """Write a small file of the cache; where that fails, what it says is found out again."""
    with suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        memory.write_text(text, encoding="ascii")
