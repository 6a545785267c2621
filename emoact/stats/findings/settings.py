"""Files that were made with different settings."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from emoact.numbers import some
from emoact.sites import saved_sites
from emoact.stats.findings.finding import ActivationFinding
from emoact.store.summaries.measures import UnitMeasures
from emoact.store.unit import STATED

# These differ between any two models without biasing a comparison.
_OF_THE_MODEL = frozenset({"model_name", "revision", "weight_source"})

_UNSTATED = {**dict.fromkeys(STATED, "none"), "precision": "lossless"}
"""Settings that a configuration leaves out where they are the usual ones."""


def mixed_settings(units: Sequence[UnitMeasures]) -> list[ActivationFinding]:
    """One finding for each model whose own units differ, and one where models differ."""
    found = []
    folders = list(dict.fromkeys(unit.folder for unit in units))
    within: set[str] = set()
    for folder in folders:
        own = [unit for unit in units if unit.folder == folder]
        differing = {name: values for name, values in _values(own).items() if len(values) > 1}
        within |= set(differing)
        if differing:
            found.append(_finding(folder, differing, [folder]))
    across = {
        name: values
        for name, values in _values(units, models=True).items()
        if len(values) > 1 and name not in within and name not in _OF_THE_MODEL
    }
    if len(folders) > 1 and across:
        found.append(_finding("", across, folders))
    return found


def _finding(
    folder: str, differing: Mapping[str, Mapping[str, Sequence[str]]], folders: list[str]
) -> ActivationFinding:
    words = "; ".join(
        f"{name} is "
        + ", ".join(f"{value} in {some(owners, limit=3)}" for value, owners in values.items())
        for name, values in differing.items()
    )
    where = f"The files of {folder}" if folder else "The models' files"
    return ActivationFinding(
        kind="mixed_settings",
        severity="error" if folder else "warning",
        model=folder,
        sentence=f"{where} were made with different settings: {words}.",
        meaning="Each of these settings changes activations, so a difference between such files "
        "may come from the setting.",
        matters=True,
        phase3="Yes: analyses refuse to compare them. Extract them again with one configuration.",
        figures={"fields": ", ".join(differing), "values": words, "n_fields": len(differing)},
        view={"view": "norms", "model": folders, "first": "true"},
    )


def _values(units: Sequence[UnitMeasures], *, models: bool = False) -> dict[str, dict[str, Any]]:
    """The values of each setting, each with the classes or models that have it."""
    values: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for unit in units:
        name = unit.folder if models else unit.emotion
        known = {} if unit.configuration is None else {**_UNSTATED, **unit.configuration}
        for field, value in known.items():
            shown = _bos(value, alike=models) if field == "bos" else _text(value)
            if name not in values[field][shown]:
                values[field][shown].append(name)
        if not models:
            # Properties of the arrays themselves; between models these may differ.
            for field, value in _held(unit).items():
                values[field][value].append(name)
        if unit.configuration is None:
            # Without a configuration the first content position still tells of a BOS.
            start = "prepended" if unit.content_start else "not prepended"
            values["bos (from content_start)"][start].append(name)
    return {field: {**found} for field, found in values.items()}


def _held(unit: UnitMeasures) -> dict[str, str]:
    sites = [site for site in saved_sites() if site in unit.saved_sites]
    return {
        "n_layers": str(unit.n_layers),
        "d_model": str(unit.d_model),
        "sites": " and ".join(sites) or "none",
    }


def _bos(value: Any, *, alike: bool) -> str:
    if not isinstance(value, Mapping):
        return _text(value)
    if not value.get("prepended"):
        return "not prepended"
    # Every tokenizer has a BOS of its own; between models only its presence counts.
    return "prepended" if alike else f"prepended {value.get('token') or ''}".strip()


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    return text if len(text) <= 24 else f"{text[:12]}…"
