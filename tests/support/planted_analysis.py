"""A results folder with small planted units and their analysis, as the worker would save it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emoact.analysis.inputs import FileHashes
from emoact.analysis.request import input_of
from emoact.analysis.save import save_analysis
from emoact.analysis.saved import SavedAnalysis
from emoact.stats.features import features_of
from emoact.stats.full import analyse_grid
from emoact.stats.settings import AnalysisSettings
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read_all
from tests.support.planted_scenarios import FAST


def plant_analysis(
    results: Path, settings: AnalysisSettings = FAST, *, models: Sequence[str] = ()
) -> SavedAnalysis:
    """Analyse the units of a folder, or of some models in it, and save what was found."""
    root = ResultsRoot(results)
    units = [unit for unit in read_all(results).units if not models or unit.folder in models]
    hashes = FileHashes(root)
    inputs = [input_of(root, unit, hashes.compute(unit.path)) for unit in units]
    hashes.keep()
    features = [
        features_of(unit, sites=settings.sites, pooling=settings.pooling, model=unit.folder)
        for unit in units
    ]
    return save_analysis(root, analyse_grid(features, settings, workers=1), inputs, run_id="r1")
