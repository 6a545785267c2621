import numpy as np
import pytest
from scipy import stats

from emoact.stats.design import contrast_against, design_of
from emoact.stats.directions.strength import (
    measure_strength,
    participation_ratio,
    square_interval,
    variance_of_pairs,
)
from emoact.stats.null.splits import scenario_halves
from emoact.stats.null.uncertainty import (
    bootstrap_counts,
    freedom_of,
    jackknife_se,
    percentile_interval,
    share_interval,
    sides_of,
    small_sample_interval,
)
from emoact.stats.products import (
    centred_gram,
    class_products,
    contrast_product,
    share_vectors,
    signed_root,
)
from emoact.stats.rank import auroc
from emoact.stats.vectors import centre
from tests.support.split_estimates import split_strength

N = 12
DESIGN = design_of(["a"] * N + ["b"] * N + ["n"] * N, [str(i) for i in range(N)] * 3)
A, B = contrast_against(DESIGN, "a", "n"), contrast_against(DESIGN, "b", "n")
FEATURES = np.random.default_rng(0).normal(size=(3 * N, 2, 9)).astype(np.float32)
GRAM, VECTORS = centred_gram(FEATURES), centre(FEATURES)


def exact_form(first: np.ndarray, second: np.ndarray) -> float:
    """Sum over s != t of delta_s . delta_t / (n (n - 1)), by two loops."""
    n = len(first)
    total = sum(first[s] @ second[t] for s in range(n) for t in range(n) if s != t)
    return float(total / (n * (n - 1)))


def deltas(layer: int, start: int, keep: np.ndarray | slice = slice(None)) -> np.ndarray:
    exact = FEATURES[:, layer].astype(np.float64)
    difference: np.ndarray = (exact[start : start + N] - exact[2 * N :])[keep]
    return difference


@pytest.mark.parametrize("layer", [0, 1])
def test_matched_product_is_the_exact_form(layer: int) -> None:
    products = class_products(DESIGN, VECTORS).whole
    da, db = deltas(layer, 0), deltas(layer, N)
    assert contrast_product(products, A, A)[layer] == pytest.approx(exact_form(da, da), rel=1e-9)
    assert contrast_product(products, A, B)[layer] == pytest.approx(exact_form(da, db), rel=1e-9)


def test_jackknife_leaves_one_scenario_out() -> None:
    replicates = contrast_product(class_products(DESIGN, VECTORS).left_out, A, A)
    for scenario in range(N):
        da = deltas(1, 0, np.arange(N) != scenario)
        assert replicates[scenario, 1] == pytest.approx(exact_form(da, da), rel=1e-9)


def test_unmatched_product_leaves_out_pairs_of_one_prompt_only() -> None:
    design = design_of(["a"] * 5 + ["n"] * 7)
    x = np.random.default_rng(1).normal(size=(12, 4))
    value = contrast_product(
        class_products(design, centre(x[:, None])).whole,
        contrast_against(design, "a", "n"),
        contrast_against(design, "a", "n"),
    )[0]
    a, n = x[:5], x[5:]
    expected = exact_form(a, a) + exact_form(n, n) - 2 * a.mean(0) @ n.mean(0)
    assert value == pytest.approx(expected, rel=1e-9)


def test_splits_approach_the_exact_form() -> None:
    exact = contrast_product(class_products(DESIGN, VECTORS).whole, A, A)
    halves = scenario_halves(DESIGN, 4000, seed=1)
    per_split = np.array([split_strength(DESIGN, GRAM, A, half[None]) for half in halves[:500]])
    error = per_split.std(axis=0) / np.sqrt(len(halves))
    assert (np.abs(split_strength(DESIGN, GRAM, A, halves) - exact) < 4 * error).all()


def test_plain_norms_agree_with_numpy() -> None:
    strength = measure_strength(share_vectors(DESIGN, FEATURES), DESIGN, A)
    direction = deltas(1, 0).mean(axis=0)
    assert strength.l1[1] == pytest.approx(np.linalg.norm(direction, 1), rel=1e-9)
    assert strength.l2[1] == pytest.approx(np.linalg.norm(direction), rel=1e-9)
    scale = np.median(np.linalg.norm(FEATURES[:, 1].astype(float), axis=1))
    assert strength.scale[1] == pytest.approx(scale, rel=1e-9)


def test_zero_direction_has_strength_zero_not_rounding() -> None:
    base = np.random.default_rng(3).normal(size=(N, 1, 9)).astype(np.float32)
    features = np.concatenate([base, base, base])
    strength = measure_strength(share_vectors(DESIGN, features), DESIGN, A)
    assert strength.squared[0] == 0
    assert strength.l2[0] == 0
    assert np.isnan(strength.top_share[0])


def test_one_scenario_has_plain_norms_but_nothing_cross_validated() -> None:
    design = design_of(["a", "n"], ["x", "x"])
    strength = measure_strength(
        share_vectors(design, FEATURES[:2]), design, contrast_against(design, "a", "n")
    )
    assert np.isfinite(strength.l2).all()
    assert np.isnan(strength.squared).all()
    assert np.isnan(strength.squared_se).all()


def test_signed_root_keeps_the_sign() -> None:
    np.testing.assert_allclose(signed_root(np.array([4.0, -9.0, 0.0])), [2, -3, 0])


def test_jackknife_error_of_a_mean_is_the_usual_one() -> None:
    x = np.random.default_rng(0).normal(size=30)
    left_out = np.array([np.delete(x, i).mean() for i in range(30)])
    assert jackknife_se(left_out) == pytest.approx(x.std(ddof=1) / np.sqrt(30), rel=1e-9)


def test_jackknife_error_tells_the_spread_of_the_strength() -> None:
    rng = np.random.default_rng(5)
    design = design_of(["a"] * 30 + ["n"] * 30, [str(i) for i in range(30)] * 2)
    contrast = contrast_against(design, "a", "n")
    squared, errors = [], []
    for _ in range(200):
        x = rng.normal(size=(60, 1, 20))
        x[:30] += 0.5
        strength = measure_strength(share_vectors(design, x), design, contrast)
        squared.append(strength.squared[0])
        errors.append(strength.squared_se[0])
    assert np.mean(errors) == pytest.approx(np.std(squared), rel=0.2)


def test_unmatched_classes_have_the_degrees_of_freedom_of_welch() -> None:
    rng = np.random.default_rng(4)
    wide, narrow = 3 * rng.normal(size=12), rng.normal(size=48)
    influence = np.concatenate(
        [(x - x.mean()) / np.sqrt(len(x) * (len(x) - 1)) for x in (wide, narrow)]
    )
    sides = np.stack([np.arange(60) < 12, np.arange(60) >= 12])
    welch = stats.ttest_ind(wide, narrow, equal_var=False).df
    assert freedom_of(influence, sides) == pytest.approx(welch)
    matched = np.ones((2, 60), dtype=bool)
    assert freedom_of(influence, matched) == pytest.approx(59)
    assert np.isfinite(freedom_of(influence[:11], matched[:, :11]))
    assert np.isnan(freedom_of(influence[:10], matched[:, :10]))


def test_bootstrap_draws_as_many_scenarios_as_there_are() -> None:
    design = design_of(["a"] * 10 + ["n"] * 6)
    counts = bootstrap_counts(design, 50, seed=2)
    assert (counts[:, :10].sum(axis=1) == 10).all()
    assert (counts[:, 10:].sum(axis=1) == 6).all()


def test_percentile_interval_leaves_nan_draws_out() -> None:
    draws = np.append(np.arange(101.0), np.nan)
    np.testing.assert_allclose(percentile_interval(draws), [2.5, 97.5])
    assert np.isnan(percentile_interval(np.full((3, 2), np.nan))).all()


@pytest.mark.parametrize("n", [6, 30])
def test_share_that_is_always_right_has_the_exact_lower_end(n: int) -> None:
    low, high = share_interval(np.ones(200), n, 2 * n)
    exact = stats.binomtest(n, n, alternative="greater").proportion_ci(method="exact")
    assert (low, high) == (pytest.approx(exact.low), exact.high)
    none = share_interval(np.zeros(200), n, 2 * n)
    assert none == pytest.approx([0, 1 - exact.low])
    # Less than half a scenario wrong is no better than none.
    once_wrong = share_interval(1 - np.arange(200) % 3 / 3 / n, n, 2 * n)
    assert once_wrong == pytest.approx([low, high])
    # A worse result has no higher lower end.
    assert share_interval(np.append(1 - 1 / n, np.ones(200)), n, 2 * n)[0] <= low


def test_shares_that_never_vary_have_an_interval() -> None:
    low, high = share_interval(np.full(200, 0.5), 10, 20)
    assert 0.38 < low < 0.4
    assert high == pytest.approx(1 - low)
    assert np.isnan(share_interval(np.full((3, 2), np.nan), np.zeros(2, int), 0)).all()
    assert np.isnan(share_interval(np.full(3, 0.5), 1, 2)).all()


def test_half_of_a_balanced_share_rests_on_the_scenarios_of_the_smaller_class() -> None:
    low, high = share_interval(np.ones(200), 60, 60, fewest=12)
    assert (low, high) == (pytest.approx(0.05 ** (1 / 12)), 1)
    assert np.isnan(share_interval(np.ones(200), 60, 60, fewest=1)).all()


@pytest.mark.parametrize("truth", [0.9, 0.97, 0.995])
def test_intervals_of_decisions_near_1_hold_their_share(truth: float) -> None:
    rng, n = np.random.default_rng(3), 25
    right = rng.random((n, 4000)) < truth
    draws = np.vstack([np.ones(n), rng.multinomial(n, np.full(n, 1 / n), 200)]) / n
    low, high = share_interval(draws @ right, n, n)
    assert np.mean((low <= truth) & (truth <= high)) >= 0.93


@pytest.mark.parametrize("n", [12, 25, 50])
@pytest.mark.parametrize("effect", [0.0, 2.2])
def test_intervals_of_an_auroc_hold_it_in_95_percent_of_data_sets(n: int, effect: float) -> None:
    rng, is_emotion = np.random.default_rng(1), np.arange(2 * n) < n
    design = design_of(["a"] * n + ["n"] * n, [str(i) for i in range(n)] * 2)
    draws = np.vstack([np.ones((1, n)), bootstrap_counts(design, 200)])[:, design.scenario_of]
    scores = rng.normal(size=(400, 2 * n)) + effect * is_emotion
    drawn = np.stack([auroc(each, is_emotion, draws) for each in scores], axis=1)
    low, high = share_interval(drawn, n, n**2, of_pairs=True)
    truth = stats.norm.cdf(effect / np.sqrt(2))
    assert 0.93 <= np.mean((low <= truth) & (truth <= high)) <= 0.98


def test_interval_of_few_scenarios_covers_the_mean_as_often_as_that_of_t() -> None:
    rng, n = np.random.default_rng(7), 8
    covered = 0
    for _ in range(400):
        x = rng.normal(size=n)
        drawn = x[rng.integers(n, size=(1000, n))].mean(axis=1)
        low, high = small_sample_interval(drawn[:, None], n)[:, 0]
        covered += int(low <= 0 <= high)
    assert 0.92 < covered / 400 < 0.98


def test_participation_ratio_counts_the_dimensions_of_a_direction() -> None:
    one, three = np.eye(6)[2] * -7, np.array([0, 2, 0, -2, 2, 0])
    # Squares 9 and 1: their sum squared is 100, the sum of their squares 82.
    uneven = np.array([3.0, 1, 0, 0, 0, 0])
    found = participation_ratio(np.stack([one, three, np.ones(6), uneven, np.zeros(6)]))
    np.testing.assert_allclose(found, [1, 3, 6, 100 / 82, np.nan], rtol=1e-12)
    # Normal entries have E d^4 = 3 (E d^2)^2: one third of the dimensions.
    noise = np.random.default_rng(3).normal(size=(1, 200_000))
    np.testing.assert_allclose(participation_ratio(noise), 200_000 / 3, rtol=0.02)


def test_ends_of_the_interval_are_the_squares_at_whose_variance_the_estimate_is_t_away() -> None:
    square, constant = np.array([-2.0, 0.3, 40.0]), np.array([1.0, 2.0, 3.0])
    slope, t = np.array([0.5, 0.0, 2.0]), np.array([2.0, 2.1, 2.2])
    ends = square_interval(square, constant, slope, t)
    np.testing.assert_allclose(
        np.abs(ends - square), t * np.sqrt(constant + slope * np.maximum(ends, 0)), rtol=1e-12
    )
    assert (ends[0] < square).all()
    assert (ends[1] > square).all()


@pytest.mark.parametrize("sizes", [(300, 300), (12, 48)])
def test_variance_of_pairs_is_that_of_the_square_without_an_effect(sizes: tuple[int, int]) -> None:
    """Of unmatched noise it is 2 tr(T^2), in expectation; 300 scenarios are summed in groups."""
    rng, (n, m) = np.random.default_rng(6), sizes
    design = design_of(["a"] * n + ["n"] * m)
    contrast = contrast_against(design, "a", "n")
    sd = np.linspace(0.5, 2, 8)
    wide = np.where(np.arange(n + m) < n, 3.0, 1.0)[:, None, None]
    x = wide * rng.normal(size=(n + m, 60, 8)) * sd
    found = variance_of_pairs(design, x, contrast, sides_of(design, contrast))
    covariance = 9 * sd**2 / n + sd**2 / m
    assert found.mean() == pytest.approx(2 * (covariance**2).sum(), rel=0.1)


@pytest.mark.parametrize("effect", [0.0, 0.2, 1.0])
@pytest.mark.parametrize(("power", "n"), [(0.0, 12), (-0.75, 25)])
def test_interval_of_the_square_covers_the_planted_one(effect: float, power: float, n: int) -> None:
    rng, d = np.random.default_rng(7), 30
    design = design_of(["a"] * n + ["n"] * n, [str(i) for i in range(n)] * 2)
    sd = np.arange(1, d + 1) ** power
    x = rng.normal(size=(2 * n, 600, d)) * sd
    x[:n] += effect * sd
    shared = share_vectors(design, x)
    low, high = measure_strength(
        shared, design, contrast_against(design, "a", "n")
    ).squared_interval
    truth = (effect * sd) @ (effect * sd)
    assert 0.93 <= ((low <= truth) & (truth <= high)).mean() <= 0.975
