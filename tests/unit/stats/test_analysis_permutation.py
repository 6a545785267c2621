from itertools import product

import numpy as np
import pytest
from scipy.stats import false_discovery_control, monte_carlo_test

from emoact.errors import RequestError
from emoact.stats.design import Design, contrast_against, design_of
from emoact.stats.directions.directions import contrast_direction
from emoact.stats.null.permutation import (
    adjust,
    max_statistic_test,
    permutation_p,
    permuted_strengths,
    prepare_relabellings,
)
from emoact.stats.null.relabelling import Labellings, relabellings
from emoact.stats.null.significance import judge_families
from emoact.stats.products import class_products, contrast_product
from emoact.stats.vectors import centre


def matched(n: int) -> Design:
    return design_of(["a"] * n + ["n"] * n, [str(i) for i in range(n)] * 2)


def test_a_draw_that_ties_with_the_observed_value_counts_as_scipy_counts_it() -> None:
    null, observed = np.array([1.0, 2.0, 2.0, 3.0, 0.0]), 2.0
    expected = monte_carlo_test(
        [observed],
        lambda size: null.reshape(size),
        lambda sample, axis: sample.sum(axis=axis),
        vectorized=True,
        n_resamples=len(null),
        alternative="greater",
    )
    assert permutation_p(null, observed) == pytest.approx(expected.pvalue)
    assert permutation_p(null, observed) == pytest.approx((1 + 3) / (1 + 5))


def test_swaps_stay_inside_scenarios() -> None:
    draws = relabellings(matched(10), "a", ("n",), 500)[:]
    assert draws[0].tolist() == [True] * 10 + [False] * 10
    assert (draws[:, :10] ^ draws[:, 10:]).all()
    assert draws[1:].mean(axis=0) == pytest.approx(np.full(20, 0.5), abs=0.12)


def test_prompts_without_scenarios_are_shuffled_as_wholes() -> None:
    draws = relabellings(design_of(["a"] * 6 + ["n"] * 9), "a", ("n",), 300)[:]
    assert (draws.sum(axis=1) == 6).all()
    assert (draws[1:].sum(axis=0) > 0).all()


def test_scenarios_of_one_class_exchange_their_labels_together() -> None:
    design = design_of(["a", "a", "n", "n", "a", "n"], ["x", "x", "y", "y", "z", "z"])
    for draw in relabellings(design, "a", ("n",), 100)[:]:
        assert draw[0] == draw[1]
        assert draw[2] == draw[3]
        assert draw[4] != draw[5]
        assert draw[0] != draw[2]


def test_no_permutation_is_refused() -> None:
    with pytest.raises(RequestError, match="at least 1"):
        relabellings(matched(3), "a", ("n",), 0)


def strengths_of(
    design: Design, x: np.ndarray, draws: Labellings, pool: np.ndarray | None = None
) -> np.ndarray:
    pool = np.ones(design.n_prompts, dtype=bool) if pool is None else pool
    return permuted_strengths(prepare_relabellings(design, draws, pool), centre(x)).squared


@pytest.mark.parametrize("width", [3, 40])
@pytest.mark.parametrize(
    "design",
    [
        matched(7),
        design_of(["a"] * 6 + ["n"] * 8),
        design_of(["a"] * 4 + ["n"] * 4, list("xxyzxyyz")),
        design_of(["a"] * 9 + ["n"] * 9, list("ttuuvwwwx") + list("tuuyyywwz")),
    ],
)
def test_strength_under_relabelling_is_that_of_relabelled_data(design: Design, width: int) -> None:
    x = np.random.default_rng(0).normal(size=(design.n_prompts, 2, width))
    draws = relabellings(design, "a", ("n",), 300, seed=1)
    pool = np.ones(design.n_prompts, dtype=bool)
    found = permuted_strengths(prepare_relabellings(design, draws, pool), centre(x))
    for number in (0, 1, 2, 150, 299):
        relabelled = design_of(
            ["a" if chosen else "n" for chosen in draws[:][number]],
            [str(s) for s in design.scenario_of],
        )
        contrast = contrast_against(relabelled, "a", "n")
        expected = contrast_product(class_products(relabelled, centre(x)).whole, contrast, contrast)
        np.testing.assert_allclose(found.squared[number], expected, rtol=1e-8, atol=1e-10)
        plain = contrast_direction(x, relabelled, contrast)
        np.testing.assert_allclose(found.plain[number], (plain**2).sum(axis=1), rtol=1e-8)


def test_p_agrees_with_all_sign_flips() -> None:
    n = 9
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2 * n, 1, 6))
    x[:n] += 0.35
    delta = x[:n, 0] - x[n:, 0]
    every = np.array([np.array(signs) @ delta for signs in product((-1, 1), repeat=n)])
    squares = (every**2).sum(axis=1)
    exact = np.mean(squares >= (delta.sum(axis=0) ** 2).sum() - 1e-9)
    design = matched(n)
    draws = relabellings(design, "a", ("n",), 20000)
    test = max_statistic_test(strengths_of(design, x, draws))
    assert test.p[0] == pytest.approx(exact, abs=4 * np.sqrt(exact / 20000) + 1e-4)


def test_relabellings_that_change_nothing_tie_and_never_convince() -> None:
    design = matched(1)
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    draws = relabellings(design, "a", ("n",), 1000)
    test = max_statistic_test(strengths_of(design, x, draws))
    assert np.isnan(test.p_family)
    # A reference of one prompt has no pair: its sums of rounding error are no strength of 0.
    lone = design_of(["a"] * 12 + ["n"], [str(i) for i in range(12)] + ["0"])
    x = np.random.default_rng(1).normal(size=(13, 2, 8))
    draws = relabellings(lone, "a", ("n",), 50)
    strengths = strengths_of(lone, x, draws)
    assert np.isnan(strengths).all()
    two = matched(2)
    strengths = strengths_of(
        two,
        np.random.default_rng(0).normal(size=(4, 1, 50)) + 9,
        relabellings(two, "a", ("n",), 1000),
    )
    assert max_statistic_test(strengths).p[0] > 0.4


def test_maximum_is_over_layers_of_one_size() -> None:
    rng = np.random.default_rng(2)
    strengths = rng.normal(size=(2001, 4))
    strengths[0] = [0.1, 0.0, -0.3, 3.5]
    scaled = strengths * np.array([1e6, 1.0, 1e-3, 1.0])
    np.testing.assert_allclose(
        max_statistic_test(scaled).p_max, max_statistic_test(strengths).p_max
    )
    test = max_statistic_test(scaled)
    assert test.p_max[3] < 0.01 < test.p_max[0]
    assert (test.p_max >= test.p).all()


def test_layer_that_is_not_finite_was_not_tested_and_one_that_never_varies_has_p_one() -> None:
    strengths = np.random.default_rng(0).normal(size=(101, 3))
    strengths[5, 0] = np.nan
    strengths[:, 1] = 0
    test = max_statistic_test(strengths)
    assert np.isnan([test.p[0], test.p_max[0]]).all()
    assert test.p_max[1] == 1
    assert np.isnan(test.z[:2]).all()
    assert np.isfinite(test.z[2])
    assert test.p_family == test.p_max[2]
    assert np.isnan(max_statistic_test(np.full((11, 2), np.nan)).p_family)


def test_effect_at_one_layer_does_not_make_the_others_significant() -> None:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(60, 3, 40))
    x[:30, 1] += 0.5
    design = matched(30)
    draws = relabellings(design, "a", ("n",), 1000)
    test = max_statistic_test(strengths_of(design, x, draws))
    assert test.p_max[1] == pytest.approx(1 / 1001)
    assert test.p_max[[0, 2]].min() > 0.05


def test_holm_by_hand_counts_a_family_that_was_not_tested_and_gives_it_no_p() -> None:
    found = adjust(np.array([0.01, 0.04, 0.03, 0.005]))
    np.testing.assert_allclose(found, [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(adjust(np.array([0.01, np.nan, 0.02])), [0.03, np.nan, 0.04])


def test_holm_is_never_below_benjamini_hochberg_nor_above_bonferroni() -> None:
    p = np.random.default_rng(0).random(20) ** 3
    adjusted = adjust(p)
    assert (adjusted >= false_discovery_control(p) - 1e-12).all()
    assert (adjusted <= np.minimum(1, 20 * p) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()


def test_families_join_sites_and_models() -> None:
    rng = np.random.default_rng(3)
    families = []
    for effect in (6.0, 0.0, 0.0):
        sites = {"resid_pre": rng.normal(size=(1001, 2)), "mlp_out": rng.normal(size=(1001, 3))}
        sites["mlp_out"][0, 1] += effect
        families.append(sites)
    found = judge_families(families)
    assert found[0].p_holm == pytest.approx(3 / 1001)
    layers = found[0].p_strong[found[0].columns["mlp_out"]]
    assert layers[1] == pytest.approx(3 / 1001)
    assert layers[[0, 2]].min() > 0.05
    assert found[1].p_holm >= found[0].p_holm
    for each in found:
        assert (each.p_strong >= each.p_holm - 1e-12).all()
