"""A data set that arrived as bytes: checked like any file, and kept below the results folder."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from emoact.data.reading import read_prompts
from emoact.errors import RequestError
from emoact.schema import Dataset

_LONGEST_STEM = 40
_HASH_DIGITS = 12


@dataclass(frozen=True, kw_only=True)
class Import:
    """A data set that may be kept.

    Attributes:
        name: What the file was called by its owner.
        file_name: What it is called here: its own name made safe, and its hash.
        data: The bytes, unchanged.
        dataset: The prompts.
    """

    name: str
    file_name: str
    data: bytes
    dataset: Dataset


def check_import(name: str, data: bytes) -> Import:
    """The data set in these bytes.

    Raises:
        RequestError: It is malformed; the message names file, row and field, and what to do.
    """
    shown = PurePosixPath(name.replace("\\", "/")).name or "upload"
    safe = f"{_slug(shown)}{_suffix(shown)}"
    with tempfile.TemporaryDirectory(prefix="emoact-import-") as folder:
        path = Path(folder) / safe
        path.write_bytes(data)
        try:
            dataset = read_prompts(path)
        except RequestError as error:
            # The owner knows the file by its name, not by where it was put for a moment.
            message = error.message.replace(os.fspath(path), shown)
            raise RequestError(message, remedy=error.remedy) from None
    digest = hashlib.sha256(data).hexdigest()[:_HASH_DIGITS]
    return Import(
        name=shown,
        file_name=f"{_slug(shown)}-{digest}{_suffix(shown).lower()}",
        data=data,
        dataset=dataset,
    )


def _slug(name: str) -> str:
    stem = unicodedata.normalize("NFKD", name.removesuffix(_suffix(name)))
    plain = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-")[:_LONGEST_STEM].strip("-")
    return plain or "prompts"


def _suffix(name: str) -> str:
    """The extension, when it is one that a file system takes; the reader judges it."""
    found = re.search(r"\.[A-Za-z0-9]{1,16}\Z", name)
    return found[0] if found else ""
