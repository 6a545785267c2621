"""Import of a data set from bytes: checked like a file, and named for the results folder."""

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
    """Checked data set.

    Attributes:
        name: Name of the file, as uploaded.
        file_name: Name in the results folder: the safe form of `name`, and a hash.
        data: Bytes, unchanged.
        dataset: Prompts.
    """

    name: str
    file_name: str
    data: bytes
    dataset: Dataset


def check_import(name: str, data: bytes) -> Import:
    """Data set in these bytes.

    Raises:
        RequestError: The data set is malformed; the message names file, row, field and remedy.
    """
    shown = PurePosixPath(name.replace("\\", "/")).name or "upload"
    safe = f"{_slug(shown)}{_suffix(shown)}"
    with tempfile.TemporaryDirectory(prefix="emoact-import-") as folder:
        path = Path(folder) / safe
        path.write_bytes(data)
        try:
            dataset = read_prompts(path)
        except RequestError as error:
            # The message names the uploaded file, and not its temporary copy.
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
    """Extension, when it is a safe one; `read_prompts` checks it."""
    found = re.search(r"\.[A-Za-z0-9]{1,16}\Z", name)
    return found[0] if found else ""
