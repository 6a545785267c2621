"""One summary on disk: a safetensors file with the facts of a unit in its metadata.

Its name holds the hash of the unit's file and its own, so that a changed summary is not used. The
file stays mapped while its measures are in use, also when it has been removed meanwhile.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from emoact.decode import decode, encode, parsed
from emoact.errors import EmoactError
from emoact.files import check_header
from emoact.models.cache import file_sha256
from emoact.sites import site as known_site
from emoact.sites import site_names
from emoact.store.atomic import replace_atomically
from emoact.store.summaries.measures import (
    ARRAYS,
    STEPS,
    TOP,
    SiteMeasures,
    UnitFacts,
    UnitMeasures,
)
from emoact.store.unit import prompts_of

SUMMARY_VERSION = 2
"""Version of the measures; a summary of another version is measured again.

2: chat templates and responses are told from the text; an emoact from before them wrote summaries
of such files that took all tokens for text."""

_DIGITS = 32
"""Digits of each hash in the name of a summary."""
_LARGEST = 20_000_000_000
_KEY = "emoact_summary"
_DAMAGE = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
    ArithmeticError,
    EmoactError,
    SafetensorError,
)
"""Errors of reading a file that is cut short or changed."""


class UnusableError(Exception):
    """The summary is missing, damaged, or of another file or version; it is measured again."""


def summaries_of(folder: Path, sha256: str) -> list[Path]:
    """Summaries of the file with this hash; more than one where some are damaged or old."""
    return sorted(folder.glob(f"{sha256[:_DIGITS]}-*.safetensors"))


def save_summary(folder: Path, measures: UnitMeasures, *, sha256: str) -> None:
    """Write a summary into a folder, whole or not at all, in place of earlier ones of this file.

    Raises:
        EmoactError: The folder cannot be written, or is full.
    """
    arrays = {
        f"{site}.{name}": np.ascontiguousarray(array)
        for site, one in measures.sites.items()
        for name, array in ((name, one.arrays[name]) for name in ARRAYS)
    } | {f"steps.{name}": np.ascontiguousarray(array) for name, array in measures.steps.items()}
    content = save(arrays, {_KEY: json.dumps(_words(measures, sha256))})
    own = hashlib.sha256(content).hexdigest()
    path = folder / f"{sha256[:_DIGITS]}-{own[:_DIGITS]}.safetensors"
    with replace_atomically(path, need=len(content), durable=False) as file:
        file.write(content)
    for old in summaries_of(folder, sha256):
        if old != path:
            with contextlib.suppress(OSError):
                old.unlink()


def open_summary(path: Path, *, sha256: str) -> UnitMeasures:
    """The measures in a summary; arrays are read when asked for.

    Raises:
        UnusableError: It is missing, damaged, or of another file or version.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise UnusableError("larger than any summary")
        if path.is_symlink() or file_sha256(path)[:_DIGITS] != path.stem.partition("-")[2]:
            raise UnusableError("a link, or not what was written")
        check_header(path, follow=False)
        file: Any = safe_open(path, framework="numpy")
        words = parsed(file.metadata()[_KEY].encode())
        if (words["version"], words["sha256"]) != (SUMMARY_VERSION, sha256):
            raise UnusableError("of another file or version")
        return _measures(file, words)
    except _DAMAGE as error:
        raise UnusableError(str(error)) from error


class _FileArrays(Mapping[str, np.ndarray]):
    """Arrays of one part of a summary, read when asked for."""

    def __init__(self, file: Any, part: str, names: tuple[str, ...]) -> None:
        self._file, self._part, self._names = file, part, names

    def __getitem__(self, name: str) -> np.ndarray:
        array: np.ndarray = self._file.get_tensor(f"{self._part}.{name}")
        array.flags.writeable = False
        return array

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def form(self, name: str) -> tuple[str, tuple[int, ...]]:
        """Type and shape of an array, without reading it."""
        found = self._file.get_slice(f"{self._part}.{name}")
        return found.get_dtype(), tuple(found.get_shape())


def _words(measures: UnitMeasures, sha256: str) -> dict[str, Any]:
    facts = UnitFacts(**{field.name: getattr(measures, field.name) for field in fields(UnitFacts)})
    stamp = {"version": SUMMARY_VERSION, "sha256": sha256, "sites": list(measures.sites)}
    return {**stamp, **encode(facts)}


def _measures(file: Any, words: Mapping[str, Any]) -> UnitMeasures:
    # Texts of thousands of tokens: checking the type of each would take longer than reading them.
    strings = tuple(tuple(map(str, tokens)) for tokens in words["token_strings"])
    plain = {**words, "token_strings": [], "prompts": None}
    facts = decode(UnitFacts, plain, ignore_unknown=True)
    prompts = prompts_of(words, len(facts.lengths))
    if tuple(map(len, strings)) != facts.lengths or (prompts is None) != (words["prompts"] is None):
        raise UnusableError("of tokens or prompts of another number")
    for spans in (facts.content_spans, facts.response_spans):
        if spans is not None and not (
            len(spans) == len(facts.lengths)
            and all(0 <= a <= b <= n for (a, b), n in zip(spans, facts.lengths, strict=True))
        ):
            raise UnusableError("of positions that are not there")
    facts = replace(facts, token_strings=strings, prompts=prompts)
    if not set(words["sites"]) <= set(site_names()):
        raise UnusableError("of a version with other sites")
    sites = {}
    for site in words["sites"]:
        arrays = _FileArrays(file, site, ARRAYS)
        n_layers = arrays.form("l2")[1][0]
        # Where a position has heads, the arrays themselves say how many numbers that makes.
        is_plain = known_site(site).shape == "pos d_model"
        width = facts.d_model if is_plain else arrays.form("mean")[1][-1]
        _check(arrays, n_layers, sum(facts.lengths), facts.n_samples, width)
        sites[site] = SiteMeasures(arrays=arrays, n_layers=n_layers)
    there = set(file.keys())
    steps = _FileArrays(file, "steps", tuple(name for name in STEPS if f"steps.{name}" in there))
    for name in steps:
        if steps.form(name) != ("F64", (sites["resid_pre"].n_layers - 1, sum(facts.lengths))):
            raise ValueError(f"{name} is {steps.form(name)}")
    return UnitMeasures(
        **{field.name: getattr(facts, field.name) for field in fields(UnitFacts)},
        sites=sites,
        steps=steps,
    )


def _check(arrays: _FileArrays, n_layers: int, n_tokens: int, n_prompts: int, width: int) -> None:
    tokens, top = (n_layers, n_tokens), min(TOP, width)
    expected = {
        **dict.fromkeys(("l2", "l1"), ("F64", tokens)),
        "n_bad": ("I32", tokens),
        "top_dims": ("I32", (*tokens, top)),
        "top_values": ("F32", (*tokens, top)),
        **dict.fromkeys(("mean", "sd"), ("F64", (n_layers, width))),
        "typical": ("F32", (n_layers, width)),
        "pooled": ("F32", (n_layers, n_prompts, width)),
    }
    for name in ARRAYS:
        if arrays.form(name) != expected[name]:
            raise ValueError(f"{name} is {arrays.form(name)}, not {expected[name]}")
