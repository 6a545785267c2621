"""Measures of an emotion in parts, put together from the measures of its parts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np

from emoact.store.joining import part_files
from emoact.store.layout import ResultsRoot
from emoact.store.parts import Part
from emoact.store.summaries.measures import (
    ARRAYS,
    STEPS,
    SiteMeasures,
    UnitFacts,
    UnitMeasures,
)

_LISTS = ("lengths", "token_strings", "prompts", "content_spans", "response_spans", "responses")
_BY_DIMENSION = ("mean", "sd", "typical")


def labels_by_emotion(root: ResultsRoot) -> dict[tuple[str, str], list[str]]:
    """Labels of the files of every (model folder, emotion), in order."""
    found: dict[tuple[str, str], list[str]] = {}
    for folder, label, _ in root.units():
        found.setdefault((folder, Part.of(label).emotion), []).append(label)
    # A file under the name of the emotion alone is read in place of parts.
    return {key: [key[1]] if key[1] in labels else labels for key, labels in found.items()}


def check_parts(root: ResultsRoot, folder: str, emotion: str) -> None:
    """Check that all parts of an emotion are there.

    Raises:
        FileRefusedError: Some are missing, or they are of two divisions.
    """
    part_files(root.unit_path(folder, emotion))


def join_measures(units: Sequence[UnitMeasures]) -> UnitMeasures:
    """The measures of all parts as of one file; arrays are put together when asked for.

    Mean and standard deviation are those of all tokens. The typical magnitude of a dimension is the
    mean over the parts of their medians, weighted by tokens.
    """
    first = units[0]
    if len(units) == 1:
        return first
    facts: dict[str, Any] = {each.name: getattr(first, each.name) for each in fields(UnitFacts)}
    for name in _LISTS:
        values = [getattr(unit, name) for unit in units]
        known = [value for value in values if value is not None]
        joined = tuple(itertools.chain.from_iterable(known))
        facts[name] = joined if len(known) == len(units) else None
    facts["notes"] = tuple(dict.fromkeys(note for unit in units for note in unit.notes))
    return UnitMeasures(
        **facts,
        sites={
            site: SiteMeasures(arrays=_SiteArrays(units, site), n_layers=one.n_layers)
            for site, one in first.sites.items()
        },
        steps=_Steps(units) if first.steps else {},
    )


class _Steps(Mapping[str, np.ndarray]):
    """Arrays `[layer, token]` of the steps of all parts."""

    def __init__(self, units: Sequence[UnitMeasures]) -> None:
        self._units = units

    def __getitem__(self, name: str) -> np.ndarray:
        return np.concatenate([unit.steps[name] for unit in self._units], axis=1)

    def __iter__(self) -> Iterator[str]:
        return iter(STEPS)

    def __len__(self) -> int:
        return len(STEPS)


class _SiteArrays(Mapping[str, np.ndarray]):
    """Arrays of a site of all parts."""

    def __init__(self, units: Sequence[UnitMeasures], site: Any) -> None:
        self._units, self._site = units, site

    def __getitem__(self, name: str) -> np.ndarray:
        parts = [unit.sites[self._site].arrays for unit in self._units]
        if name not in _BY_DIMENSION:
            # Tokens and prompts are the second axis of every other array.
            return np.concatenate([part[name] for part in parts], axis=1)
        counts = self._counts(parts)
        total = counts.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            shares = counts / total
            if name == "typical":
                found = _weighted(shares, [part["typical"] for part in parts])
                return np.asarray(found, dtype=np.float32)
            mean = _weighted(shares, [part["mean"] for part in parts])
            if name == "mean":
                return mean
            squares = [part["sd"] ** 2 + (part["mean"] - mean) ** 2 for part in parts]
            return np.asarray(np.sqrt(_weighted(shares, squares)))

    def _counts(self, parts: Sequence[Mapping[str, np.ndarray]]) -> np.ndarray:
        """Content tokens with finite values, `[part, layer, 1]`."""
        return np.stack(
            [
                (unit.is_content & (part["n_bad"] == 0)).sum(axis=1)
                for unit, part in zip(self._units, parts, strict=True)
            ]
        )[:, :, None].astype(np.float64)

    def __iter__(self) -> Iterator[str]:
        return iter(ARRAYS)

    def __len__(self) -> int:
        return len(ARRAYS)


def _weighted(shares: np.ndarray, values: Sequence[np.ndarray]) -> np.ndarray:
    """Weighted mean over parts; one without weight does not count, finite or not."""
    terms = [
        np.where(share > 0, share * value, 0.0) for share, value in zip(shares, values, strict=True)
    ]
    summed: np.ndarray = np.sum(terms, axis=0)
    return np.where(np.isnan(shares).any(axis=0), np.nan, summed)
