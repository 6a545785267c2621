"""The whole of phase 3 for a grid of models and emotions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import combinations

from emoact.schema import Finding
from emoact.stats.assemble import assemble
from emoact.stats.distances.cosine import ZeroDirectionWarning
from emoact.stats.features import UnitFeatures
from emoact.stats.finite import finite_units
from emoact.stats.grid_steps import Found, model_steps, pair_steps
from emoact.stats.prepared import check_units, prepare_units
from emoact.stats.result import AnalysisResult
from emoact.stats.settings import AnalysisSettings
from emoact.stats.steps import OnProgress, run_steps


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
    differences = check_units(units, settings)
    units, left_out = finite_units(units, leave_out=settings.leave_out_nonfinite)
    prepared = prepare_units(units, settings)
    found, missing_pairs = Found(), list[Finding]()
    steps = [step for each in prepared for step in model_steps(each, found, settings)]
    for first, second in combinations(prepared, 2):
        steps.extend(pair_steps(first, second, found, missing_pairs, settings))
    with warnings.catch_warnings():
        # A zero direction becomes a finding below, once, with its place.
        warnings.simplefilter("ignore", ZeroDirectionWarning)
        run_steps(steps, on_progress, workers=workers)
        return assemble(prepared, found, settings, differences, [*left_out, *missing_pairs])
