"""Result of an analysis: directions as arrays, everything else as tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64

from emoact.schema import Finding
from emoact.sites import SiteName
from emoact.stats.comparable import Difference
from emoact.stats.directions.directions import DirectionKind
from emoact.stats.settings import AnalysisSettings

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True)
class DirectionKey:
    """Name of one array of directions. `main`: true for the one that the analysis itself uses."""

    model: str
    site: SiteName
    emotion: str
    kind: DirectionKind
    main: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class AnalysisResult:
    """Result of `analyse_grid`.

    Attributes:
        settings: What was asked for.
        findings: Remarks for the reader: prompts left out, figures that could not be computed.
        differences: Fields in which the units differ, where that was allowed: a badge for every
            chart and export.
        random_weights: Models with random weights: another badge.
        directions: `[layer, d_model]`, positive towards the emotion.
        tables: By name, in the order of `catalogue.TABLES`.
    """

    settings: AnalysisSettings
    findings: tuple[Finding, ...]
    differences: tuple[Difference, ...]
    random_weights: tuple[str, ...]
    directions: Mapping[DirectionKey, Float64[np.ndarray, "_ _"]]
    tables: Mapping[str, pd.DataFrame]
