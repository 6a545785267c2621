import numpy as np
import pytest

from emoact.errors import RequestError
from emoact.stats.design import Design, contrast_against, design_of
from emoact.stats.directions.stability import (
    leave_one_out_cosines,
    pairwise_difference_cosine,
    split_half_cosines,
    split_half_null,
)
from emoact.stats.null.permutation import Relabellings, prepare_relabellings
from emoact.stats.null.relabelling import relabellings
from emoact.stats.null.splits import scenario_halves
from emoact.stats.vectors import centre

N = 8
DESIGN = design_of(["a"] * N + ["n"] * N, [str(i) for i in range(N)] * 2)
A = contrast_against(DESIGN, "a", "n")
X = np.random.default_rng(0).normal(size=(2 * N, 2, 5))
VECTORS = centre(X)


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def test_split_half_is_the_cosine_of_disjoint_halves() -> None:
    halves = scenario_halves(DESIGN, 5)
    found = split_half_cosines(DESIGN, VECTORS, A, halves)
    for row, half in enumerate(halves):
        first, second = (
            X[np.flatnonzero(side), 1].mean(0) - X[N + np.flatnonzero(side), 1].mean(0)
            for side in (half, ~half)
        )
        assert found[row, 1] == pytest.approx(cosine(first, second), rel=1e-9)


def relabelled(design: Design, n_draws: int) -> Relabellings:
    draws = relabellings(design, "a", ("n",), n_draws, seed=3)
    return prepare_relabellings(design, draws, np.ones(design.n_prompts, dtype=bool))


def test_null_of_split_half_is_its_mean_over_splits_with_other_labels() -> None:
    halves, plan = scenario_halves(DESIGN, 20), relabelled(DESIGN, 30)
    found = split_half_null(DESIGN, VECTORS, plan, halves)
    scenario = np.array(DESIGN.scenario_of)
    for draw, chosen in enumerate(plan.chosen[1:]):
        cosines = []
        for half in halves:
            first, second = (
                X[chosen & side[scenario], 1].mean(0) - X[~chosen & side[scenario], 1].mean(0)
                for side in (half, ~half)
            )
            cosines.append(cosine(first, second))
        assert found[draw, 1] == pytest.approx(np.mean(cosines), rel=1e-9)


@pytest.mark.parametrize("n", [12, 48])
def test_split_half_without_an_emotion_lies_in_its_null_band_in_95_of_100_data_sets(n: int) -> None:
    """Three dimensions hold most of the variance; 48 scenarios are split by groups."""
    design = design_of(["a"] * n + ["n"] * n, [str(i) for i in range(n)] * 2)
    contrast, halves = contrast_against(design, "a", "n"), scenario_halves(design, 100)
    plan, outside, widths = relabelled(design, 100), 0, []
    for seed in range(100):
        scale = np.where(np.arange(8) < 3, 10.0, 1.0)
        x = centre(np.random.default_rng([5, seed]).normal(size=(2 * n, 1, 8)) * scale)
        low, high = np.quantile(split_half_null(design, x, plan, halves), (0.025, 0.975))
        mean = split_half_cosines(design, x, contrast, halves).mean()
        outside += int(not low <= mean <= high)
        widths.append(high)
    assert outside <= 14
    # Such a cosine is no evidence of a direction.
    assert np.mean(widths) > 0.5


def test_leave_one_out_leaves_the_whole_scenario_out() -> None:
    found = leave_one_out_cosines(DESIGN, VECTORS, A)
    whole = X[:N, 0].mean(0) - X[N:, 0].mean(0)
    for scenario in range(N):
        keep = np.arange(N) != scenario
        part = X[:N, 0][keep].mean(0) - X[N:, 0][keep].mean(0)
        assert found[scenario, 0] == pytest.approx(cosine(whole, part), rel=1e-9)


def test_pairwise_is_the_mean_over_pairs_of_differences() -> None:
    deltas = X[:N, 1] - X[N:, 1]
    pairs = [cosine(deltas[s], deltas[t]) for s in range(N) for t in range(s)]
    assert pairwise_difference_cosine(DESIGN, VECTORS, A)[1] == pytest.approx(np.mean(pairs))


def test_difference_of_zero_is_left_out_of_the_pairs() -> None:
    x = X.copy()
    x[0] = x[N]
    deltas = (x[:N, 0] - x[N:, 0])[1:]
    pairs = [cosine(deltas[s], deltas[t]) for s in range(N - 1) for t in range(s)]
    assert pairwise_difference_cosine(DESIGN, centre(x), A)[0] == pytest.approx(np.mean(pairs))


def test_everything_alike_is_nan_without_a_crash() -> None:
    vectors = centre(np.ones((2 * N, 1, 4)))
    assert np.isnan(split_half_cosines(DESIGN, vectors, A, scenario_halves(DESIGN, 2))).all()
    assert np.isnan(leave_one_out_cosines(DESIGN, vectors, A)).all()
    assert np.isnan(pairwise_difference_cosine(DESIGN, vectors, A)).all()


def test_pairs_need_a_scenario_of_both_classes() -> None:
    design = design_of(["a", "n"])
    with pytest.raises(RequestError, match="no scenario"):
        pairwise_difference_cosine(design, np.eye(2)[:, None], contrast_against(design, "a", "n"))
