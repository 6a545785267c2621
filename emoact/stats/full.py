"""The analysis of a grid of models and emotions: its steps, and the tables made of them."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from emoact.errors import RequestError
from emoact.measures import Cell
from emoact.schema import Finding
from emoact.sites import SiteName
from emoact.stats import catalogue
from emoact.stats.across.between import Side, compare_models, matched_layers
from emoact.stats.across.geometry import Geometry, judged_columns, measure_geometry
from emoact.stats.across.shared import common_rows, sampled_rows
from emoact.stats.comparable import Difference
from emoact.stats.directions.contrast import Contrast
from emoact.stats.directions.emotion import (
    EmotionFigures,
    analyse_emotion,
    beside,
    emotion_cells,
    join_layers,
    neutral_parts,
)
from emoact.stats.distances.distances import JudgedPair, PairFigures, measure_pair
from emoact.stats.distances.geometry import projection_cells
from emoact.stats.features import UnitFeatures, let_go
from emoact.stats.findings.remarks import remarks_on
from emoact.stats.finite import finite_units
from emoact.stats.null.significance import Judged, judge_families
from emoact.stats.prepared import Prepared, check_units, part_of, prepare_units
from emoact.stats.probes.baselines import TextClassifiers
from emoact.stats.probes.candidates import Candidates, judge_texts
from emoact.stats.probes.grid import ProbeGrid, probe_emotion
from emoact.stats.probes.headline import control_findings, headline_cells
from emoact.stats.probes.pairs import EmotionPair, pair_cells, probe_pairs
from emoact.stats.products import centred_gram, share_vectors
from emoact.stats.result import AnalysisResult, DirectionKey
from emoact.stats.room import MEMORY, Room
from emoact.stats.settings import AnalysisSettings

OnProgress = Callable[[int, int, str], None]
"""Called with steps done, steps in all and what was just done; raises to stop the work."""

Step = tuple[str, Callable[[], None]]
"""Label of a piece of work that depends on no other, and the work."""

Place = tuple[str, SiteName, str]
"""Model, site and emotion."""

_Work = tuple[str, Callable[[], Iterable[Cell]]]
"""Label and step."""


@dataclass(kw_only=True)
class _Found:
    """Results of the steps, in the order in which the steps end.

    Attributes:
        columns: Tables with the columns of their cells, by the number of the step.
        pairs: Figures of two emotions at every layer, by model, site and place in `Prepared`.
        probed_pairs: Probes of emotion against emotion, by model and site.
        geometry: Geometry of emotions by pair of models and site.
    """

    columns: dict[int, list[tuple[str, catalogue.Columns]]] = field(default_factory=dict)
    emotions: dict[Place, dict[int, EmotionFigures]] = field(default_factory=dict)
    pairs: dict[tuple[str, SiteName, int], dict[int, PairFigures]] = field(default_factory=dict)
    probes: dict[Place, ProbeGrid] = field(default_factory=dict)
    texts: dict[tuple[str, str], Candidates] = field(default_factory=dict)
    probed_pairs: dict[tuple[str, SiteName], list[EmotionPair]] = field(default_factory=dict)
    geometry: dict[tuple[str, str, SiteName], Geometry | None] = field(default_factory=dict)


def analyse_grid(
    units: Iterable[UnitFeatures],
    settings: AnalysisSettings | None = None,
    on_progress: OnProgress | None = None,
    *,
    workers: int | None = None,
    room: Room = MEMORY,
) -> AnalysisResult:
    """Every table and direction for these units.

    The result depends on units, settings and seed alone, not on the number of workers.

    Args:
        units: Pooled vectors, one per (model, emotion); at least one model with two classes. Those
            of a generator are let go as they are joined, which halves the memory.
        settings: Choices of the analysis; the defaults when None.
        on_progress: Called after every step; may raise to stop.
        workers: Threads; as many as there are cores, at most 4, when None.
        room: Where the vectors of all units of a model are kept.

    Raises:
        RequestError: There is nothing to analyse, a class or site is missing, units were made
            differently, or vectors are not finite; the remedy names the option or command.
    """
    settings = settings or AnalysisSettings()
    given = list(units)
    differences = check_units(
        {unit.name: tuple(unit.sites) for unit in given},
        {unit.name: unit.configuration for unit in given},
        settings,
    )
    kept, left_out = finite_units(given, leave_out=settings.leave_out_nonfinite)
    del given
    prepared = prepare_units(let_go(kept), settings, room)
    found, missing_pairs = _Found(), list[Finding]()
    work = [each for one in prepared for each in _model_steps(one, found, settings, room)]
    for first, second in combinations(prepared, 2):
        work.extend(_pair_steps(first, second, found, missing_pairs, settings, room))
    run_steps(
        [
            (label, functools.partial(_keep, found, number, cells))
            for number, (label, cells) in enumerate(let_go(work))
        ],
        on_progress,
        workers=workers,
    )
    return _assemble(prepared, found, settings, differences, [*left_out, *missing_pairs])


def run_steps(
    steps: Sequence[Step], on_progress: OnProgress | None = None, *, workers: int | None = None
) -> None:
    """Run every step; the first error stops those that have not started.

    Linear algebra is held to one thread per step: the matrices are small, and threads inside
    threads would wait for one another. It also keeps results the same on every machine.
    """
    # Not at the top: opening a page must not load them. scipy brings a BLAS of its own, which can
    # only be limited once it is loaded.
    import scipy.linalg  # noqa: F401
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    count = workers or min(os.cpu_count() or 1, 4)
    if on_progress is not None:
        on_progress(0, len(steps), "")
    with threadpool_limits(limits=1), ThreadPoolExecutor(max_workers=count) as executor:
        running = {executor.submit(run): label for label, run in steps}
        # What a step alone holds is let go when it is done.
        del steps
        try:
            for done, future in enumerate(as_completed(running), start=1):
                future.result()
                if on_progress is not None:
                    on_progress(done, len(running), running[future])
        except BaseException:
            executor.shutdown(wait=True, cancel_futures=True)
            raise


def _keep(found: _Found, number: int, cells: Callable[[], Iterable[Cell]]) -> None:
    found.columns[number] = [(cell.table, catalogue.computed(cell)) for cell in cells()]


def _model_steps(
    prepared: Prepared, found: _Found, settings: AnalysisSettings, room: Room
) -> Iterator[_Work]:
    """Labels and steps of one model alone, in the order of the rows."""
    model = prepared.model
    bind = functools.partial

    def layer(site: SiteName, number: int) -> Iterable[Cell]:
        shared = share_vectors(model.design, model.sites[site][:, number : number + 1])
        neutral = neutral_parts(shared.features, model.design, settings)
        for contrast in prepared.contrasts:
            figures = analyse_emotion(
                model, site, contrast, shared=shared, neutral=neutral, settings=settings
            )
            found.emotions[model.model, site, contrast.emotion][number] = figures
        for place, pair in enumerate(prepared.pairs):
            found.pairs[model.model, site, place][number] = measure_pair(pair, model.design, shared)
        return []

    def probe(site: SiteName, contrast: Contrast) -> Iterable[Cell]:
        grid = probe_emotion(model, site, contrast, settings)
        found.probes[model.model, site, contrast.emotion] = grid
        return [grid.cell]

    def probe_each_pair(site: SiteName) -> Iterable[Cell]:
        pairs = probe_pairs(model, site, prepared.contrasts, settings)
        found.probed_pairs[model.model, site] = pairs
        return []

    def texts(contrast: Contrast) -> Iterable[Cell]:
        found.texts[model.model, contrast.emotion] = judge_texts(model, contrast, classifiers)
        return []

    classifiers = TextClassifiers(model.texts, model.n_tokens, room)

    long, layers = list[_Work](), list[_Work]()
    for contrast in prepared.contrasts:
        long.append((f"word baselines of {contrast.emotion}", bind(texts, contrast)))
    for site in settings.sites:
        for contrast in prepared.contrasts:
            found.emotions[model.model, site, contrast.emotion] = {}
        for place in range(len(prepared.pairs)):
            found.pairs[model.model, site, place] = {}
        for contrast in prepared.contrasts:
            label = f"probes of {model.model} {site} {contrast.emotion}"
            long.append((label, bind(probe, site, contrast)))
        long.append((f"pairs of emotions in {model.model} {site}", bind(probe_each_pair, site)))
        label = f"projections of {model.model} {site}"
        long.append((label, bind(projection_cells, model, site)))
        for number in range(model.sites[site].shape[1]):
            label = f"directions of {model.model} {site} layer {number}"
            layers.append((label, bind(layer, site, number)))
    # Probes hold Python's lock for much of their time and layers little of it, so that one of
    # either at once is faster than two probes; the last steps are layers, which are short.
    share = -(-len(layers) // len(long))
    for place, each in enumerate(long):
        yield each
        yield from layers[place * share : (place + 1) * share]


def _pair_steps(
    first: Prepared,
    second: Prepared,
    found: _Found,
    missing: list[Finding],
    settings: AnalysisSettings,
    room: Room,
) -> Iterator[_Work]:
    """Comparisons per site; none, and a finding in `missing`, where prompts are not shared."""
    names = (first.model.model, second.model.model)
    try:
        rows = common_rows(first.model, second.model)
        sides = [
            part_of(each, own, settings, room)
            for each, own in zip((first, second), rows, strict=True)
        ]
        kept = sampled_rows(sides[0].model.design, seed=settings.seed)
        parts = [part_of(side, kept, settings) for side in sides]
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
    by_emotion = [{each.emotion: each for each in part.contrasts} for part in parts]
    shared = [emotion for emotion in by_emotion[0] if emotion in by_emotion[1]]

    def compare(site: SiteName) -> Iterable[Cell]:
        here, there = (
            Side(
                model=part.model,
                site=site,
                gram=centred_gram(part.model.sites[site]),
                contrasts=tuple(contrasts[emotion] for emotion in shared),
            )
            for part, contrasts in zip(parts, by_emotion, strict=True)
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
    figures = _judged_figures(prepared, found, settings)
    columns: dict[str, list[catalogue.Columns]] = {each.name: [] for each in catalogue.TABLES}
    for number in sorted(found.columns):
        for name, values in found.columns.pop(number):
            columns[name].append(values)
    judged = {
        (model, emotion): each.judged.significance
        for (model, _, emotion), each in figures.items()
        if each.judged is not None
    }
    for own, values in judged_columns(columns["across"], found.geometry, judged, settings.alpha):
        own.update(values)
    cells = [cell for each in figures.values() for cell in emotion_cells(each)]
    cells += _pair_cells(prepared, found, figures, settings)
    probes = [found.probes[place] for place in figures]
    cells += headline_cells(probes, found.texts, judged, settings.alpha)
    cells += pair_cells(
        [
            pair
            for each in prepared
            for site in settings.sites
            for pair in found.probed_pairs[each.model.model, site]
        ]
    )
    for cell in cells:
        columns[cell.table].append(catalogue.computed(cell))
    return AnalysisResult(
        settings=settings,
        findings=(
            *findings,
            *control_findings(probes, settings.pooling),
            *remarks_on(models, figures.values(), settings),
        ),
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
            for each in figures.values()
            for kind, direction in each.directions.items()
        },
        # Taken out one by one: the values of a table are let go before the next is made.
        tables={name: catalogue.frame(name, columns.pop(name)) for name in list(columns)},
    )


def _judged_figures(
    prepared: Sequence[Prepared], found: _Found, settings: AnalysisSettings
) -> dict[Place, EmotionFigures]:
    """Figures of all layers with their significance, in the order of the rows."""
    families = [(each.model.model, c.emotion) for each in prepared for c in each.contrasts]
    figures = {
        place: join_layers([layers[number] for number in sorted(layers)])
        for place, layers in found.emotions.items()
    }
    tests = judge_families(
        [
            {site: figures[model, site, emotion].statistic for site in settings.sites}
            for model, emotion in families
        ]
    )
    significance = dict(zip(families, tests, strict=True))
    return {
        (model, site, emotion): dataclasses.replace(
            each,
            judged=Judged(
                site=site, significance=significance[model, emotion], alpha=settings.alpha
            ),
        )
        for (model, site, emotion), each in figures.items()
    }


def _pair_cells(
    prepared: Sequence[Prepared],
    found: _Found,
    figures: Mapping[Place, EmotionFigures],
    settings: AnalysisSettings,
) -> Iterator[Cell]:
    for each in prepared:
        name = each.model.model
        for site in settings.sites:
            for place, pair in enumerate(each.pairs):
                layers = found.pairs[name, site, place]
                source = JudgedPair(
                    first=figures[name, site, pair.first.emotion],
                    second=figures[name, site, pair.second.emotion],
                    figures=beside([layers[number] for number in sorted(layers)]),
                )
                ids = {
                    "model": name,
                    "site": site,
                    "layer": np.arange(len(layers)),
                    "emotion_a": pair.first.emotion,
                    "emotion_b": pair.second.emotion,
                }
                yield Cell(table="distances", ids=ids, source=source)
