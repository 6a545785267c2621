from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import f_oneway

from emoact.stats.audit.association import associate, permutation_p


def test_eta_squared_is_that_of_an_analysis_of_variance() -> None:
    rng = np.random.default_rng(3)
    label = np.repeat([0, 1, 2], [7, 12, 9])
    values = rng.normal(size=28) + 0.8 * label
    found = associate(values[:, None], np.zeros(28, dtype=np.int64), label[None])
    assert found is not None
    f = f_oneway(*(values[label == one] for one in range(3))).statistic
    assert found.eta_squared == pytest.approx(f * 2 / (f * 2 + 25))


def test_block_means_are_taken_out_first() -> None:
    rng = np.random.default_rng(4)
    block = np.repeat(np.arange(1, 11), 2)
    label = np.tile([0, 1], 10)
    values = 100.0 * block + 0.1 * label + 0.01 * rng.normal(size=20)
    found = associate(values[:, None], block, label[None])
    assert found is not None
    differences = values[1::2] - values[::2]
    within = np.concatenate([-differences, differences]) / 2
    assert found.eta_squared == pytest.approx(differences.mean() ** 2 * 5 / (within**2).sum())
    assert found.eta_squared > 0.9


def test_p_counts_the_permutations_that_reach_the_observed_value() -> None:
    values = np.array([1.0, 2.0, 4.0, 8.0, 3.0])
    label = np.array([0, 0, 1, 1, 1])
    draws = np.array([label, *sorted(set(itertools.permutations(label.tolist())))])
    found = associate(values[:, None], np.zeros(5, dtype=np.int64), draws)
    assert found is not None
    gaps = [values[row == 1].mean() - values[row == 0].mean() for row in draws[1:]]
    observed = values[label == 1].mean() - values[label == 0].mean()
    reached = sum(abs(gap) >= abs(observed) - 1e-12 for gap in gaps)
    assert found.p == pytest.approx((1 + reached) / (1 + 10))


def test_the_strongest_feature_is_named_and_its_p_pays_for_the_choice() -> None:
    rng = np.random.default_rng(5)
    label = np.tile([0, 1], 60)
    block = np.zeros(120, dtype=np.int64)
    draws = np.array([label, *(rng.permutation(label) for _ in range(499))])
    noise = rng.normal(size=(120, 40))
    alone = min(_p(noise[:, [column]], block, draws) for column in range(40))
    assert _p(noise, block, draws) > 5 * alone
    planted = noise.copy()
    planted[:, 17] += label
    found = associate(planted, block, draws)
    assert found is not None
    assert (found.strongest, found.p) == (17, 1 / 500)


def test_the_sum_finds_what_is_spread_over_many_features() -> None:
    rng = np.random.default_rng(6)
    topic = rng.permutation(np.repeat(np.arange(40), 5))
    label = topic % 4
    features = (topic[:, None] == np.arange(40)).astype(float)
    draws = np.array([label, *(rng.permutation(label) for _ in range(499))])
    found = associate(features, np.zeros(200, dtype=np.int64), draws, over="sum")
    assert found is not None
    assert found.p == 1 / 500


def test_features_that_do_not_vary_within_blocks_are_no_association() -> None:
    block = np.repeat(np.arange(1, 6), 4)
    features = np.stack([np.ones(20), block.astype(float)], axis=1)
    label = np.tile(np.arange(4), 5)
    assert associate(features, block, label[None]) is None


@pytest.mark.parametrize(("null", "p"), [([0.0] * 99, 0.01), ([1.0] * 99, 1.0), ([3.0, 1.0], 1.0)])
def test_the_p_value_is_never_zero_and_ties_count(null: list[float], p: float) -> None:
    assert permutation_p(np.array([1.0, *null])) == pytest.approx(p)


def _p(features: np.ndarray, block: np.ndarray, draws: np.ndarray) -> float:
    found = associate(features, block, draws)
    assert found is not None
    return found.p
