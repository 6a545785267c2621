"""Error rates and power of the verdict "significant" on planted data.

A count of false alarms is compared with the largest that a rate of 7 % gives in 999 of 1000 cases.
"""

import dataclasses
import importlib
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom, ttest_rel

from emoact.stats.design import Design, contrast_against, design_of
from emoact.stats.directions.contrast import make_contrast
from emoact.stats.distances.distances import LARGEST_SE, EmotionPair, measure_pair
from emoact.stats.full import analyse_grid
from emoact.stats.null.permutation import (
    max_statistic_test,
    permuted_statistics,
    permuted_strengths,
    prepare_relabellings,
)
from emoact.stats.null.relabelling import relabellings
from emoact.stats.null.significance import judge_families
from emoact.stats.products import class_products, contrast_product, inverse_noise, share_vectors
from emoact.stats.vectors import centre, inverse_sd
from tests.support.planted_features import QUICK, noise, units_of


def allowed(n: int, rate: float = 0.07) -> int:
    return int(binom.ppf(0.999, n, rate))


def statistics(design: Design, x: np.ndarray, n_draws: int = 300, seed: int = 0) -> np.ndarray:
    vectors = centre(x)
    pool = np.ones(design.n_prompts, dtype=bool)
    plan = prepare_relabellings(design, relabellings(design, "a", ("n",), n_draws, seed=seed), pool)
    return permuted_statistics(plan, vectors, inverse_sd(vectors.std(axis=0)))


def matched(n: int) -> Design:
    return design_of(["a"] * n + ["n"] * n, [str(i) for i in range(n)] * 2)


def test_three_rogue_dimensions_do_not_hide_an_effect_that_a_probe_finds() -> None:
    n, found = 50, []
    for seed in range(20):
        x = np.concatenate([noise([1, seed, k], n, rogue=3) for k in range(2)])
        x[:n, :, 3:] += 0.25
        found.append(max_statistic_test(statistics(matched(n), x)).p[0])
    # A direction of norm 1.5 in unit noise: a probe is right in about 78 %.
    assert np.mean(np.array(found) <= 0.05) >= 0.9


def test_effect_along_one_dimension_does_not_hide_itself_in_its_own_noise() -> None:
    x = noise([2], 24, width=10)
    x[:12, :, 0] += 5
    assert max_statistic_test(statistics(matched(12), x, 2000)).p[0] < 0.002


@pytest.mark.parametrize(("n", "tolerance"), [(15, 1e-8), (600, 1e-4)])
def test_statistic_of_matched_scenarios_is_the_mean_of_squared_paired_t(
    n: int, tolerance: float
) -> None:
    x = noise([3], 2 * n, layers=2, width=7, rogue=2)
    found = statistics(matched(n), x)[0]
    for layer in range(2):
        t = ttest_rel(x[:n, layer], x[n:, layer]).statistic
        assert found[layer] == pytest.approx(np.mean(t**2), rel=tolerance)


@pytest.mark.parametrize(
    ("n_wide", "n_narrow", "width"), [(10, 50, 20), (10, 50, 60), (50, 10, 20)]
)
def test_unmatched_classes_of_unequal_size_and_spread_keep_the_level(
    n_wide: int, n_narrow: int, width: int
) -> None:
    design = design_of(["a"] * n_wide + ["n"] * n_narrow)
    alarms = 0
    for seed in range(150):
        x = noise([4, n_wide, width, seed], 60, width=width)
        x[:n_wide] *= 3
        alarms += int(max_statistic_test(statistics(design, x, 200, seed)).p_family <= 0.05)
    assert alarms <= allowed(150)


def test_one_real_layer_in_each_of_nine_families_makes_no_other_layer_significant() -> None:
    alarms = 0
    for seed in range(300):
        rng = np.random.default_rng([7, seed])
        families = []
        for _ in range(9):
            drawn = rng.normal(size=(1001, 5))
            drawn[0, 0] += 10
            families.append({"resid_pre": drawn})
        judged = judge_families(families)
        assert all(each.p_strong[0] <= 0.05 for each in judged)
        alarms += any((each.p_strong[1:] <= 0.05).any() for each in judged)
    assert alarms <= allowed(300)


def test_crossnobis_is_the_mean_over_pairs_of_scenarios() -> None:
    n = 9
    x = noise([8], 3 * n, width=6)
    design = design_of(["a"] * n + ["b"] * n + ["n"] * n, [str(i) for i in range(n)] * 3)
    vectors = centre(x)
    scale = inverse_noise(design, vectors)
    contrast = contrast_against(design, "a", "n")
    whole = class_products(design, vectors * scale).whole
    # Two-way residuals by hand: without the means of class and scenario.
    cube = x[:, 0].reshape(3, n, 6)
    residual = cube - cube.mean(axis=0) - cube.mean(axis=1, keepdims=True) + cube.mean(axis=(0, 1))
    variance = (residual**2).sum(axis=(0, 1)) / (2 * (n - 1))
    np.testing.assert_allclose(scale[0], variance**-0.5, rtol=1e-8)
    delta = cube[0] - cube[2]
    pairs = [delta[s] / variance @ delta[t] for s in range(n) for t in range(n) if s != t]
    assert contrast_product(whole, contrast, contrast)[0] == pytest.approx(np.mean(pairs), rel=1e-8)


def test_crossnobis_agrees_with_rsatoolbox() -> None:
    rsatoolbox: Any = importlib.import_module("rsatoolbox")
    n, names = 9, ("a", "b", "n")
    x = noise([9], 3 * n, width=6)
    scenarios = [str(i) for i in range(n)] * 3
    design = design_of([name for name in names for _ in range(n)], scenarios)
    vectors = centre(x)
    scale = inverse_noise(design, vectors)
    dataset = rsatoolbox.data.Dataset(
        x[:, 0],
        obs_descriptors={"label": [name for name in names for _ in range(n)], "run": scenarios},
    )
    found = rsatoolbox.rdm.calc_rdm(
        dataset,
        method="crossnobis",
        descriptor="label",
        noise=np.diag(scale[0] ** 2),
        cv_descriptor="run",
    ).get_matrices()[0]
    whole = class_products(design, vectors * scale).whole
    contrast = contrast_against(design, "a", "n")
    expected = contrast_product(whole, contrast, contrast)[0]
    assert found[0, 2] * 6 == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("scenarios", [True, False])
def test_names_of_labels_and_order_of_files_and_prompts_change_no_p_value(scenarios: bool) -> None:
    classes = {name: noise([10, k], 9, layers=2, width=6) for k, name in enumerate("xyn")}
    classes["x"][:, 1] += 0.7
    settings = dataclasses.replace(QUICK, neutral="n")
    units = units_of(classes, scenarios=scenarios)
    before = analyse_grid(units, settings, workers=1).tables["strength"]
    names = {"x": "zebra", "y": "aardvark", "n": "n"}
    moved = []
    for unit in reversed(units):
        order = np.random.default_rng(0).permutation(len(unit.prompts))
        moved.append(
            dataclasses.replace(
                unit,
                emotion=names[unit.emotion],
                prompts=tuple(unit.prompts[i] for i in order),
                sites={site: pooled[order] for site, pooled in unit.sites.items()},
            )
        )
    after = analyse_grid(moved, settings, workers=1).tables["strength"]
    key = ["emotion", "layer"]
    before = before.assign(emotion=before["emotion"].map(names)).sort_values(key)
    after = after.sort_values(key)
    for column in ("p", "p_max", "p_strong", "auroc", "reliability", "null_high"):
        np.testing.assert_allclose(after[column], before[column], rtol=1e-9, atol=1e-12)


def distances(classes: dict[str, np.ndarray]) -> pd.DataFrame:
    return analyse_grid(units_of(classes), QUICK, workers=1).tables["distances"]


def test_without_an_emotion_almost_no_cosine_is_shown() -> None:
    grids = 0
    for seed in range(40):
        classes = {
            name: noise([11, seed, k], 12, layers=2, width=8)
            for k, name in enumerate(("joy", "anger", "neutral"))
        }
        table = distances(classes)
        grids += int(table["cv_cosine"].notna().any())
        assert ((table["cv_status"] == "shown") == table["cv_cosine"].notna()).all()
    assert grids <= allowed(40, 0.05)


def test_opposite_weak_directions_are_not_read_as_alike() -> None:
    shown = []
    for seed in range(12):
        classes = {
            name: noise([12, seed, k], 50, width=100)
            for k, name in enumerate(("joy", "anger", "neutral"))
        }
        classes["joy"][:, :, 0] += 0.5
        classes["anger"][:, :, 0] -= 0.5
        shown += distances(classes)["cv_cosine"].dropna().tolist()
    assert all(value < 0 for value in shown)


def test_weak_directions_in_steep_noise_show_no_cosine_of_their_shared_reference() -> None:
    n, width, read = 25, 48, []
    sd = np.arange(1, width + 1) ** -0.75
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(width, 2)))[0].T
    effects = 0.35 * np.array([[1, 0], [-0.5, np.sqrt(0.75)], [0, 0]]) @ basis
    design = design_of(
        np.repeat(["joy", "anger", "neutral"], n).tolist(), [*map(str, range(n))] * 3
    )
    first, second = (make_contrast(design, name, QUICK) for name in ("joy", "anger"))
    for seed in range(60):
        x = noise([14, seed], 3 * n, width=width) * sd + effects.repeat(n, axis=0)[:, None]
        pair = EmotionPair(first=first, second=second, groups=None)
        found = measure_pair(pair, design, share_vectors(design, x.astype(np.float32)))
        if found.cv_se[0] <= LARGEST_SE and np.isfinite(found.cv_cosine[0]):
            read.append((found.cv_cosine[0] + 0.5) / found.cv_se[0])
    # Their cosine is -.5. Where the reference makes both long, it also makes them alike.
    assert sum(error > 1.96 for error in read) <= 1


def test_opposite_strong_directions_are_shown_and_opposite() -> None:
    classes = {
        name: noise([13, k], 40, width=10) for k, name in enumerate(("joy", "anger", "neutral"))
    }
    classes["joy"][:, :, 0] += 3
    classes["anger"][:, :, 0] -= 3
    (row,) = distances(classes).itertuples()
    assert row.cv_status == "shown"
    assert row.cv_cosine == pytest.approx(-1, abs=0.1)
    assert row.cv_normalised == pytest.approx(-1, abs=0.1)
    assert math.isfinite(row.cv_se)


def jackknifed_cosine(classes: dict[str, np.ndarray]) -> tuple[float, float]:
    """Cosine from products of different scenarios, and its standard error over scenarios."""
    joy, anger, neutral = (classes[name][:, 0] for name in ("joy", "anger", "neutral"))

    def cosine(kept: np.ndarray) -> float:
        def product(a: np.ndarray, b: np.ndarray) -> float:
            return float(a[kept].sum(axis=0) @ b[kept].sum(axis=0) - (a[kept] * b[kept]).sum())

        first, second = joy - neutral, anger - neutral
        with np.errstate(invalid="ignore"):
            length = np.sqrt(product(first, first) * product(second, second))
        return float(product(first, second) / length)

    n = len(joy)
    left_out = np.array([cosine(np.arange(n) != scenario) for scenario in range(n)])
    return cosine(np.ones(n, dtype=bool)), float(np.sqrt((n - 1) * left_out.var()))


def firm(classes: dict[str, np.ndarray]) -> bool:
    """Squares of both directions are 1.96 of their standard errors above 0."""
    for name in ("joy", "anger"):
        own = (classes[name] - classes["neutral"])[:, 0]
        n = len(own)
        gram = own @ own.T
        np.fill_diagonal(gram, 0)
        # Over ordered pairs of different scenarios, and with each scenario left out.
        square = gram.sum() / (n * (n - 1))
        left_out = (gram.sum() - 2 * gram.sum(axis=1)) / ((n - 1) * (n - 2))
        if square <= 1.96 * np.sqrt((n - 1) * left_out.var()):
            return False
    return True


def test_significant_directions_whose_cosine_is_too_uncertain_show_none() -> None:
    """Many small dimensions make both significant; one noisy dimension decides the cosine."""
    statuses = []
    for seed, size in ((0, 5), (2, 6), (4, 6), (1, 5), (5, 6), (2, 7), (5, 10), (7, 10)):
        classes = {
            name: noise([16, seed, k], 30, width=40)
            for k, name in enumerate(("joy", "anger", "neutral"))
        }
        for name, x in classes.items():
            x[:, :, 1:] += 0.5 * (name != "neutral")
            x[:, :, 0] *= size
        (row,) = distances(classes).itertuples()
        value, se = jackknifed_cosine(classes)
        statuses.append(row.cv_status)
        shown = se <= 0.5 and firm(classes)
        assert row.cv_status == ("shown" if shown else "no_interval")
        assert row.cv_cosine == pytest.approx(value if shown else math.nan, nan_ok=True)
        assert math.isnan(row.cv_se) or row.cv_se == pytest.approx(se, rel=1e-5)
    # The standard errors are .05, .42, .22; .11, .22, both beside a square that is not firm; .58,
    # 1.5 and not a number.
    assert statuses == ["shown"] * 3 + ["no_interval"] * 5


def test_unequal_spread_without_scenarios_is_a_finding_with_its_figures() -> None:
    classes = {"joy": 3 * noise([14], 10, width=8), "neutral": noise([15], 40, width=8)}
    found = analyse_grid(units_of(classes, scenarios=False), QUICK, workers=1).findings
    (finding,) = (each for each in found if each.code == "unequal_spread")
    assert "joy has 10 prompts" in finding.message
    assert "neutral 40 prompts" in finding.message
    same = {"joy": noise([14], 10, width=8), "neutral": noise([15], 40, width=8)}
    codes = {f.code for f in analyse_grid(units_of(same, scenarios=False), QUICK).findings}
    assert "unequal_spread" not in codes
    assert "no_scenarios" in codes


def test_figures_do_not_depend_on_the_form_in_which_sums_are_taken() -> None:
    # Dimensions of zero change no inner product, and make few rows the cheaper coordinates.
    design = matched(8)
    x = noise([16], 16, width=3)
    wide = np.concatenate([x, np.zeros((16, 1, 200))], axis=2)
    draws = relabellings(design, "a", ("n",), 400)
    plan = prepare_relabellings(design, draws, np.ones(16, dtype=bool))
    narrow, padded = (permuted_strengths(plan, centre(each)) for each in (x, wide))
    np.testing.assert_allclose(padded.squared, narrow.squared, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(padded.plain, narrow.plain, rtol=1e-8)
