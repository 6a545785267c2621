"""The measures of one unit, from its file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from emoact import sites as known
from emoact.decode import finite
from emoact.errors import FileRefusedError
from emoact.sites import SiteName
from emoact.store.reading import read
from emoact.store.summaries.measures import (
    ARRAYS,
    STEPS,
    SiteMeasures,
    UnitFacts,
    UnitMeasures,
    measure_site,
    measure_steps,
)
from emoact.store.unit import Unit


class NoPositionsError(FileRefusedError):
    """The file keeps pooled vectors only, and a measure of positions was asked for."""


def measure_file(path: str | os.PathLike[str]) -> UnitMeasures:
    """Measures of a file; its arrays are in memory.

    Raises:
        NoPositionsError: It keeps pooled vectors only.
        FileRefusedError: The file cannot be trusted, or does not keep the contract.
    """
    unit = read(path)
    if unit.pooled:
        raise NoPositionsError(
            "it keeps pooled vectors only, for analyses; norms need every position",
            path=str(unit.path),
            remedy="Extract the unit again with --keep all to see its norms.",
        )
    return _measures(
        unit,
        {
            site: measure_site(unit.site(site), lengths=unit.lengths, content=unit.content)
            for site in _sites(unit)
        },
        measure_steps(unit.residual_stream, unit.mlp_output) if _has_steps(unit) else {},
    )


def unmeasured_file(
    path: str | os.PathLike[str], measure: Callable[[], UnitMeasures]
) -> UnitMeasures:
    """Facts of a file, which is measured when an array is asked for.

    A file that keeps pooled vectors only has no sites here, as it has no positions to measure.

    Raises:
        FileRefusedError: The file cannot be trusted, or does not keep the contract.
    """
    unit = read(path)
    if unit.pooled:
        return _measures(unit, {}, {})
    return _measures(
        unit,
        {
            site: SiteMeasures(
                arrays=_Later(ARRAYS, _arrays_of(measure, site)), n_layers=len(unit.site(site))
            )
            for site in _sites(unit)
        },
        _Later(STEPS, lambda: measure().steps) if _has_steps(unit) else {},
    )


class _Later(Mapping[str, np.ndarray]):
    """Arrays that are measured when asked for."""

    def __init__(self, names: tuple[str, ...], arrays: Callable[[], Mapping[str, np.ndarray]]):
        self._names, self._arrays = names, arrays

    def __getitem__(self, name: str) -> np.ndarray:
        return self._arrays()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _arrays_of(
    measure: Callable[[], UnitMeasures], site: SiteName
) -> Callable[[], Mapping[str, np.ndarray]]:
    return lambda: measure().sites[site].arrays


def _sites(unit: Unit) -> list[SiteName]:
    return [site for site in unit.sites if known.site(site).has_vectors]


def _has_steps(unit: Unit) -> bool:
    both = {"resid_pre", "mlp_out"} <= set(unit.sites)
    return both and unit.n_layers > 1 and unit.n_samples > 0


def _measures(
    unit: Unit, sites: Mapping[SiteName, SiteMeasures], steps: Mapping[str, np.ndarray]
) -> UnitMeasures:
    facts: dict[str, Any] = {
        field.name: getattr(unit, field.name)
        for field in fields(UnitFacts)
        if field.name != "saved_sites"
    }
    for name in ("configuration", "provenance"):
        facts[name] = _document(facts[name])
    facts["prompts"] = None if unit.prompts is None else tuple(_document(list(unit.prompts)))
    facts["notes"] = tuple(note.message for note in unit.notes)
    facts["saved_sites"] = unit.sites
    return UnitMeasures(**facts, sites=sites, steps=steps)


def _document(value: Any) -> Any:
    """The value as it is read back from a summary.

    Other people's files may say what JSON does not have, in fields that nothing reads.
    """
    return json.loads(json.dumps(finite(value), default=str))
