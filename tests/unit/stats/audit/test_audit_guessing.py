from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import NearestCentroid
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from emoact.stats.audit.guessing import folds_of, guess, unit_rows, whitened


def _scikit_learn(features: np.ndarray, folds: np.ndarray, label: np.ndarray) -> float:
    scores = []
    for fold in folds:
        predicted = np.empty_like(label)
        for held_out in np.unique(fold):
            test = fold == held_out
            model = NearestCentroid().fit(features[~test], label[~test])
            predicted[test] = model.predict(features[test])
        scores.append(balanced_accuracy_score(label, predicted))
    return float(np.mean(scores))


@pytest.mark.parametrize("n_features", [1, 6, 150])
def test_accuracies_are_those_of_scikit_learn_for_every_permutation(n_features: int) -> None:
    rng = np.random.default_rng(n_features)
    label = np.repeat([0, 1, 2], [40, 30, 20])
    features = rng.normal(size=(90, n_features)) + 0.5 * label[:, None] / np.sqrt(n_features)
    folds = folds_of(np.arange(90) // 3, rng)
    draws = np.array([label, *(rng.permutation(label) for _ in range(9))])
    found = guess(features, folds, draws)
    with threadpool_limits(limits=1):  # many tiny fits; threads would only wait for one another
        expected = [_scikit_learn(features, folds, row) for row in draws]
    assert found.accuracy == pytest.approx(expected[0])
    assert found.chance == pytest.approx(np.mean(expected[1:]))
    assert found.p == (1 + sum(one >= expected[0] - 1e-9 for one in expected[1:])) / 10


def test_folds_keep_scenarios_whole_and_are_five_of_equal_size() -> None:
    unit = np.repeat(np.arange(50), 4)
    folds = folds_of(unit, np.random.default_rng(0))
    for fold in folds:
        assert all(len(set(fold[unit == one])) == 1 for one in range(50))
        assert np.bincount(fold).tolist() == [40] * 5
    assert len({tuple(fold) for fold in folds}) > 1


def test_a_feature_that_says_everything_is_found_and_one_that_says_nothing_is_not() -> None:
    rng = np.random.default_rng(1)
    label = np.tile(np.arange(4), 50)
    draws = np.array([label, *(rng.permutation(label) for _ in range(499))])
    folds = folds_of(np.repeat(np.arange(50), 4), rng)
    told = guess((label[:, None] == np.arange(4)).astype(float), folds, draws)
    assert (told.accuracy, told.p) == (1.0, 1 / 500)
    blind = guess(np.zeros((200, 1)), folds, draws)
    assert (blind.accuracy, blind.p) == (0.25, 1.0)
    noise = guess(rng.normal(size=(200, 3)), folds, draws)
    assert noise.p > 0.05
    assert noise.chance == pytest.approx(0.25, abs=0.01)


def test_a_class_that_training_lacks_is_never_guessed() -> None:
    label = np.array([0] * 8 + [1])
    folds = np.array([[0, 1, 2, 3, 4, 0, 1, 2, 3]])
    features = np.array([0.0, 1, 0, 1, 0, 1, 0, 1, 9])[:, None]
    found = guess(features, folds, np.array([label, label]))
    assert found.accuracy == pytest.approx(0.5)


def test_whitening_forgets_units_and_correlation() -> None:
    rng = np.random.default_rng(2)
    one = rng.normal(size=300)
    features = np.stack([1000 * one, one + rng.normal(size=300), np.full(300, 7.0)], axis=1)
    white = whitened(features)
    covariance = np.cov(white.T, bias=True)
    assert white.shape == (300, 2)
    assert abs(covariance[0, 1]) < 1e-9
    assert covariance.diagonal() == pytest.approx([1, 1], abs=0.3)
    scaled = whitened(features * [0.01, 3, 5])
    assert np.abs(white @ white.T - scaled @ scaled.T).max() < 1e-9
    assert whitened(np.ones((5, 3))).tolist() == [[0.0]] * 5


def test_rows_of_words_get_length_one_and_empty_rows_stay_empty() -> None:
    rows = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    assert rows.tolist() == [[0.6, 0.8], [0.0, 0.0]]
