"""Input files of an analysis, identified by their hashes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoact.decode import read_regular
from emoact.errors import EmoactError, RequestError
from emoact.store.atomic import write_json
from emoact.store.layout import ResultsRoot

_MEMORY = ".hashes.json"
_MAX_BYTES = 10_000_000
_BLOCK = 1 << 24


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """One file of activations.

    Attributes:
        folder: Folder of the model; what tables call the model.
        emotion: Class label.
        model: Hub id.
        file: Path below the results folder.
        size: Bytes.
        sha256: Hash of the bytes.
    """

    folder: str
    emotion: str
    model: str
    file: str
    size: int
    sha256: str


class FileHashes:
    """Hashes of files, computed once for each state of a file and kept beside the analyses.

    A file counts as unchanged while its size, times and inode are. The saved hashes can be deleted
    at any time.

    Args:
        root: The results folder.
    """

    def __init__(self, root: ResultsRoot) -> None:
        self._root = root
        self._path = root.analysis / _MEMORY
        self._known = self._read()

    def known(self, path: Path) -> str | None:
        """The hash where the file is unchanged since it was computed, else None."""
        try:
            entry = self._known.get(self._name(path))
            return str(entry[-1]) if entry and entry[:-1] == _mark(path) else None
        except OSError:
            return None

    def compute(self, path: Path, *, check_cancelled: Callable[[], None] = lambda: None) -> str:
        """The hash of the file as it is now.

        Raises:
            EmoactError: The file cannot be read, or changes while it is.
        """
        found = self.known(path)
        if found is not None:
            return found
        try:
            before = _mark(path)
            digest = hashlib.sha256()
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    check_cancelled()
                    digest.update(block)
            if _mark(path) != before:
                raise EmoactError(f"{path} changed while it was read", remedy="Analyse again.")
        except OSError as error:
            raise EmoactError(f"{path} cannot be read: {error.strerror}") from error
        self._known[self._name(path)] = [*before, digest.hexdigest()]
        return digest.hexdigest()

    def keep(self) -> None:
        """Save the hashes; a failure to write is ignored, because they can be computed again."""
        with suppress(EmoactError, OSError):
            write_json(self._path, {"schema_version": 1, "files": self._known}, durable=False)

    def _name(self, path: Path) -> str:
        return os.path.relpath(path, self._root.path)

    def _read(self) -> dict[str, list[Any]]:
        try:
            files = json.loads(read_regular(self._path, limit=_MAX_BYTES))["files"]
            return {str(name): list(entry) for name, entry in files.items()}
        except (OSError, RequestError, ValueError, KeyError, TypeError, AttributeError):
            return {}


def check_unchanged(root: ResultsRoot, inputs: Sequence[InputFile], hashes: FileHashes) -> None:
    """Check that the files are still those that were hashed.

    Raises:
        EmoactError: One of them is another now.
    """
    for each in inputs:
        if hashes.known(root.path / each.file) != each.sha256:
            raise EmoactError(
                f"{root.path / each.file} changed while it was analysed", remedy="Analyse again."
            )


def _mark(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
