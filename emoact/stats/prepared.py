"""Checks of the units, and the draws that all steps of an analysis share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

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


def check_units(
    sites: Mapping[str, Collection[SiteName]],
    configurations: Mapping[str, Configuration],
    settings: AnalysisSettings,
) -> tuple[Difference, ...]:
    """Fields in which units differ, where the settings allow that.

    Args:
        sites: Sites in the file of each unit, by its name in messages.
        configurations: Configuration of the activations of each unit, by the same name.
        settings: Choices of the analysis.

    Raises:
        RequestError: There is no unit, one lacks a site, or they were made differently.
    """
    if not sites:
        raise RequestError("there is no unit to analyse", remedy="Extract activations first.")
    for name, held in sites.items():
        missing = [site for site in settings.sites if site not in held]
        if missing:
            difference = differing_sites({each: list(own) for each, own in sites.items()})
            detail = f"; {difference}" if difference else ""
            raise RequestError(
                f"{name} has no {', '.join(missing)}{detail}",
                remedy=f"Extract it with --site {missing[0]}, or analyse the sites that all have.",
            )
        pooled = configurations[name].pooling
        if pooled not in (None, settings.pooling) and not settings.allow_mixed:
            raise RequestError(
                f"pooling is {settings.pooling!r} in the settings but {pooled!r} in {name}",
                remedy="Pool the activations as the settings say.",
            )
    return check_comparable(configurations, override=settings.allow_mixed)
