"""Import of a data set from bytes: checked like a file, and named for the results folder."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from emoact.data.reading import dataset_in
from emoact.data.rows import Refused, naming
from emoact.data.source import decode
from emoact.data.text_rows import DELIMITERS, json_rows, jsonl_rows, records
from emoact.schema import Dataset

MOST_COLUMNS = 1000
"""Columns of a file whose names can be chosen from."""
_LONGEST_STEM = 40
_HASH_DIGITS = 12


@dataclass(frozen=True, kw_only=True)
class Import:
    """Checked data set.

    Attributes:
        file_name: Name in the results folder: the safe form of `name`, and a hash.
        data: Bytes, unchanged but for names of columns that were mapped.
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
    dataset = dataset_in(data, name=shown, file=f"upload{_suffix(shown)}")
    digest = hashlib.sha256(data).hexdigest()[:_HASH_DIGITS]
    return Import(
        name=shown,
        file_name=f"{_slug(shown)}-{digest}{_suffix(shown).lower()}",
        data=data,
        dataset=dataset,
    )


def columns_of(name: str, data: bytes) -> list[str]:
    """Names of the columns of a text file that a page can show; empty where it cannot be read.

    So it is for Parquet, and where there are more columns than a picker can offer.
    """
    try:
        header = _header(name, data)
    except Refused:
        return []
    whole = [each for each in header if each.encode(errors="ignore").decode() == each]
    return whole if len(header) <= MOST_COLUMNS else []


def renamed(name: str, data: bytes, columns: Mapping[str, str]) -> bytes:
    """The same file with other names of columns.

    `columns` has the name of a field by the name in the file. Another column that has this name
    already gets the ending ` (other)`.

    Raises:
        RequestError: The file is malformed.
    """
    with naming(name):
        header = _header(name, data)
        names = {each: f"{each} (other)" for each in header if each in columns.values()}
        names |= dict(columns)
        ending = _suffix(name).lower()
        if ending not in DELIMITERS:
            rows = json_rows(data) if ending == ".json" else jsonl_rows(data)
            objects = [{names.get(k, k): v for k, v in row.fields.items()} for row in rows]
            documents = [objects] if ending == ".json" else objects
            return b"".join(_json(each) + b"\n" for each in documents)
        text, delimiter = io.StringIO(newline=""), DELIMITERS[ending]
        writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
        for number, (_, record) in enumerate(records(decode(data), delimiter)):
            writer.writerow(record if number else [names.get(each, each) for each in record])
    return text.getvalue().encode()


def _json(value: object) -> bytes:
    # Other columns may hold what JSON forbids, such as NaN, and halves of characters, which stay
    # escaped.
    text = json.dumps(value, ensure_ascii=False, default=lambda _: None)
    return text.encode(errors="backslashreplace")


def _header(name: str, data: bytes) -> list[str]:
    ending = _suffix(name).lower()
    if ending in DELIMITERS:
        return next(records(decode(data), DELIMITERS[ending]), (0, []))[1]
    if ending not in (".json", ".jsonl"):
        return []
    rows = json_rows(data) if ending == ".json" else jsonl_rows(data)
    return list(dict.fromkeys(name for row in rows for name in row.fields))


def _slug(name: str) -> str:
    stem = unicodedata.normalize("NFKD", name.removesuffix(_suffix(name)))
    plain = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-")[:_LONGEST_STEM].strip("-")
    return plain or "prompts"


def _suffix(name: str) -> str:
    """Extension, when it is a safe one; `read_prompts` checks it."""
    found = re.search(r"\.[A-Za-z0-9]{1,16}\Z", name)
    return found[0] if found else ""
