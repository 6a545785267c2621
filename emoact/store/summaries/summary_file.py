"""One summary on disk: a safetensors file with the facts of a unit in its metadata.

Reading takes one array at a time. The library maps the file for that, and a mapped file that is cut
short ends the process; the header is therefore read here.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from emoact.decode import decode, encode
from emoact.errors import RequestError
from emoact.sites import site as known_site
from emoact.sites import site_names
from emoact.store.atomic import replace_atomically
from emoact.store.summaries.measures import ARRAYS, STEPS, SiteMeasures, UnitFacts, UnitMeasures

SUMMARY_VERSION = 1
"""Version of the measures; a summary of another version is measured again."""

_KEY = "emoact_summary"
_DTYPES = {"F64": np.float64, "F32": np.float32, "I32": np.int32}
_LONGEST_HEADER = 512_000_000


_DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
    RequestError,
)
"""Errors of reading a file that is cut short or changed."""


class UnusableError(Exception):
    """The summary is missing, damaged, or of another file or version; it is measured again."""


def save_summary(path: Path, measures: UnitMeasures, *, sha256: str) -> None:
    """Write a summary, whole or not at all.

    Raises:
        EmoactError: The folder cannot be written, or is full.
    """
    arrays = {
        f"{site}.{name}": np.ascontiguousarray(array)
        for site, one in measures.sites.items()
        for name, array in ((name, one.arrays[name]) for name in ARRAYS)
    } | {f"steps.{name}": np.ascontiguousarray(array) for name, array in measures.steps.items()}
    content = save(arrays, {_KEY: json.dumps(_words(measures, sha256))})
    with replace_atomically(path, need=len(content), durable=False) as file:
        file.write(content)


def open_summary(
    path: Path, *, sha256: str, again: Callable[[], UnitMeasures] | None = None
) -> UnitMeasures:
    """The measures in a summary; arrays are read when asked for.

    Args:
        path: The summary.
        sha256: Hash of the file of activations that it has to be of.
        again: Measures the file again, should the summary be gone when an array is asked for.

    Raises:
        UnusableError: It is missing, damaged, or of another file or version.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            size = os.fstat(file.fileno()).st_size
            if not 2 <= length <= min(size - 8, _LONGEST_HEADER):
                raise UnusableError("no header")
            header = json.loads(file.read(length))
        words = json.loads(header.pop("__metadata__")[_KEY])
        if (words["version"], words["sha256"]) != (SUMMARY_VERSION, sha256):
            raise UnusableError("of another file or version")
        entries = {name: _Entry(entry, 8 + length, size) for name, entry in header.items()}
        return _measures(path, words, entries, again)
    except _DAMAGE as error:
        raise UnusableError(str(error)) from error


class _Entry:
    """Place, type and shape of one array in the file."""

    def __init__(self, entry: Mapping[str, Any], begin: int, size: int) -> None:
        self.dtype = np.dtype(_DTYPES[entry["dtype"]])
        self.shape = tuple(int(n) for n in entry["shape"])
        start, stop = (int(n) for n in entry["data_offsets"])
        self.at, self.nbytes = begin + start, stop - start
        expected = math.prod(self.shape) * self.dtype.itemsize
        if start < 0 or min(self.shape, default=0) < 0 or self.nbytes != expected:
            raise ValueError(f"{expected} bytes expected, {self.nbytes} found")
        if begin + stop > size:
            raise ValueError("the file is cut short")


class _FileArrays(Mapping[str, np.ndarray]):
    """Arrays that are read from a summary when asked for, and measured again without the file."""

    def __init__(
        self,
        path: Path,
        entries: Mapping[str, _Entry],
        again: Callable[[], Mapping[str, np.ndarray]] | None,
    ) -> None:
        self._path, self._entries, self._again = path, entries, again

    def __getitem__(self, name: str) -> np.ndarray:
        entry = self._entries[name]
        buffer = bytearray(entry.nbytes)
        try:
            with self._path.open("rb") as file:
                file.seek(entry.at)
                complete = file.readinto(buffer) == entry.nbytes
        except OSError:
            complete = False
        if not complete:
            if self._again is None:
                raise UnusableError(f"{self._path} is gone")
            return self._again()[name]
        array = np.frombuffer(buffer, dtype=entry.dtype).reshape(entry.shape)
        array.flags.writeable = False
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _words(measures: UnitMeasures, sha256: str) -> dict[str, Any]:
    facts = {field.name: getattr(measures, field.name) for field in fields(UnitFacts)}
    stamp = {"version": SUMMARY_VERSION, "sha256": sha256, "sites": list(measures.sites)}
    return {**stamp, **encode(facts)}


def _measures(
    path: Path,
    words: Mapping[str, Any],
    entries: Mapping[str, _Entry],
    again: Callable[[], UnitMeasures] | None,
) -> UnitMeasures:
    # Texts of thousands of tokens: checking the type of each would take longer than reading them.
    texts: dict[str, Any] = {
        "token_strings": tuple(tuple(map(str, tokens)) for tokens in words["token_strings"]),
        "prompts": None if words["prompts"] is None else tuple(words["prompts"]),
    }
    plain = {**words, "token_strings": [], "prompts": None}
    facts = replace(decode(UnitFacts, plain, ignore_unknown=True), **texts)
    sites = {}
    if not set(words["sites"]) <= set(site_names()):
        raise UnusableError("of a version with other sites")
    for site in words["sites"]:
        own = {name: entries[f"{site}.{name}"] for name in ARRAYS}
        n_layers = own["l2"].shape[0]
        # Where a position has heads, the arrays themselves say how many numbers that makes.
        width = facts.d_model if known_site(site).shape == "pos d_model" else own["mean"].shape[-1]
        _check(own, n_layers, sum(facts.lengths), facts.n_samples, width)
        sites[site] = SiteMeasures(
            arrays=_FileArrays(path, own, _site_again(again, site)), n_layers=n_layers
        )
    steps = {name: entries[f"steps.{name}"] for name in STEPS if f"steps.{name}" in entries}
    return UnitMeasures(
        **{field.name: getattr(facts, field.name) for field in fields(UnitFacts)},
        sites=sites,
        steps=_FileArrays(path, steps, None if again is None else lambda: again().steps),
    )


def _site_again(
    again: Callable[[], UnitMeasures] | None, site: Any
) -> Callable[[], Mapping[str, np.ndarray]] | None:
    return None if again is None else lambda: again().sites[site].arrays


def _check(
    own: Mapping[str, _Entry], n_layers: int, n_tokens: int, n_prompts: int, width: int
) -> None:
    expected = {
        **dict.fromkeys(("l2", "l1", "n_bad"), (n_layers, n_tokens)),
        **dict.fromkeys(("mean", "sd", "typical"), (n_layers, width)),
        "pooled": (n_layers, n_prompts, width),
    }
    for name, shape in expected.items():
        if own[name].shape != shape:
            raise ValueError(f"{name} has shape {own[name].shape}, not {shape}")
