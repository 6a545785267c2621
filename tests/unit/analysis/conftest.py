from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from emoact.analysis.inputs import FileHashes, InputFile
from emoact.analysis.request import input_of
from emoact.stats.features import features_of
from emoact.stats.full import analyse_grid
from emoact.stats.result import AnalysisResult
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read_all
from tests.support.planted_scenarios import FAST, plant_scenarios


@pytest.fixture(scope="session")
def analysed(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[AnalysisResult, Sequence[InputFile]]:
    """Two small models, one of random weights, analysed once for all tests here."""
    results = tmp_path_factory.mktemp("analysed")
    plant_scenarios(results, "gpt2")
    plant_scenarios(results, "other", n_layers=4, d_model=6, provenance={"random_weights": True})
    root, units = ResultsRoot(results), read_all(results).units
    hashes = FileHashes(root)
    inputs = [input_of(root, unit, hashes.compute(unit.path)) for unit in units]
    features = [features_of(unit, sites=FAST.sites, model=unit.folder) for unit in units]
    return analyse_grid(features, FAST, workers=1), inputs


@pytest.fixture
def root(tmp_path: Path) -> ResultsRoot:
    return ResultsRoot(tmp_path / "results")
