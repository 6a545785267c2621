"""Results of the steps to one `AnalysisResult`, in a fixed order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from emoact.schema import Finding
from emoact.stats.comparable import Difference
from emoact.stats.directions.emotion import Contrast
from emoact.stats.findings.remarks import remarks_on
from emoact.stats.grid_steps import Found
from emoact.stats.null.significance import Significance, judge_families
from emoact.stats.prepared import Prepared
from emoact.stats.probes.grid import Correct, baseline_rows
from emoact.stats.result import AnalysisResult, DirectionKey
from emoact.stats.settings import AnalysisSettings
from emoact.stats.tabulate import (
    axis_rows,
    headline_rows,
    point_rows,
    stability_rows,
    strength_rows,
    variant_rows,
)


def assemble(
    prepared: Sequence[Prepared],
    found: Found,
    settings: AnalysisSettings,
    differences: tuple[Difference, ...],
    findings: list[Finding],
) -> AnalysisResult:
    """All tables and directions; significance is judged here, because it needs every emotion."""
    models = [each.model for each in prepared]
    cells = [
        (each, site, contrast)
        for each in prepared
        for site in settings.sites
        for contrast in each.contrasts
    ]
    judged = _judge(prepared, found, settings)
    emotions = [found.emotions[each.model.model, site, c.emotion] for each, site, c in cells]
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
                found.texts[each.model.model, c.emotion],
                found.probes[each.model.model, site, c.emotion],
                _first_layer(found, each, c, settings),
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
                found.texts[each.model.model, c.emotion],
                _first_layer(found, each, c, settings),
            )
        ),
        similarity=tuple(row for pair in pairs for row in pair.similarity),
        across=tuple(row for pair in pairs for row in pair.across),
        maps=tuple(row for pair in pairs for row in pair.maps),
        points=tuple(row for each in drawn for row in point_rows(*each)),
        axes=tuple(row for each in drawn for row in axis_rows(*each)),
    )


def _first_layer(
    found: Found, prepared: Prepared, contrast: Contrast, settings: AnalysisSettings
) -> Mapping[str, Correct] | None:
    if "resid_pre" not in settings.sites:
        return None
    return found.probes[prepared.model.model, "resid_pre", contrast.emotion].first_layer


def _judge(
    prepared: Sequence[Prepared], found: Found, settings: AnalysisSettings
) -> dict[tuple[str, str], Significance]:
    keys = [(each.model.model, c.emotion) for each in prepared for c in each.contrasts]
    judged = judge_families(
        [
            {site: found.emotions[model, site, emotion].permuted for site in settings.sites}
            for model, emotion in keys
        ]
    )
    return dict(zip(keys, judged, strict=True))
