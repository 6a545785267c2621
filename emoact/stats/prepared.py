"""Checks of the units, and the arrays that all steps of an analysis share."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from emoact.errors import RequestError
from emoact.sites import SiteName
from emoact.stats.comparable import Configuration, Difference, check_comparable, differing_sites
from emoact.stats.directions.emotion import Contrast, check_classes, make_contrast
from emoact.stats.features import ModelFeatures, UnitFeatures, join_units
from emoact.stats.gram import centred_gram
from emoact.stats.products import Gram
from emoact.stats.settings import AnalysisSettings

MAX_BYTES = 6 * 2**30
"""Largest size in bytes of the products of all pairs of prompts in memory."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """One model with the arrays that its steps share.

    Attributes:
        model: Pooled vectors and prompts.
        contrasts: Each emotion against its reference.
        grams: Inner products of the prompts by site.
        twin_grams: The same with standardised dimensions; empty for a part of a model.
    """

    model: ModelFeatures
    contrasts: tuple[Contrast, ...]
    grams: Mapping[SiteName, Gram]
    twin_grams: Mapping[SiteName, Gram]


def prepare_units(units: Sequence[UnitFeatures], settings: AnalysisSettings) -> list[Prepared]:
    """One entry per model, in the order of first appearance.

    Raises:
        RequestError: A class is missing, shapes disagree, or there are too many prompts.
    """
    by_model: dict[str, list[UnitFeatures]] = {}
    for unit in units:
        by_model.setdefault(unit.model, []).append(unit)
    models = [join_units(own) for own in by_model.values()]
    _check_size(models, settings)
    return [
        Prepared(
            model=model,
            contrasts=tuple(
                make_contrast(model.design, emotion, settings)
                for emotion in check_classes(model, settings)
            ),
            grams={site: centred_gram(model.sites[site]) for site in settings.sites},
            twin_grams={
                site: centred_gram(model.sites[site], standardise=True) for site in settings.sites
            },
        )
        for model in models
    ]


def part_of(prepared: Prepared, rows: list[int], settings: AnalysisSettings) -> Prepared:
    """The model with some of its prompts; unchanged where these are all."""
    model = prepared.model
    if rows == list(range(len(model.prompts))):
        return prepared
    part = model.rows(rows)
    return Prepared(
        model=part,
        contrasts=tuple(
            make_contrast(part.design, emotion, settings)
            for emotion in check_classes(part, settings)
        ),
        grams={site: centred_gram(part.sites[site]) for site in settings.sites},
        twin_grams={},
    )


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


def _check_size(models: Sequence[ModelFeatures], settings: AnalysisSettings) -> None:
    needed = sum(
        2 * 8 * len(model.prompts) ** 2 * model.sites[site].shape[1]
        for model in models
        for site in settings.sites
    )
    if needed > MAX_BYTES:
        raise RequestError(
            f"the analysis would hold {needed / 2**30:.1f} GiB of products of prompts; at most "
            f"{MAX_BYTES / 2**30:.0f} GiB are allowed",
            remedy="Analyse one model or one site at a time, or fewer prompts: the need grows with "
            "the square of their number.",
        )
