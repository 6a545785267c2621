"""The analysis of a grid of models and emotions: its steps, and the tables made of them."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from emoact.errors import RequestError
from emoact.measures import Cell
from emoact.schema import Finding
from emoact.sites import SiteName
from emoact.stats import catalogue
from emoact.stats.across.between import Side, common_rows, compare_models, matched_layers
from emoact.stats.across.geometry import Geometry, judged_columns, measure_geometry
from emoact.stats.comparable import Difference
from emoact.stats.cosine import ZeroDirectionWarning
from emoact.stats.directions.emotion import Contrast, EmotionFigures, analyse_emotion, emotion_cells
from emoact.stats.distances.distances import measure_distances
from emoact.stats.distances.geometry import projection_cells
from emoact.stats.features import UnitFeatures
from emoact.stats.findings.remarks import remarks_on
from emoact.stats.finite import finite_units
from emoact.stats.null.significance import Judged, judge_families
from emoact.stats.prepared import Prepared, check_units, part_of, prepare_units
from emoact.stats.probes.grid import (
    Correct,
    ProbeGrid,
    TextBaselines,
    baseline_cells,
    judge_texts,
    probe_emotion,
)
from emoact.stats.probes.headline import headline_cells
from emoact.stats.result import AnalysisResult, DirectionKey
from emoact.stats.settings import AnalysisSettings
from emoact.stats.steps import OnProgress, Step, run_steps

Place = tuple[str, SiteName, str]
"""Model, site and emotion."""


@dataclass(kw_only=True)
class _Found:
    """Results of the steps, in the order in which the steps end.

    Attributes:
        columns: Tables with the columns of their cells, by the number of the step.
        emotions: Figures that significance and findings need.
        probes: Probes that headlines and baselines need.
        texts: Word baselines by model and emotion.
        geometry: Geometry of emotions by pair of models and site.
    """

    columns: dict[int, list[tuple[str, catalogue.Columns]]] = field(default_factory=dict)
    emotions: dict[Place, EmotionFigures] = field(default_factory=dict)
    probes: dict[Place, ProbeGrid] = field(default_factory=dict)
    texts: dict[tuple[str, str], TextBaselines] = field(default_factory=dict)
    geometry: dict[tuple[str, str, SiteName], Geometry | None] = field(default_factory=dict)


def analyse_grid(
    units: Sequence[UnitFeatures],
    settings: AnalysisSettings | None = None,
    on_progress: OnProgress | None = None,
    *,
    workers: int | None = None,
) -> AnalysisResult:
    """Every table and direction for these units.

    The result depends on units, settings and seed alone, not on the number of workers.

    Args:
        units: Pooled vectors, one per (model, emotion); at least one model with two classes.
        settings: Choices of the analysis; the defaults when None.
        on_progress: Called after every step; may raise to stop.
        workers: Threads; as many as there are cores, at most 4, when None.

    Raises:
        RequestError: There is nothing to analyse, a class or site is missing, units were made
            differently, or vectors are not finite; the remedy names the option or command.
    """
    settings = settings or AnalysisSettings()
    differences = check_units(units, settings)
    units, left_out = finite_units(units, leave_out=settings.leave_out_nonfinite)
    prepared = prepare_units(units, settings)
    found, missing_pairs = _Found(), list[Finding]()
    work = [each for one in prepared for each in _model_steps(one, found, settings)]
    for first, second in combinations(prepared, 2):
        work.extend(_pair_steps(first, second, found, missing_pairs, settings))
    with warnings.catch_warnings():
        # A zero direction becomes a finding below, once, with its place.
        warnings.simplefilter("ignore", ZeroDirectionWarning)
        steps = [
            Step(label=label, run=functools.partial(_keep, found, number, cells))
            for number, (label, cells) in enumerate(work)
        ]
        run_steps(steps, on_progress, workers=workers)
        return _assemble(prepared, found, settings, differences, [*left_out, *missing_pairs])


def _keep(found: _Found, number: int, cells: Callable[[], Iterable[Cell]]) -> None:
    found.columns[number] = [(cell.table, catalogue.computed(cell)) for cell in cells()]


def _model_steps(
    prepared: Prepared, found: _Found, settings: AnalysisSettings
) -> Iterator[tuple[str, Callable[[], Iterable[Cell]]]]:
    """Labels and steps of one model alone, in the order of the rows."""
    model = prepared.model
    bind = functools.partial

    def emotion(site: SiteName, contrast: Contrast) -> Iterable[Cell]:
        gram = prepared.grams[site]
        figures = analyse_emotion(model, site, contrast, gram=gram, settings=settings)
        found.emotions[model.model, site, contrast.emotion] = figures
        return emotion_cells(figures)

    def probe(site: SiteName, contrast: Contrast) -> Iterable[Cell]:
        twin_gram = prepared.twin_grams[site]
        grid = probe_emotion(model, site, contrast, twin_gram=twin_gram, settings=settings)
        found.probes[model.model, site, contrast.emotion] = grid
        return [grid.cell]

    def distances(site: SiteName) -> Iterable[Cell]:
        gram, twin_gram = prepared.grams[site], prepared.twin_grams[site]
        return measure_distances(
            model, site, prepared.contrasts, gram=gram, twin_gram=twin_gram, settings=settings
        )

    def texts(contrast: Contrast) -> Iterable[Cell]:
        found.texts[model.model, contrast.emotion] = judge_texts(model, contrast)
        return []

    for site in prepared.grams:
        for contrast in prepared.contrasts:
            place = f"{model.model} {site} {contrast.emotion}"
            yield f"directions of {place}", bind(emotion, site, contrast)
            yield f"probes of {place}", bind(probe, site, contrast)
        yield f"distances in {model.model} {site}", bind(distances, site)
        yield f"projections of {model.model} {site}", bind(projection_cells, model, site)
    for contrast in prepared.contrasts:
        yield f"word baselines of {contrast.emotion}", bind(texts, contrast)


def _pair_steps(
    first: Prepared,
    second: Prepared,
    found: _Found,
    missing: list[Finding],
    settings: AnalysisSettings,
) -> Iterator[tuple[str, Callable[[], Iterable[Cell]]]]:
    """Comparisons per site; none, and a finding in `missing`, where prompts are not shared."""
    names = (first.model.model, second.model.model)
    try:
        rows = common_rows(first.model, second.model)
        sides = [
            part_of(each, own, settings) for each, own in zip((first, second), rows, strict=True)
        ]
    except RequestError as error:
        missing.append(
            Finding(
                code="models_not_compared",
                severity="warning",
                where=", ".join(names),
                message=error.message,
                remedy=error.remedy or "",
            )
        )
        return
    by_emotion = [{each.emotion: each for each in side.contrasts} for side in sides]
    shared = [emotion for emotion in by_emotion[0] if emotion in by_emotion[1]]

    def compare(site: SiteName) -> Iterable[Cell]:
        here, there = (
            Side(
                model=side.model,
                site=site,
                gram=side.grams[site],
                contrasts=tuple(contrasts[emotion] for emotion in shared),
            )
            for side, contrasts in zip(sides, by_emotion, strict=True)
        )
        return compare_models(here, there, settings)

    def geometry(site: SiteName) -> Iterable[Cell]:
        here, there = (side.model for side in sides)
        layers_b = matched_layers(here.sites[site].shape[1], there.sites[site].shape[1])
        measured = measure_geometry(here, there, site, layers_b, settings)
        found.geometry[names[0], names[1], site] = measured
        return []

    for site in settings.sites:
        yield f"geometry of {names[0]} and {names[1]} {site}", functools.partial(geometry, site)
        yield f"{names[0]} against {names[1]} {site}", functools.partial(compare, site)


def _assemble(
    prepared: Sequence[Prepared],
    found: _Found,
    settings: AnalysisSettings,
    differences: tuple[Difference, ...],
    findings: list[Finding],
) -> AnalysisResult:
    """All tables and directions; significance is judged here, because it needs every emotion."""
    models = [each.model for each in prepared]
    families = [(each.model.model, c.emotion) for each in prepared for c in each.contrasts]
    judged = dict(
        zip(
            families,
            judge_families(
                [
                    {site: found.emotions[model, site, emotion].permuted for site in settings.sites}
                    for model, emotion in families
                ]
            ),
            strict=True,
        )
    )
    places = [
        (each.model.model, site, c.emotion)
        for each in prepared
        for site in settings.sites
        for c in each.contrasts
    ]
    emotions = [found.emotions[place] for place in places]
    columns: dict[str, list[catalogue.Columns]] = {each.name: [] for each in catalogue.TABLES}
    for number in sorted(found.columns):
        for name, values in found.columns[number]:
            columns[name].append(values)
    for own, emotion in zip(columns["strength"], emotions, strict=True):
        significance = judged[emotion.model.model, emotion.contrast.emotion]
        tested = Judged(site=emotion.site, significance=significance, alpha=settings.alpha)
        cell = Cell(table="strength", ids={}, source=tested)
        own.update(catalogue.computed(cell, judged=True))
    for own, values in judged_columns(columns["across"], found.geometry, judged, settings.alpha):
        own.update(values)
    cells = [
        cell
        for model, site, name in places
        for cell in headline_cells(
            found.probes[model, site, name],
            found.texts[model, name],
            _first_layer(found, model, name),
            judged[model, name],
            settings.alpha,
        )
    ]
    cells += [
        cell
        for each in prepared
        for contrast in each.contrasts
        for key in [(each.model.model, contrast.emotion)]
        for cell in baseline_cells(
            each.model, contrast, found.texts[key], _first_layer(found, *key)
        )
    ]
    for cell in cells:
        columns[cell.table].append(catalogue.computed(cell))
    return AnalysisResult(
        settings=settings,
        findings=(*findings, *remarks_on(models, emotions, settings)),
        differences=differences,
        random_weights=tuple(model.model for model in models if model.random_weights),
        directions={
            DirectionKey(
                model=each.model.model,
                site=each.site,
                emotion=each.contrast.emotion,
                kind=kind,
                main=kind == each.main,
            ): direction
            for each in emotions
            for kind, direction in each.directions.items()
        },
        tables={name: catalogue.frame(name, each) for name, each in columns.items()},
    )


def _first_layer(found: _Found, model: str, emotion: str) -> Mapping[str, Correct] | None:
    """Correctness of the probe at layer 0 of the residual stream; None where it is not analysed."""
    probes = found.probes.get((model, "resid_pre", emotion))
    return None if probes is None else probes.first_layer
