from __future__ import annotations

import dataclasses
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).parents[3] / "scripts" / "calibrate_analysis.py"
    spec = importlib.util.spec_from_file_location("calibrate_analysis", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["calibrate_analysis"] = module
    spec.loader.exec_module(module)
    return module


def test_grid_is_a_function_of_its_seed(script: ModuleType) -> None:
    condition = script.Condition(name="null", spectrum=script.steep_spectrum(), scenario=1.0)
    assert script.run_grid(condition, (1, 2)) == script.run_grid(condition, (1, 2))


def test_page_keeps_the_promised_rates(script: ModuleType) -> None:
    page = (Path(__file__).parents[3] / "docs" / "calibration.md").read_text()
    rows = re.findall(r"\| (\d+) \| (\d+) \| at (most|least) (\d+) \| (\w+) \|", page)
    # Four kinds of data without an emotion, two with one; 5 % and two standard errors are 28.
    assert [row[2:] for row in rows] == [("most", "28", "yes")] * 4 + [("least", "320", "yes")] * 2
    for found, of, side, limit, _ in rows:
        assert int(of) == 400
        assert int(found) <= int(limit) if side == "most" else int(found) >= int(limit)


def test_strong_effect_is_found_and_vanishes_with_its_labels(script: ModuleType) -> None:
    condition = script.Condition(name="planted", spectrum=np.ones(script.WIDTH), effect=8.0)
    found = script.run_grid(condition, (1, 0))
    assert found.planted
    assert found.d_prime > 3
    shuffled = script.run_grid(dataclasses.replace(condition, shuffled=True), (1, 0))
    assert abs(shuffled.d_prime) < 1


def test_spectrum_has_the_participation_ratio_that_the_page_states(script: ModuleType) -> None:
    variances = script.steep_spectrum() ** 2
    assert variances.sum() ** 2 / (variances**2).sum() == pytest.approx(5, rel=1e-6)
    assert variances.mean() == pytest.approx(1)
