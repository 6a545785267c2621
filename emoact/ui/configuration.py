"""Configuration of the files on a page, and warnings where they differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from emoact import numbers
from emoact.models.registry import REGISTRY, display_name
from emoact.stats.findings.settings import mixed_settings
from emoact.store.summaries.measures import UnitMeasures
from emoact.store.summaries.outline import Outline
from emoact.store.unit import COMPARED, STATED
from emoact.ui.reading import UnitCard
from emoact.views.text import listed, md, mono


def warnings(units: Sequence[UnitMeasures]) -> list[str]:
    """Sentences in Markdown: unknown configuration, mixed configuration, random weights."""
    found = []
    unknown = [unit for unit in units if unit.configuration is None]
    if unknown:
        found.append(
            f"The configuration of {_names(unknown)} is unknown: the files do not say how they "
            "were made. Position 0 is taken for a BOS and left out."
        )
    mixed = _mixed(units)
    if mixed:
        found.append(
            f"The files differ in {listed([mono(field) for field in mixed])}; what is drawn "
            "together here is not made alike. The settings below say which is which."
        )
    for precision in _roundings(units):
        rounded = [unit for unit in units if _roundings([unit]) == [precision]]
        found.append(f"The values of {_names(rounded)} are rounded ({precision}).")
    random = [unit for unit in units if unit.random_weights]
    if random:
        found.append(
            f"{_names(random)}: random weights. They show that the tools work and say nothing "
            "about emotion."
        )
    return found


def show(cards: Sequence[UnitCard], *, alt: str) -> None:
    """Draw a table with one row for each readable file, and the footnotes of the models."""
    rows = [_row(card, card.unit) for card in cards if card.unit is not None]
    if rows:
        st.dataframe(rows, hide_index=True, alt=alt)
    for note in footnotes([card.unit for card in cards if card.unit]):
        st.caption(md(note))


def footnotes(units: Sequence[UnitMeasures]) -> list[str]:
    """Footnotes of the models shown, for the comparison of sites."""
    notes = {
        f"{spec.name}: {spec.footnote}"
        for unit in units
        for spec in REGISTRY
        if spec.hub_id == unit.model_name and spec.footnote
    }
    return sorted(notes)


def bos_words(configuration: Mapping[str, Any] | None) -> str:
    """`prepended <|endoftext|>`, `none` or `unknown`."""
    bos = (configuration or {}).get("bos")
    if not isinstance(bos, Mapping):
        return "unknown"
    if not bos.get("prepended"):
        return "none"
    return f"prepended {bos.get('token') or ''}".strip()


def short_words(unit: UnitMeasures | Outline) -> str:
    """The configuration of one file in a few words, `raw, float32, BOS prepended`."""
    if unit.configuration is None:
        return "unknown"
    bos = unit.configuration.get("bos")
    prepended = isinstance(bos, Mapping) and bool(bos.get("prepended"))
    chat = ", chat template" if "chat" in unit.configuration else ""
    if "generation" in unit.configuration:
        chat += ", responses"
    rounded = unit.configuration.get("precision")
    precision = "" if rounded is None else f", rounded ({rounded})"
    return (
        f"{_text(unit.configuration.get('processing'))}, {_text(unit.configuration.get('dtype'))}, "
        f"{'BOS prepended' if prepended else 'no BOS'}{chat}{precision}"
    )


def _mixed(units: Sequence[UnitMeasures]) -> list[str]:
    found = mixed_settings([unit for unit in units if unit.configuration is not None])
    fields = ", ".join(str(each.figures["fields"]) for each in found).split(", ")
    return [field for field in fields if field in (*COMPARED, *STATED, "precision")]


def _roundings(units: Sequence[UnitMeasures]) -> list[str]:
    found = {(unit.configuration or {}).get("precision") for unit in units}
    return sorted(map(str, found - {None}))


def _names(units: Sequence[UnitMeasures]) -> str:
    folders: dict[str, list[str]] = defaultdict(list)
    for unit in units:
        folders[unit.folder].append(unit.emotion)
    return listed(
        [f"{mono(folder)} ({', '.join(map(md, names))})" for folder, names in folders.items()]
    )


def _row(card: UnitCard, unit: UnitMeasures) -> dict[str, Any]:
    made = unit.provenance or {}
    versions = made.get("versions")
    dataset = made.get("dataset")
    return {
        "folder": unit.folder,
        "emotion": unit.emotion,
        "model": unit.model_name,
        "revision": _text(made.get("revision")),
        "weights": _text(made.get("weight_source")),
        "layers": unit.n_layers,
        "d_model": unit.d_model,
        "prompts": unit.n_samples,
        "tokens": sum(unit.lengths),
        "BOS": bos_words(unit.configuration or made),
        "processing": _text(made.get("processing")),
        "dtype": _text(made.get("dtype")),
        "precision": str(made.get("precision") or "lossless"),
        "device": _text(made.get("device")),
        "data set": _text(dataset.get("source") if isinstance(dataset, Mapping) else None),
        "run": _text(made.get("run_id")),
        "made": _text(made.get("ended_at")),
        "emoact": _text(versions.get("emoact") if isinstance(versions, Mapping) else None),
        "size": numbers.size(card.file.size),
    }


def _text(value: Any) -> str:
    return "unknown" if value in (None, "") else str(value)


def badges(units: Sequence[UnitMeasures]) -> tuple[str, ...]:
    """Badges of every figure and table made of these files."""
    found = []
    if any(unit.random_weights for unit in units):
        found.append("random weights: says nothing about emotion")
    roundings = _roundings(units)
    if roundings:
        found.append(f"rounded values ({', '.join(roundings)})")
    mixed = _mixed(units)
    if mixed:
        found.append(f"files differ in {', '.join(mixed)}")
    return tuple(found)


def made_words(units: Sequence[UnitMeasures]) -> str:
    """One sentence on what figures are made of, for their captions."""
    names = ", ".join(dict.fromkeys(display_name(unit.folder) for unit in units))
    made = ", ".join(dict.fromkeys(short_words(unit) for unit in units))
    counts: dict[str, int] = defaultdict(int)
    for unit in units:
        counts[unit.folder] += unit.n_samples
    said = {numbers.plural(count, "prompt") for count in counts.values()}
    each = " each" if len(counts) > 1 and len(said) == 1 else ""
    return f"{names}; {' and '.join(sorted(said))}{each}; {made}."
