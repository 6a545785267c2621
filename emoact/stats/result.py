"""What an analysis hands back: directions as arrays, everything else as tidy tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from emoact.schema import Finding, Site
from emoact.stats.comparable import Difference
from emoact.stats.directions.directions import DirectionKind
from emoact.stats.rows import (
    AcrossRow,
    AxisRow,
    BaselineRow,
    DistanceRow,
    HeadlineRow,
    MapRow,
    PointRow,
    ProbeRow,
    SimilarityRow,
    StabilityRow,
    StrengthRow,
    VariantRow,
    to_row,
)
from emoact.stats.settings import AnalysisSettings


@dataclass(frozen=True, kw_only=True)
class DirectionKey:
    """Names one array of directions.

    Attributes:
        kind: How the direction was made.
        main: True for the one that the analysis itself uses.
    """

    model: str
    site: Site
    emotion: str
    kind: DirectionKind
    main: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class AnalysisResult:
    """Everything that `analyse_grid` found.

    Attributes:
        settings: What it was asked to do.
        findings: What a reader must know: prompts left out, figures that could not be made and why.
        differences: Fields in which the units differ, where that was allowed: a badge for every
            chart and export.
        random_weights: Models whose weights say nothing about language: another badge.
        directions: `[layer, d_model]`, positive towards the emotion.
    """

    settings: AnalysisSettings
    findings: tuple[Finding, ...]
    differences: tuple[Difference, ...]
    random_weights: tuple[str, ...]
    directions: Mapping[DirectionKey, Float64[np.ndarray, "_ _"]]
    headline: tuple[HeadlineRow, ...]
    strength: tuple[StrengthRow, ...]
    stability: tuple[StabilityRow, ...]
    variants: tuple[VariantRow, ...]
    distances: tuple[DistanceRow, ...]
    probes: tuple[ProbeRow, ...]
    baselines: tuple[BaselineRow, ...]
    similarity: tuple[SimilarityRow, ...]
    across: tuple[AcrossRow, ...]
    maps: tuple[MapRow, ...]
    points: tuple[PointRow, ...]
    axes: tuple[AxisRow, ...]

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Every table as a list of rows, by its name; columns are plain scalars."""
        names = (
            "headline", "strength", "stability", "variants", "distances", "probes", "baselines",
            "similarity", "across", "maps", "points", "axes",
        )  # fmt: skip
        return {name: [to_row(row) for row in getattr(self, name)] for name in names}
