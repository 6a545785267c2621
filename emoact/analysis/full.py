"""The whole of phase 3 for a grid of models and emotions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from emoact.analysis.between import PairResult, Side, common_rows, compare_models
from emoact.analysis.comparable import Difference, check_comparable, differing_sites
from emoact.analysis.cosine import ZeroDirectionWarning
from emoact.analysis.distances import measure_distances
from emoact.analysis.emotion import (
    Contrast,
    EmotionResult,
    analyse_emotion,
    check_classes,
    make_contrast,
)
from emoact.analysis.features import ModelFeatures, UnitFeatures, join_units
from emoact.analysis.finite import finite_units
from emoact.analysis.geometry import Projection, project_fixed, project_per_layer
from emoact.analysis.gram import centred_gram
from emoact.analysis.probe_grid import (
    ProbeGrid,
    TextBaselines,
    baseline_rows,
    judge_texts,
    probe_emotion,
)
from emoact.analysis.products import Gram
from emoact.analysis.remarks import remarks_on
from emoact.analysis.result import AnalysisResult, DirectionKey
from emoact.analysis.rows import DistanceRow
from emoact.analysis.settings import AnalysisSettings
from emoact.analysis.significance import Significance, judge_families
from emoact.analysis.steps import OnProgress, Step, run_steps
from emoact.analysis.tabulate import (
    axis_rows,
    headline_rows,
    point_rows,
    stability_rows,
    strength_rows,
    variant_rows,
)
from emoact.errors import RequestError
from emoact.schema import Finding, Site

_Cell = tuple[str, Site, str]
"""Model, site, emotion."""


@dataclass(kw_only=True)
class _Found:
    """Results of the steps, filled in whatever order they end."""

    emotions: dict[_Cell, EmotionResult] = field(default_factory=dict)
    probes: dict[_Cell, ProbeGrid] = field(default_factory=dict)
    texts: dict[tuple[str, str], TextBaselines] = field(default_factory=dict)
    distances: dict[tuple[str, Site], list[DistanceRow]] = field(default_factory=dict)
    projections: dict[tuple[str, Site], tuple[Projection, Projection]] = field(default_factory=dict)
    pairs: dict[tuple[str, str, Site], PairResult] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Prepared:
    model: ModelFeatures
    contrasts: tuple[Contrast, ...]
    grams: dict[Site, Gram]
    twin_grams: dict[Site, Gram]


def analyse_grid(
    units: Sequence[UnitFeatures],
    settings: AnalysisSettings | None = None,
    on_progress: OnProgress | None = None,
    *,
    workers: int | None = None,
) -> AnalysisResult:
    """Every figure of phase 3 for these units.

    The result depends on units, settings and seed alone, not on the number of workers.

    Args:
        units: Pooled vectors, one per (model, emotion); at least one model with two classes.
        settings: What to do; the defaults when None.
        on_progress: Called after every step; may raise to stop.
        workers: Threads; as many as there are cores, at most 4, when None.

    Raises:
        RequestError: There is nothing to analyse, a class or site is missing, units were made
            differently, or vectors are not finite; the message says how to go on.
    """
    settings = settings or AnalysisSettings()
    differences = _check_units(units, settings)
    units, left_out = finite_units(units, leave_out=settings.leave_out_nonfinite)
    prepared = [_prepare(own, settings) for own in _by_model(units).values()]
    found, missing_pairs = _Found(), list[Finding]()
    steps = [step for each in prepared for step in _model_steps(each, found, settings)]
    for first, second in combinations(prepared, 2):
        steps.extend(_pair_steps(first, second, found, missing_pairs, settings))
    with warnings.catch_warnings():
        # A zero direction becomes a finding below, once, with its place.
        warnings.simplefilter("ignore", ZeroDirectionWarning)
        run_steps(steps, on_progress, workers=workers)
        return _assemble(prepared, found, settings, differences, [*left_out, *missing_pairs])


def _check_units(
    units: Sequence[UnitFeatures], settings: AnalysisSettings
) -> tuple[Difference, ...]:
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
    return check_comparable(
        {unit.name: unit.configuration for unit in units}, override=settings.allow_mixed
    )


def _by_model(units: Sequence[UnitFeatures]) -> dict[str, list[UnitFeatures]]:
    models: dict[str, list[UnitFeatures]] = {}
    for unit in units:
        models.setdefault(unit.model, []).append(unit)
    return models


def _prepare(units: Sequence[UnitFeatures], settings: AnalysisSettings) -> _Prepared:
    model = join_units(units)
    emotions = check_classes(model, settings)
    return _Prepared(
        model=model,
        contrasts=tuple(make_contrast(model.design, emotion, settings) for emotion in emotions),
        grams={site: centred_gram(model.sites[site]) for site in settings.sites},
        twin_grams=_twins(model, settings),
    )


def _twins(model: ModelFeatures, settings: AnalysisSettings) -> dict[Site, Gram]:
    return {site: centred_gram(model.sites[site], standardise=True) for site in settings.sites}


def _model_steps(prepared: _Prepared, found: _Found, settings: AnalysisSettings) -> list[Step]:
    model, steps = prepared.model, []
    for site, gram in prepared.grams.items():
        for contrast in prepared.contrasts:
            cell = (model.model, site, contrast.emotion)

            def emotion(site: Site = site, gram: Gram = gram, c: Contrast = contrast) -> None:
                found.emotions[model.model, site, c.emotion] = analyse_emotion(
                    model, site, c, gram=gram, settings=settings
                )

            def probe(site: Site = site, c: Contrast = contrast) -> None:
                found.probes[model.model, site, c.emotion] = probe_emotion(
                    model, site, c, twin_gram=prepared.twin_grams[site], settings=settings
                )

            steps.append(Step(label=f"directions of {' '.join(cell)}", run=emotion))
            steps.append(Step(label=f"probes of {' '.join(cell)}", run=probe))

        def distances(site: Site = site, gram: Gram = gram) -> None:
            found.distances[model.model, site] = measure_distances(
                model,
                site,
                prepared.contrasts,
                gram=gram,
                twin_gram=prepared.twin_grams[site],
                settings=settings,
            )

        def projections(site: Site = site) -> None:
            features = model.sites[site]
            found.projections[model.model, site] = (
                project_fixed(features),
                project_per_layer(features),
            )

        steps.append(Step(label=f"distances in {model.model} {site}", run=distances))
        steps.append(Step(label=f"projections of {model.model} {site}", run=projections))
    for contrast in prepared.contrasts:

        def texts(c: Contrast = contrast) -> None:
            found.texts[model.model, c.emotion] = judge_texts(model, c)

        steps.append(Step(label=f"word baselines of {contrast.emotion}", run=texts))
    return steps


def _pair_steps(
    first: _Prepared,
    second: _Prepared,
    found: _Found,
    missing: list[Finding],
    settings: AnalysisSettings,
) -> list[Step]:
    names = (first.model.model, second.model.model)
    try:
        rows = common_rows(first.model, second.model)
        sides = [
            _side(each, own, settings) for each, own in zip((first, second), rows, strict=True)
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
        return []
    shared = [c.emotion for c in sides[0].contrasts]
    shared = [emotion for emotion in shared if emotion in {c.emotion for c in sides[1].contrasts}]
    steps = []
    for site in settings.sites:

        def compare(site: Site = site) -> None:
            here, there = (
                Side(
                    model=side.model,
                    site=site,
                    gram=side.grams[site],
                    contrasts=tuple(
                        contrast
                        for emotion in shared
                        for contrast in side.contrasts
                        if contrast.emotion == emotion
                    ),
                )
                for side in sides
            )
            found.pairs[*names, site] = compare_models(here, there, settings)

        steps.append(Step(label=f"{names[0]} against {names[1]} {site}", run=compare))
    return steps


def _side(prepared: _Prepared, rows: list[int], settings: AnalysisSettings) -> _Prepared:
    """The model with the shared prompts only, as it is where it has no others."""
    model = prepared.model
    if rows == list(range(len(model.prompts))):
        return prepared
    part = model.rows(rows)
    return _Prepared(
        model=part,
        contrasts=tuple(
            make_contrast(part.design, emotion, settings)
            for emotion in check_classes(part, settings)
        ),
        grams={site: centred_gram(part.sites[site]) for site in settings.sites},
        twin_grams={},
    )


def _assemble(
    prepared: Sequence[_Prepared],
    found: _Found,
    settings: AnalysisSettings,
    differences: tuple[Difference, ...],
    findings: list[Finding],
) -> AnalysisResult:
    models = [each.model for each in prepared]
    cells = [
        (each, site, contrast)
        for each in prepared
        for site in settings.sites
        for contrast in each.contrasts
    ]
    judged = _judge(prepared, found, settings)
    emotions = [found.emotions[each.model.model, site, c.emotion] for each, site, c in cells]
    texts = {key: found.texts[key] for key in found.texts}
    pairs = [
        found.pairs[key]
        for a, b in combinations(models, 2)
        for site in settings.sites
        if (key := (a.model, b.model, site)) in found.pairs
    ]
    drawn = [
        (model, site, projection)
        for model in models
        for site in settings.sites
        for projection in found.projections[model.model, site]
    ]
    return AnalysisResult(
        settings=settings,
        findings=(*findings, *remarks_on(models, emotions, settings)),
        differences=differences,
        random_weights=tuple(model.model for model in models if model.random_weights),
        directions={
            DirectionKey(
                model=result.model,
                site=result.site,
                emotion=result.emotion,
                kind=kind,
                main=kind == result.main,
            ): direction
            for result in emotions
            for kind, direction in result.directions.items()
        },
        headline=tuple(
            row
            for each, site, c in cells
            for row in headline_rows(
                each.model,
                c,
                texts[each.model.model, c.emotion],
                found.probes[each.model.model, site, c.emotion],
                judged[each.model.model, c.emotion],
                site,
                settings.alpha,
            )
        ),
        strength=tuple(
            row
            for (each, _, c), result in zip(cells, emotions, strict=True)
            for row in strength_rows(
                result, judged[each.model.model, c.emotion], each.model.design, c, settings.alpha
            )
        ),
        stability=tuple(row for result in emotions for row in stability_rows(result)),
        variants=tuple(row for result in emotions for row in variant_rows(result)),
        distances=tuple(
            row
            for model in models
            for site in settings.sites
            for row in found.distances[model.model, site]
        ),
        probes=tuple(
            row
            for each, site, c in cells
            for row in found.probes[each.model.model, site, c.emotion].rows
        ),
        baselines=tuple(
            row
            for each in prepared
            for c in each.contrasts
            for row in baseline_rows(
                each.model,
                c,
                texts[each.model.model, c.emotion],
                found.probes[each.model.model, "resid_pre", c.emotion].first_layer
                if "resid_pre" in settings.sites
                else None,
            )
        ),
        similarity=tuple(row for pair in pairs for row in pair.similarity),
        across=tuple(row for pair in pairs for row in pair.across),
        maps=tuple(row for pair in pairs for row in pair.maps),
        points=tuple(row for each in drawn for row in point_rows(*each)),
        axes=tuple(row for each in drawn for row in axis_rows(*each)),
    )


def _judge(
    prepared: Sequence[_Prepared], found: _Found, settings: AnalysisSettings
) -> dict[tuple[str, str], Significance]:
    keys = [(each.model.model, c.emotion) for each in prepared for c in each.contrasts]
    judged = judge_families(
        [
            {site: found.emotions[model, site, emotion].permuted for site in settings.sites}
            for model, emotion in keys
        ]
    )
    return dict(zip(keys, judged, strict=True))
