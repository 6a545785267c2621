from collections.abc import Sequence
from pathlib import Path

import pytest

from emoact.analysis.key import InputFile
from emoact.stats.result import AnalysisResult
from emoact.store.layout import ResultsRoot
from tests.support.planted_analysis import analyse
from tests.support.planted_scenarios import plant_scenarios


@pytest.fixture(scope="session")
def analysed(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[AnalysisResult, Sequence[InputFile]]:
    """Two small models, one of random weights, analysed once for all tests here."""
    results = tmp_path_factory.mktemp("analysed")
    plant_scenarios(results, "gpt2")
    plant_scenarios(results, "other", n_layers=4, d_model=6, provenance={"random_weights": True})
    return analyse(results)


@pytest.fixture
def root(tmp_path: Path) -> ResultsRoot:
    return ResultsRoot(tmp_path / "results")
