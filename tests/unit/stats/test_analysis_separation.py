import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from emoact.stats.design import contrast_against, design_of
from emoact.stats.directions.separation import Separation, held_out_scores, measure_separation
from emoact.stats.null.splits import scenario_folds
from emoact.stats.vectors import centre

N = 30
DESIGN = design_of(["a"] * N + ["b"] * N + ["n"] * N, [str(i) for i in range(N)] * 3)
A = contrast_against(DESIGN, "a", "n")
FOLDS = scenario_folds(DESIGN)


def features(seed: int = 0, effect: float = 0.5) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(3 * N, 2, 12))
    x[:N, 1] += effect
    return x


def test_scores_come_from_the_other_folds() -> None:
    x = features()
    scores = held_out_scores(DESIGN, centre(x), A, FOLDS)
    for fold in range(5):
        train, test = (fold != FOLDS), (fold == FOLDS)
        emotion, neutral = np.arange(3 * N) < N, np.arange(3 * N) >= 2 * N
        here, there = (x[train & side, 1].mean(0) for side in (emotion, neutral))
        unit = (here - there) / np.linalg.norm(here - there)
        expected = (x[test & (emotion | neutral), 1] - (here + there) / 2) @ unit
        np.testing.assert_allclose(scores[1, test & (emotion | neutral)], expected, atol=1e-10)
    assert np.isnan(scores[:, N : 2 * N]).all()


def measured(scores: np.ndarray, x: np.ndarray | None = None) -> Separation:
    own = features()[:, : len(scores)] if x is None else x
    return measure_separation(scores, own, DESIGN, A, FOLDS, np.full(len(scores), 12.0))


def test_auroc_agrees_with_scikit_learn_ties_included() -> None:
    scores = np.round(np.random.default_rng(1).normal(size=(2, 3 * N)), 1)
    scores[0, :N] += 0.4
    found = measured(scores)
    used = np.r_[0:N, 2 * N : 3 * N]
    for layer in range(2):
        expected = roc_auc_score(np.arange(2 * N) < N, scores[layer, used])
        assert found.auroc[layer] == pytest.approx(expected, abs=1e-12)


def test_d_prime_is_the_difference_over_the_pooled_deviation() -> None:
    scores = np.random.default_rng(2).normal(size=(1, 3 * N))
    here, there = scores[0, :N], scores[0, 2 * N :]
    expected = (here.mean() - there.mean()) / np.sqrt((here.var(ddof=1) + there.var(ddof=1)) / 2)
    assert measured(scores).d_prime[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("power", [0.0, -0.75])
@pytest.mark.parametrize("effect", [0.0, 2.0, 6.0])
def test_intervals_cover_the_separation_of_other_scenarios(effect: float, power: float) -> None:
    rng = np.random.default_rng([int(-4 * power), int(effect)])
    n, n_layers, d, repeats = 25, 8, 32, 40
    design = design_of(["a"] * n + ["n"] * n, [str(i) for i in range(n)] * 2)
    contrast, folds = contrast_against(design, "a", "n"), scenario_folds(design)
    sd = np.arange(1, d + 1) ** power
    shift, is_a = effect * sd * rng.choice([-1, 1], d) / np.sqrt(d), np.arange(2 * n) < n
    truth, found = [], []
    for _ in range(repeats):
        x = rng.normal(size=(2 * n, n_layers, d)) * sd + is_a[:, None, None] * shift
        x += np.tile(rng.normal(size=(n, n_layers, d)) * sd, (2, 1, 1))
        scores = held_out_scores(design, centre(x), contrast, folds)
        dimensions = np.full(n_layers, (sd**2).sum() ** 2 / (sd**4).sum())
        found.append(measure_separation(scores, x, design, contrast, folds, dimensions))
        truth += [new_prompts(x[:, layer], is_a, folds, shift, sd) for layer in range(n_layers)]
    for name, value in zip(
        ("d_prime_interval", "auroc_interval"), np.mean(truth, axis=0), strict=True
    ):
        low, high = np.stack([getattr(each, name) for each in found], axis=1)
        covered = ((low <= value) & (value <= high)).mean()
        assert 0.92 < covered < 0.997, (name, covered)


def new_prompts(
    x: np.ndarray, is_a: np.ndarray, folds: np.ndarray, shift: np.ndarray, sd: np.ndarray
) -> tuple[float, float]:
    """The d' and AUROC of prompts of other scenarios, scored by the directions of the folds."""
    here, there, variance = [], [], []
    for fold in range(5):
        a, n = (x[side & (folds != fold)].mean(axis=0) for side in (is_a, ~is_a))
        unit = (a - n) / np.linalg.norm(a - n)
        there.append(-unit @ (a + n) / 2)
        here.append(there[-1] + unit @ shift)
        variance.append(2 * (unit**2) @ sd**2)
    spread = np.mean(variance) + (np.var(here) + np.var(there)) / 2
    apart = np.subtract.outer(here, there) / np.sqrt(np.add.outer(variance, variance))
    return (np.mean(here) - np.mean(there)) / np.sqrt(spread), norm.cdf(apart).mean()


def test_an_interval_leaves_zero_out_in_five_percent_of_noise_and_never_lies_below() -> None:
    n, n_layers, d = 12, 400, 48
    design = design_of(["a"] * n + ["n"] * n, [str(i) for i in range(n)] * 2)
    contrast, folds = contrast_against(design, "a", "n"), scenario_folds(design)
    x = np.random.default_rng(6).normal(size=(2 * n, n_layers, d))
    found = measure_separation(
        held_out_scores(design, x, contrast, folds),
        x,
        design,
        contrast,
        folds,
        np.full(n_layers, 48.0),
    )
    for least, (low, high) in ((0, found.d_prime_interval), (0.5, found.auroc_interval)):
        assert 0.03 < (low > least).mean() < 0.07
        assert (high >= least).all()
    np.testing.assert_array_equal(found.d_prime_interval[0] > 0, found.auroc_interval[0] > 0.5)


def test_an_auroc_lies_in_its_interval_where_few_scores_decide_the_mean() -> None:
    # Three in ten scores of the emotion lie high, the others a little low: d' is above 0, and most
    # prompts are out of order.
    n, n_layers = 50, 60
    random = np.random.default_rng(3)
    design = design_of(["a"] * n + ["n"] * n, [str(i) for i in range(n)] * 2)
    contrast, folds = contrast_against(design, "a", "n"), scenario_folds(design)
    scores = 0.3 * random.normal(size=(n_layers, 2 * n))
    scores[:, :n] += np.where(random.random((n_layers, n)) < 0.3, 3.0, -0.3)
    x = scores.T[:, :, None]
    found = measure_separation(scores, x, design, contrast, folds, np.full(n_layers, 12.0))
    true = 0.3 * norm.cdf(3 / np.sqrt(0.18)) + 0.7 * norm.cdf(-0.3 / np.sqrt(0.18))
    low, high = found.auroc_interval
    assert (found.d_prime_interval[0] > 0).mean() > 0.5
    assert (low <= found.auroc).all()
    assert (found.auroc <= high).all()
    assert ((low <= true) & (true <= high)).mean() > 0.85


def test_classes_that_are_apart_have_an_interval_that_ends_at_one() -> None:
    x = features(effect=1.6)
    found = measured(held_out_scores(DESIGN, centre(x), A, FOLDS), x)
    assert found.auroc[1] == 1
    assert 0.97 < found.auroc_interval[0, 1] < found.auroc_interval[1, 1] == 1


def test_held_out_scores_of_noise_do_not_separate() -> None:
    aurocs = [
        measured(held_out_scores(DESIGN, centre(x), A, FOLDS), x).auroc
        for x in (features(seed, 0.0) for seed in range(60))
    ]
    error = np.std(aurocs) / np.sqrt(np.size(aurocs))
    assert abs(np.mean(aurocs) - 0.5) < 3 * error


def test_zero_direction_gives_nan_scores() -> None:
    x = np.ones((3 * N, 1, 4))
    scores = held_out_scores(DESIGN, centre(x), A, FOLDS)
    found = measured(scores, x)
    assert np.isnan(scores).all()
    assert np.isnan(found.auroc).all()
    assert np.isnan(found.d_prime_interval).all()
