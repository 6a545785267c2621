"""Checks of the units, and the draws that all steps of an analysis share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from emoact.errors import RequestError
from emoact.sites import SiteName
from emoact.stats.comparable import Configuration, Difference, check_comparable, differing_sites
from emoact.stats.directions.contrast import Contrast, check_labels, make_contrast
from emoact.stats.distances.distances import EmotionPair, pair_emotions
from emoact.stats.features import ModelFeatures, UnitFeatures, join_units, let_go
from emoact.stats.room import MEMORY, Room
from emoact.stats.settings import AnalysisSettings


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """One model with the draws that its steps share; a part of a model has no `pairs`."""

    model: ModelFeatures
    contrasts: tuple[Contrast, ...]
    pairs: tuple[EmotionPair, ...] = ()


def prepare_units(
    units: Iterable[UnitFeatures], settings: AnalysisSettings, room: Room = MEMORY
) -> list[Prepared]:
    """One entry per model, in the order of first appearance.

    Raises:
        RequestError: A class is missing, or shapes disagree.
    """
    by_model: dict[str, list[UnitFeatures]] = {}
    for unit in units:
        by_model.setdefault(unit.model, []).append(unit)
        del unit
    found = []
    for own in by_model.values():
        model = join_units(let_go(own), room)
        contrasts = _contrasts(model, settings, room)
        pairs = pair_emotions(model.design, contrasts, settings)
        found.append(Prepared(model=model, contrasts=contrasts, pairs=pairs))
    return found


def part_of(
    prepared: Prepared, rows: list[int], settings: AnalysisSettings, room: Room = MEMORY
) -> Prepared:
    """The model with some of its prompts; unchanged where these are all."""
    model = prepared.model
    if rows == list(range(len(model.prompts))):
        return prepared
    part = model.rows(rows, room)
    return Prepared(model=part, contrasts=_contrasts(part, settings, room))


def _contrasts(
    model: ModelFeatures, settings: AnalysisSettings, room: Room
) -> tuple[Contrast, ...]:
    emotions = check_labels(model.model, model.design.labels, settings)
    found: list[Contrast] = []
    for emotion in emotions:
        beside = found[0] if found else None
        found.append(make_contrast(model.design, emotion, settings, beside=beside, room=room))
    return tuple(found)


@runtime_checkable
class Described(Protocol):
    """Properties of a unit that decide with which others it is analysed; no activations."""

    @property
    def name(self) -> str:
        """Name in messages."""

    @property
    def sites(self) -> Collection[SiteName]:
        """Sites in the file."""

    @property
    def configuration(self) -> Configuration:
        """Configuration of its activations."""


def check_units(units: Sequence[Described], settings: AnalysisSettings) -> tuple[Difference, ...]:
    """Fields in which the units differ, where the settings allow that.

    Raises:
        RequestError: There is no unit, one lacks a site, or they were made differently.
    """
    if not units:
        raise RequestError("there is no unit to analyse", remedy="Extract activations first.")
    for unit in units:
        missing = [site for site in settings.sites if site not in unit.sites]
        if missing:
            difference = differing_sites({u.name: list(u.sites) for u in units})
            detail = f"; {difference}" if difference else ""
            raise RequestError(
                f"{unit.name} has no {', '.join(missing)}{detail}",
                remedy=f"Extract it with --site {missing[0]}, or analyse the sites that all have.",
            )
        pooled = unit.configuration.pooling
        if pooled not in (None, settings.pooling) and not settings.allow_mixed:
            raise RequestError(
                f"pooling is {settings.pooling!r} in the settings but {pooled!r} in {unit.name}",
                remedy="Pool the activations as the settings say.",
            )
    return check_comparable(
        {unit.name: unit.configuration for unit in units}, override=settings.allow_mixed
    )
