"""The independent steps of an analysis, and where they leave their results."""

from __future__ import annotations

from dataclasses import dataclass, field

from emoact.errors import RequestError
from emoact.schema import Finding, Site
from emoact.stats.across.between import PairResult, Side, common_rows, compare_models
from emoact.stats.directions.emotion import Contrast, EmotionResult, analyse_emotion
from emoact.stats.distances.distances import measure_distances
from emoact.stats.distances.geometry import Projection, project_fixed, project_per_layer
from emoact.stats.prepared import Prepared, part_of
from emoact.stats.probes.grid import ProbeGrid, TextBaselines, judge_texts, probe_emotion
from emoact.stats.products import Gram
from emoact.stats.rows import DistanceRow
from emoact.stats.settings import AnalysisSettings
from emoact.stats.steps import Step

Cell = tuple[str, Site, str]
"""Model, site, emotion."""


@dataclass(kw_only=True)
class Found:
    """Results of the steps, filled in whatever order they end."""

    emotions: dict[Cell, EmotionResult] = field(default_factory=dict)
    probes: dict[Cell, ProbeGrid] = field(default_factory=dict)
    texts: dict[tuple[str, str], TextBaselines] = field(default_factory=dict)
    distances: dict[tuple[str, Site], list[DistanceRow]] = field(default_factory=dict)
    projections: dict[tuple[str, Site], tuple[Projection, Projection]] = field(default_factory=dict)
    pairs: dict[tuple[str, str, Site], PairResult] = field(default_factory=dict)


def model_steps(prepared: Prepared, found: Found, settings: AnalysisSettings) -> list[Step]:
    """Everything that concerns one model alone."""
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


def pair_steps(
    first: Prepared,
    second: Prepared,
    found: Found,
    missing: list[Finding],
    settings: AnalysisSettings,
) -> list[Step]:
    """One comparison per site; none, and a finding in `missing`, where prompts are not shared."""
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
