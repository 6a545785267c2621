"""A results folder with small planted units and their analysis, as the worker would save it."""

from collections.abc import Sequence
from pathlib import Path

from emoact.analysis.key import InputFile, input_of
from emoact.analysis.save import save_analysis
from emoact.analysis.saved import SavedAnalysis
from emoact.models.cache import hash_of
from emoact.stats.features import features_of
from emoact.stats.full import analyse_grid
from emoact.stats.result import AnalysisResult
from emoact.stats.settings import AnalysisSettings
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read_all
from tests.support.planted_scenarios import FAST


def analyse(
    results: Path, settings: AnalysisSettings = FAST, *, models: Sequence[str] = ()
) -> tuple[AnalysisResult, list[InputFile]]:
    """Analyse the units of a folder, or of some models in it."""
    root = ResultsRoot(results)
    units = [unit for unit in read_all(results).units if not models or unit.folder in models]
    inputs = [input_of(root, unit, unit.path, hash_of(unit.path)) for unit in units]
    features = [
        features_of(unit, sites=settings.sites, pooling=settings.pooling, model=unit.folder)
        for unit in units
    ]
    return analyse_grid(features, settings, workers=1), inputs


def plant_analysis(
    results: Path, settings: AnalysisSettings = FAST, *, models: Sequence[str] = ()
) -> SavedAnalysis:
    """Analyse the units of a folder, or of some models in it, and save what was found."""
    found = analyse(results, settings, models=models)
    return save_analysis(ResultsRoot(results), *found, run_id="r1")
