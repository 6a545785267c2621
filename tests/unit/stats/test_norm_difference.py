"""Norms minus neutral, against paired tests of scipy and against planted factors."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from emoact.stats.norms.difference import difference_table
from emoact.store.summaries.measures import UnitMeasures
from tests.support.measured import Arrays, measured_unit


def unit(emotion: str, norms: np.ndarray, scenarios: list[str | None]) -> UnitMeasures:
    """Prompts of one token, with these norms `[layer, prompt]`."""
    arrays: Arrays = {
        "resid_pre": [[np.array([[norm]], dtype=np.float32) for norm in layer] for layer in norms]
    }
    found = measured_unit(arrays, emotion=emotion, content_start=0)
    return dataclasses.replace(found, prompts=tuple({"scenario_id": each} for each in scenarios))


def test_the_difference_is_the_paired_one_of_scipy_over_scenarios() -> None:
    rng = np.random.default_rng(0)
    base = np.exp(rng.normal(3, 0.5, (3, 20)))
    other = base * 1.1 * np.exp(rng.normal(0, 0.05, (3, 20)))
    names: list[str | None] = [f"s{n}" for n in range(20)]
    order = rng.permutation(20)
    shuffled = unit("neutral", base[:, order], [names[n] for n in order])
    found = difference_table([unit("anger", other, names), shuffled], "resid_pre")
    test = stats.ttest_rel(np.log(other), np.log(base), axis=1)
    mean = (np.log(other) - np.log(base)).mean(axis=1)
    assert found["percent"].tolist() == pytest.approx(100 * np.expm1(mean), abs=1e-4)
    low, high = test.confidence_interval()
    assert found["low"].tolist() == pytest.approx(100 * np.expm1(low), abs=1e-4)
    assert found["high"].tolist() == pytest.approx(100 * np.expm1(high), abs=1e-4)
    assert set(found["n"]) == {20}


def test_without_scenarios_the_interval_is_that_of_welch() -> None:
    rng = np.random.default_rng(1)
    a, b = np.exp(rng.normal(1, 0.2, (2, 12))), np.exp(rng.normal(1, 0.4, (2, 30)))
    found = difference_table(
        [unit("anger", a, [None] * 12), unit("neutral", b, [None] * 30)], "resid_pre"
    )
    test = stats.ttest_ind(np.log(a), np.log(b), axis=1, equal_var=False)
    high = 100 * np.expm1(test.confidence_interval().high)
    assert found["high"].tolist() == pytest.approx(high)
    # Copies within a scenario add nothing.
    pairs: list[list[str | None]] = [
        [f"{side}{n // 2}" for n in range(2 * size)] for side, size in (("a", 12), ("b", 30))
    ]
    twice = [
        unit(name, x.repeat(2, axis=1), own)
        for name, x, own in zip(("anger", "neutral"), (a, b), pairs, strict=True)
    ]
    assert difference_table(twice, "resid_pre")["high"].tolist() == pytest.approx(high)


def test_five_percent_of_few_scenarios_without_a_difference_leave_out_zero() -> None:
    norms = np.exp(np.random.default_rng(2).normal(1, 0.2, (2, 400, 4)))
    names: list[str | None] = [f"s{n}" for n in range(4)]
    found = difference_table(
        [unit(name, x, names) for name, x in zip(("anger", "neutral"), norms, strict=True)],
        "resid_pre",
    )
    assert 0.02 < ((found["low"] > 0) | (found["high"] < 0)).mean() < 0.08


def test_a_prompt_without_a_finite_norm_is_left_out_and_no_neutral_gives_no_row() -> None:
    norms = np.full((2, 6), 3.0)
    names: list[str | None] = [f"s{n}" for n in range(6)]
    broken = norms * 1.5
    broken[1, 2] = np.nan
    found = difference_table(
        [unit("joy", broken, names), unit("neutral", norms, names)], "resid_pre"
    )
    assert found["percent"].tolist() == pytest.approx([50.0, 50.0])
    assert set(found["n"]) == {5}
    assert not len(difference_table([unit("joy", norms, names)], "resid_pre"))
