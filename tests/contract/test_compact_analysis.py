"""Statistics from compact files: the same to the last digit, and no verdict moved by rounding."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import emoact
from emoact.schema import Precision
from emoact.stats.features import features_of
from emoact.stats.result import AnalysisResult
from emoact.store.compact.pooled import poolings_of
from emoact.store.convert import convert
from tests.support.planted_analysis import analyse
from tests.support.planted_scenarios import plant_scenarios

MODELS = ("gpt2", "pythia-160m")


@pytest.fixture(scope="module")
def pickles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("pickles")
    for model in MODELS:
        plant_scenarios(results, model)
    return results


@pytest.fixture(scope="module")
def expected(pickles: Path) -> AnalysisResult:
    return analyse(pickles)[0]


def converted(pickles: Path, folder: Path, precision: Precision) -> Path:
    for path in pickles.glob("activations/*/*.pkl"):
        name = path.name.replace(".pkl", ".zarr.zip")
        out = folder / "activations" / path.parent.name / name
        convert(path, to="compact", precision=precision, out=out)
    return folder


def test_lossless_files_give_the_same_tables_to_the_last_digit(
    pickles: Path, expected: AnalysisResult, tmp_path: Path
) -> None:
    found = analyse(converted(pickles, tmp_path, "lossless"))[0]
    assert found.tables.keys() == expected.tables.keys()
    for name, table in expected.tables.items():
        assert_frame_equal(found.tables[name], table, check_exact=True)


def test_pooled_files_give_an_analysis_just_what_whole_files_give_it(
    pickles: Path, tmp_path: Path
) -> None:
    for path in pickles.glob("activations/*/*.pkl"):
        out = tmp_path / path.parent.name / path.name.replace(".pkl", ".pooled.zarr.zip")
        convert(path, to="pooled", out=out)
        whole, pooled = emoact.read(path), emoact.read(out)
        assert len(poolings_of(whole)) >= 4
        for pooling in poolings_of(whole):
            before = features_of(whole, sites=whole.sites, pooling=pooling)
            after = features_of(pooled, sites=pooled.sites, pooling=pooling)
            assert list(after.sites) == list(before.sites)
            for name, vectors in before.sites.items():
                assert np.array_equal(after.sites[name], vectors)
            same = (f.name for f in dataclasses.fields(before) if f.name != "sites")
            assert all(getattr(after, name) == getattr(before, name) for name in same)


@pytest.mark.parametrize("precision", ["rel1e-3", "rel8e-3"])
def test_rounded_files_change_no_verdict(
    precision: Precision, pickles: Path, expected: AnalysisResult, tmp_path: Path
) -> None:
    found = analyse(converted(pickles, tmp_path, precision))[0]
    seen = set()
    for name, table in expected.tables.items():
        for column in table.columns:
            if pd.api.types.is_numeric_dtype(table[column]):
                continue
            seen |= set(table[column].astype(str)) if "verdict" in column else set()
            assert list(found.tables[name][column].astype(str)) == list(table[column].astype(str))
    assert len(seen) > 1
