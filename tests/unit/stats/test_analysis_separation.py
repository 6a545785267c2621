from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from emoact.stats.design import contrast_against, design_of
from emoact.stats.directions.separation import held_out_scores, measure_separation
from emoact.stats.gram import centred_gram
from emoact.stats.null.splits import scenario_folds
from emoact.stats.null.uncertainty import bootstrap_counts

N = 30
DESIGN = design_of(["a"] * N + ["b"] * N + ["n"] * N, [str(i) for i in range(N)] * 3)
A = contrast_against(DESIGN, "a", "n")
FOLDS = scenario_folds(DESIGN)
DRAWS = bootstrap_counts(DESIGN, 200)


def features(seed: int = 0, effect: float = 0.5) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(3 * N, 2, 12))
    x[:N, 1] += effect
    return x


def test_scores_come_from_the_other_folds() -> None:
    x = features()
    scores = held_out_scores(DESIGN, centred_gram(x), A, FOLDS)
    for fold in range(5):
        train, test = (fold != FOLDS), (fold == FOLDS)
        emotion, neutral = np.arange(3 * N) < N, np.arange(3 * N) >= 2 * N
        here, there = (x[train & side, 1].mean(0) for side in (emotion, neutral))
        unit = (here - there) / np.linalg.norm(here - there)
        expected = (x[test & (emotion | neutral), 1] - (here + there) / 2) @ unit
        np.testing.assert_allclose(scores[1, test & (emotion | neutral)], expected, atol=1e-10)
    assert np.isnan(scores[:, N : 2 * N]).all()


def test_auroc_agrees_with_scikit_learn_ties_included() -> None:
    scores = np.round(np.random.default_rng(1).normal(size=(2, 3 * N)), 1)
    scores[0, :N] += 0.4
    found = measure_separation(scores, DESIGN, A, DRAWS)
    used = np.r_[0:N, 2 * N : 3 * N]
    for layer in range(2):
        expected = roc_auc_score(np.arange(2 * N) < N, scores[layer, used])
        assert found.auroc[layer] == pytest.approx(expected, abs=1e-12)


def test_d_prime_is_the_difference_over_the_pooled_deviation() -> None:
    scores = np.random.default_rng(2).normal(size=(1, 3 * N))
    here, there = scores[0, :N], scores[0, 2 * N :]
    expected = (here.mean() - there.mean()) / np.sqrt((here.var(ddof=1) + there.var(ddof=1)) / 2)
    found = measure_separation(scores, DESIGN, A, DRAWS)
    assert found.d_prime[0] == pytest.approx(expected, rel=1e-9)


def test_intervals_agree_with_a_bootstrap_by_hand() -> None:
    scores = np.random.default_rng(3).normal(size=(1, 3 * N))
    scores[0, :N] += 1
    values = []
    for counts in DRAWS:
        here = np.repeat(scores[0, :N], counts)
        there = np.repeat(scores[0, 2 * N :], counts)
        values.append(roc_auc_score(np.arange(len(here) * 2) < len(here), np.r_[here, there]))
    found = measure_separation(scores, DESIGN, A, DRAWS)
    np.testing.assert_allclose(
        found.auroc_interval[:, 0], np.quantile(values, [0.025, 0.975]), atol=1e-12
    )


def test_held_out_scores_of_noise_do_not_separate() -> None:
    aurocs = [
        measure_separation(
            held_out_scores(DESIGN, centred_gram(features(seed, 0.0)), A, FOLDS), DESIGN, A, DRAWS
        ).auroc
        for seed in range(60)
    ]
    error = np.std(aurocs) / np.sqrt(np.size(aurocs))
    assert abs(np.mean(aurocs) - 0.5) < 3 * error


def test_zero_direction_gives_nan_scores() -> None:
    scores = held_out_scores(DESIGN, centred_gram(np.ones((3 * N, 1, 4))), A, FOLDS)
    found = measure_separation(scores, DESIGN, A, DRAWS)
    assert np.isnan(scores).all()
    assert np.isnan(found.auroc).all()
    assert np.isnan(found.d_prime_interval).all()


def test_separation_flips_when_the_classes_swap() -> None:
    gram = centred_gram(features())
    forward = held_out_scores(DESIGN, gram, A, FOLDS)
    backward = held_out_scores(DESIGN, gram, -A, FOLDS)
    np.testing.assert_allclose(backward[:, :N], -forward[:, :N], atol=1e-12)
