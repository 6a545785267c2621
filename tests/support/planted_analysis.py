"""A results folder with small planted units and their analysis, as the worker would save it."""

from collections.abc import Sequence
from pathlib import Path

from emoact.analysis.key import InputFile, analysis_id, input_of
from emoact.analysis.save import save_analysis
from emoact.analysis.saved import SavedAnalysis
from emoact.models.cache import hash_of
from emoact.stats.features import features_of
from emoact.stats.full import analyse_grid
from emoact.stats.result import AnalysisResult
from emoact.stats.settings import AnalysisSettings
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read_all
from emoact.store.unit import Unit
from tests.support.planted_scenarios import FAST

_FOUND: dict[str, AnalysisResult] = {}
"""By the id that an analysis has by its files, settings and columns: many tests plant the same."""


def analyse(
    results: Path, settings: AnalysisSettings = FAST, *, models: Sequence[str] = ()
) -> tuple[AnalysisResult, list[InputFile]]:
    """Analyse the units of a folder, or of some models in it."""
    units, inputs = _read(results, models)
    return _analysed(units, settings), inputs


def plant_analysis(
    results: Path, settings: AnalysisSettings = FAST, *, models: Sequence[str] = ()
) -> SavedAnalysis:
    """Analyse the units of a folder, or of some models in it, and save what was found."""
    units, inputs = _read(results, models)
    key = analysis_id(inputs, settings)
    if key not in _FOUND:
        _FOUND[key] = _analysed(units, settings)
    return save_analysis(ResultsRoot(results), _FOUND[key], inputs, run_id="r1")


def _read(results: Path, models: Sequence[str]) -> tuple[list[Unit], list[InputFile]]:
    root = ResultsRoot(results)
    units = [unit for unit in read_all(results).units if not models or unit.folder in models]
    return units, [input_of(root, unit, unit.path, hash_of(unit.path)) for unit in units]


def _analysed(units: Sequence[Unit], settings: AnalysisSettings) -> AnalysisResult:
    features = [
        features_of(unit, sites=settings.sites, pooling=settings.pooling, model=unit.folder)
        for unit in units
    ]
    return analyse_grid(features, settings, workers=1)
