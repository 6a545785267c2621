from itertools import combinations, permutations

import numpy as np
import pytest
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import pdist
from scipy.stats import rankdata, spearmanr
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression

from emoact.stats.across.directions import (
    carried_cosines,
    compare_raw,
    correlate_scores,
    held_out_procrustes,
    partial_ranks,
    relabelled_directions,
)
from emoact.stats.across.shared import MAX_SHARED, sampled_rows
from emoact.stats.across.similarity import (
    cka_matrices,
    rsa_matrices,
    similarity_map,
    similarity_test,
    u_centred,
    without_class_means,
)
from emoact.stats.design import contrast_against, design_of
from emoact.stats.directions.separation import held_out_scores
from emoact.stats.directions.stability import score_reliability
from emoact.stats.null.pairing import pairing_test, shuffled_pairings
from emoact.stats.null.relabelling import relabellings
from emoact.stats.null.splits import scenario_folds, scenario_halves
from emoact.stats.products import centred_gram
from emoact.stats.rank import spearman, unit_ranks
from emoact.stats.vectors import centre

N = 25
LABELS = ("a", "b", "n")
DESIGN = design_of([label for label in LABELS for _ in range(N)], [str(i) for i in range(N)] * 3)
A = contrast_against(DESIGN, "a", "n")
FOLDS = scenario_folds(DESIGN)
RNG = np.random.default_rng(0)


def song_hsic(k: np.ndarray, h: np.ndarray) -> float:
    """Equation 5 of Song et al. 2012, written out."""
    n = len(k)
    k, h = k - np.diag(np.diag(k)), h - np.diag(np.diag(h))
    one = np.ones(n)
    return float(
        (
            np.trace(k @ h)
            + (one @ k @ one) * (one @ h @ one) / ((n - 1) * (n - 2))
            - 2 / (n - 2) * (one @ k @ h @ one)
        )
        / (n * (n - 3))
    )


def gram(x: np.ndarray) -> np.ndarray:
    return centred_gram(x[:, None])


def unbiased_cka(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return similarity_map(cka_matrices(first), cka_matrices(second))


def test_cka_agrees_with_the_direct_formula() -> None:
    x, y = RNG.normal(size=(30, 8)), RNG.normal(size=(30, 5))
    y[:, :3] += x[:, :3]
    k, h = x @ x.T, y @ y.T
    expected = song_hsic(k, h) / np.sqrt(song_hsic(k, k) * song_hsic(h, h))
    assert unbiased_cka(gram(x), gram(y))[0, 0] == pytest.approx(expected, abs=1e-10)


def test_unbiased_hsic_is_the_mean_over_quadruples() -> None:
    x, y = RNG.normal(size=(7, 3)), RNG.normal(size=(7, 2))
    k, h = u_centred(gram(x))[0], u_centred(gram(y))[0]
    kx, hy = x @ x.T, y @ y.T
    values = []
    for quadruple in combinations(range(7), 4):
        for i, j, q, r in permutations(quadruple):
            values.append(kx[i, j] * (hy[i, j] + hy[q, r] - 2 * hy[i, q]))
    assert (k * h).sum() / (7 * 4) == pytest.approx(np.mean(values), rel=1e-9)


def test_cka_sees_a_stretched_axis() -> None:
    x = RNG.normal(size=(40, 6))
    assert unbiased_cka(gram(x), gram(x @ np.diag([1, 1, 1, 1, 1, 20.0])))[0, 0] < 0.9


def test_cka_needs_four_prompts_and_variance() -> None:
    assert np.isnan(unbiased_cka(gram(np.eye(3)), gram(np.eye(3)))).all()
    assert np.isnan(unbiased_cka(gram(np.ones((6, 2))), gram(RNG.normal(size=(6, 2))))).all()


def test_class_means_leave_the_gram() -> None:
    x = RNG.normal(size=(3 * N, 4)) + 10 * DESIGN.label_of[:, None]
    residual = x - np.stack([x[DESIGN.label_of == i].mean(0) for i in DESIGN.label_of])
    np.testing.assert_allclose(
        without_class_means(gram(x), DESIGN.label_of)[0], residual @ residual.T, atol=1e-8
    )


def test_rsa_agrees_with_scipy() -> None:
    x, y = RNG.normal(size=(2, 20, 6))
    y += 0.5 * x
    expected = spearmanr(pdist(x - x.mean(0), "cosine"), pdist(y - y.mean(0), "cosine")).statistic
    assert similarity_map(rsa_matrices(gram(x)), rsa_matrices(gram(y)))[0, 0] == pytest.approx(
        expected, abs=1e-10
    )


def test_spearman_agrees_with_scipy_ties_included() -> None:
    x, y = np.round(RNG.normal(size=(2, 40)), 1)
    assert spearman(x, y) == pytest.approx(spearmanr(x, y).statistic, abs=1e-12)


def test_partial_spearman_regresses_ranks_on_labels() -> None:
    x, y = RNG.normal(size=(2, 60)) + 3 * (np.arange(60) % 3)
    groups = np.arange(60) % 3
    dummies = np.eye(3)[groups]
    residuals = [
        (ranks := rankdata(v)) - LinearRegression().fit(dummies, ranks).predict(dummies)
        for v in (x, y)
    ]
    expected = np.corrcoef(*residuals)[0, 1]
    assert unit_ranks(x, groups) @ unit_ranks(y, groups) == pytest.approx(expected, abs=1e-10)


def test_correlation_of_what_does_not_vary_is_nan() -> None:
    assert np.isnan(spearman(np.ones(5), np.arange(5.0)))
    assert np.isnan(spearman(np.array([1, 2, np.nan]), np.arange(3.0)))


def test_pairings_stay_inside_classes() -> None:
    pairings = shuffled_pairings(DESIGN.label_of, 50)
    assert (DESIGN.label_of[pairings] == DESIGN.label_of).all()
    assert (np.sort(pairings, axis=1) == np.arange(3 * N)).all()


def test_pairing_test_counts_the_draws_that_reach_the_value() -> None:
    null = np.random.default_rng(1).normal(size=(999, 3)) * [1, 5, 1] + [0, 3, 0]
    value = np.array([4.0, 3.0, np.nan])
    found = pairing_test(value, null)
    assert found.p[0] == pytest.approx((1 + (null[:, 0] >= 4).sum()) / 1000)
    assert found.p_max[0] < 0.01
    assert found.p_max[1] > 0.5
    assert np.isnan(found.p[2])
    assert found.null_mean[1] == pytest.approx(null[:, 1].mean())


@pytest.mark.parametrize("matrices", [cka_matrices, rsa_matrices])
def test_classes_alone_are_not_significant_but_shared_prompts_are(matrices) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(3)
    means = rng.normal(size=(3, 10)) * 3
    x, y = (means[DESIGN.label_of] + rng.normal(size=(3 * N, 10)) for _ in range(2))
    pairings = shuffled_pairings(DESIGN.label_of, 99)
    here = matrices(gram(x))
    alone = similarity_test(here, matrices(gram(y)), pairings)
    assert alone.value[0] > 0.4
    assert alone.p[0] > 0.05
    near = gram(x + 0.3 * rng.normal(size=x.shape))
    shared = similarity_test(here, matrices(near), pairings)
    assert shared.p[0] == pytest.approx(0.01)


def test_procrustes_agrees_with_scipy_and_scikit_learn() -> None:
    x, y = RNG.normal(size=(3 * N, 9)), RNG.normal(size=(3 * N, 7))
    y[:, :7] += x[:, :7]
    test = FOLDS == 0
    spaces = [PCA(7).fit(v[~test]) for v in (x, y)]
    left, right = (space.transform(v) for space, v in zip(spaces, (x, y), strict=True))
    rotation, _ = orthogonal_procrustes(left[~test], right[~test])
    a, n = test & (DESIGN.label_of == 0), test & (DESIGN.label_of == 2)
    carried = (left[a].mean(0) - left[n].mean(0)) @ rotation
    target = right[a].mean(0) - right[n].mean(0)
    expected = carried @ target / np.linalg.norm(carried) / np.linalg.norm(target)
    found = carried_cosines(gram(x)[0], gram(y)[0], DESIGN, A[None], test)
    assert found[0, 0] == pytest.approx(expected, abs=1e-8)


def test_procrustes_finds_a_rotated_model() -> None:
    x = RNG.normal(size=(3 * N, 20))
    x[:N, 0] += 2
    rotated = x @ np.linalg.qr(RNG.normal(size=(20, 20)))[0]
    found = held_out_procrustes(gram(x)[0], gram(rotated)[0], DESIGN, A[None], FOLDS, n_draws=19)
    assert found[0, 0] == pytest.approx(1, abs=1e-8)
    assert found[1:, 0].max() < 0.9


def test_procrustes_of_nothing_is_nan() -> None:
    same = np.zeros((3 * N, 3 * N))
    assert np.isnan(held_out_procrustes(same, same, DESIGN, A[None], FOLDS)).all()


def latent_models(noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two models of other widths that see the same graded emotion in each prompt."""
    rng = np.random.default_rng(seed)
    n = 60
    degree = np.concatenate([2 + rng.normal(size=n), rng.normal(size=n)])
    return tuple(  # type: ignore[return-value]
        np.outer(degree, rng.normal(size=d)) + noise * rng.normal(size=(2 * n, d)) for d in (30, 50)
    )


PAIR = design_of(["a"] * 60 + ["n"] * 60, [str(i) for i in range(60)] * 2)


def corrected(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    contrast = contrast_against(PAIR, "a", "n")
    folds, halves = scenario_folds(PAIR), scenario_halves(PAIR, 10)
    ranks, reliabilities = [], []
    for v in (x, y):
        scores = held_out_scores(PAIR, centre(v[:, None]), contrast, folds)
        ranks.append(partial_ranks(scores, PAIR, contrast))
        reliabilities.append(score_reliability(PAIR, centre(v[:, None]), contrast, folds, halves))
    found = correlate_scores(ranks[0], ranks[1], reliabilities[0], reliabilities[1])
    return float(found.raw[0, 0]), float(found.ceiling[0, 0]), float(found.corrected[0, 0])


def test_score_correlation_sees_what_labels_do_not_explain() -> None:
    raw, ceiling, value = corrected(*latent_models(0.3, 0))
    assert raw > 0.9
    assert 0.9 < ceiling <= 1
    assert value == pytest.approx(raw / ceiling)


def test_reliability_is_that_of_held_out_scores_from_disjoint_halves() -> None:
    x, _ = latent_models(1.0, 7)
    contrast = contrast_against(PAIR, "a", "n")
    folds, halves = scenario_folds(PAIR), scenario_halves(PAIR, 4)
    correlations = []
    for half in halves:
        scores = np.empty((2, 120))
        for row, side in enumerate((half, ~half)):
            for fold in range(5):
                train = side[PAIR.scenario_of] & (folds != fold)
                here, there = x[train & (PAIR.label_of == 0)], x[train & (PAIR.label_of == 1)]
                d = here.mean(0) - there.mean(0)
                middle = (here.mean(0) + there.mean(0)) / 2
                scores[row, folds == fold] = (x[folds == fold] - middle) @ d / np.linalg.norm(d)
        residuals = [
            (ranks := rankdata(v)) - [ranks[PAIR.label_of == g].mean() for g in PAIR.label_of]
            for v in scores
        ]
        correlations.append(np.corrcoef(*residuals)[0, 1])
    r = np.mean(correlations)
    found = score_reliability(PAIR, centre(x[:, None]), contrast, folds, halves)
    assert found[0] == pytest.approx(2 * r / (1 + r), rel=1e-9)


def test_score_correlation_of_models_that_share_labels_only_is_zero() -> None:
    raw = [
        corrected(latent_models(0.3, 2 * seed)[0], latent_models(0.3, 2 * seed + 1)[1])[0]
        for seed in range(40)
    ]
    assert abs(np.mean(raw)) < 3 * np.std(raw) / np.sqrt(40)


def test_unreliable_scores_have_no_corrected_correlation() -> None:
    found = correlate_scores(
        np.ones((1, 4)) / 2, np.ones((1, 4)) / 2, np.array([np.nan]), np.array([0.5])
    )
    assert np.isnan(found.corrected).all()
    assert found.raw[0, 0] == 1


def test_raw_cosine_band_covers_noise_of_a_steep_spectrum() -> None:
    rng = np.random.default_rng(4)
    sd = np.arange(1, 65) ** -1.0
    n, outside, wide = 40, 0, 0
    design = design_of(["a"] * n + ["n"] * n, [str(i) for i in range(n)] * 2)
    pool = np.ones(2 * n, dtype=bool)
    for seed in range(60):
        x, y = rng.normal(size=(2, 2 * n, 1, 64)) * sd
        nulls = [
            relabelled_directions(v, relabellings(design, "a", ("n",), 200, seed=s)[:], pool)
            for v, s in ((x, seed), (y, seed + 1000))
        ]
        found = compare_raw(nulls[0][0], nulls[1][0], nulls[0][1:], nulls[1][1:])
        outside += int(not found.band[0, 0] <= found.value[0] <= found.band[1, 0])
        wide += int(found.band[1, 0] > 1.5 * found.isotropic)
    assert outside <= 60 * 0.05 + 3 * np.sqrt(60 * 0.05 * 0.95)
    assert wide == 60


def test_of_many_shared_prompts_whole_scenarios_of_every_class_are_taken() -> None:
    n = 450
    many = design_of([label for label in LABELS for _ in range(n)], [str(i) for i in range(n)] * 3)
    rows = sampled_rows(many)
    assert MAX_SHARED / 2 < len(rows) <= MAX_SHARED
    taken = many.take(np.isin(np.arange(3 * n), rows))
    assert (taken.counts == 1).all()
    assert sampled_rows(DESIGN) == list(range(DESIGN.n_prompts))
    # Scenarios of more prompts than may be taken: prompts are drawn one by one.
    large = design_of(["a"] * 3000, ["first"] * 1500 + ["second"] * 1500)
    drawn = sampled_rows(large, most=1000)
    assert len(set(drawn)) == len(drawn) == 1000
    assert set(large.scenario_of[drawn]) == {0, 1}
