from collections.abc import Callable

import numpy as np
import pytest
from sklearn.decomposition import PCA

from emoact.errors import RequestError
from emoact.stats.design import (
    class_weights,
    contrast_against,
    contrast_grand_mean,
    contrast_prompt_weights,
    design_of,
)
from emoact.stats.directions.directions import (
    contrast_direction,
    neutral_components,
    project_out,
    within_scenario_direction,
)
from emoact.stats.null.splits import scenario_folds, scenario_halves

RNG = np.random.default_rng(0)
DESIGN = design_of(["a"] * 6 + ["b"] * 6 + ["n"] * 6, [str(i) for i in range(6)] * 3)
FEATURES = RNG.normal(size=(18, 2, 8)).astype(np.float32)


def test_plain_direction_is_the_plan_s() -> None:
    expected = FEATURES[:6].astype(float).mean(0) - FEATURES[12:].astype(float).mean(0)
    np.testing.assert_allclose(
        contrast_direction(FEATURES, DESIGN, contrast_against(DESIGN, "a", "n")),
        expected,
        rtol=1e-9,
        atol=1e-15,
    )


def test_within_scenario_equals_plain_on_matched_data() -> None:
    np.testing.assert_allclose(
        within_scenario_direction(FEATURES, DESIGN, "b", "n"),
        FEATURES[6:12].astype(float).mean(0) - FEATURES[12:].astype(float).mean(0),
        rtol=1e-9,
        atol=1e-14,
    )


def test_within_scenario_keeps_scenario_differences_out() -> None:
    design = design_of(["a", "a", "n", "n", "n"], ["x", "y", "x", "y", "y"])
    scenario = np.array([[0.0], [100.0], [0.0], [100.0], [100.0]])
    effect = np.array([[1.0], [1.0], [0.0], [0.0], [0.0]])
    assert within_scenario_direction(scenario + effect, design, "a", "n")[0] == pytest.approx(1.0)
    assert contrast_direction(scenario + effect, design, contrast_against(design, "a", "n"))[
        0
    ] == pytest.approx(1 + 50 - 200 / 3)


def test_within_scenario_without_a_shared_scenario_is_refused() -> None:
    design = design_of(["a", "n"], ["x", "y"])
    with pytest.raises(RequestError, match="no scenario holds all of a, n"):
        within_scenario_direction(np.ones((2, 3)), design, "a", "n")


def test_components_agree_with_scikit_learn() -> None:
    neutral = RNG.normal(size=(30, 10)) * np.arange(1, 11)
    pca = PCA().fit(neutral)
    components = neutral_components(neutral, 0.5)
    expected = int(np.searchsorted(np.cumsum(pca.explained_variance_ratio_), 0.5)) + 1
    assert len(components) == expected
    overlap = np.abs((components * pca.components_[:expected]).sum(axis=1))
    np.testing.assert_allclose(overlap, 1, atol=1e-8)


def test_projected_direction_is_orthogonal_to_neutral() -> None:
    neutral, direction = RNG.normal(size=(30, 10)), RNG.normal(size=10)
    components = neutral_components(neutral, 0.5)
    np.testing.assert_allclose(components @ project_out(direction, components), 0, atol=1e-12)


def test_neutral_text_that_never_varies_has_no_components() -> None:
    assert neutral_components(np.ones((5, 4))).shape == (0, 4)
    np.testing.assert_array_equal(project_out(np.ones(4), np.empty((0, 4))), np.ones(4))


def test_direction_of_equal_vectors_is_exactly_zero() -> None:
    same = np.tile(RNG.normal(size=(1, 8)).astype(np.float32), (7, 1))
    design = design_of(["a"] * 3 + ["n"] * 4)
    assert not contrast_direction(same, design, contrast_against(design, "a", "n")).any()


MATCHED = design_of(["a"] * 5 + ["b"] * 5 + ["n"] * 5, [f"s{i}" for i in range(5)] * 3)


def test_scenarios_are_the_unit_where_prompts_name_them() -> None:
    assert (MATCHED.n_scenarios, MATCHED.unit) == (5, "scenario")
    np.testing.assert_array_equal(MATCHED.counts, np.ones((3, 5)))
    alone = design_of(["a", "a", "b"])
    assert (alone.n_scenarios, alone.unit) == (3, "prompt")
    # A prompt without a scenario shares it with no other.
    assert len(set(design_of(["a", "b", "a", "b"], ["x", "x", None, None]).scenario_of)) == 3


def test_weights_give_class_means() -> None:
    features = np.random.default_rng(0).normal(size=(15, 4))
    means = class_weights(MATCHED) @ features
    np.testing.assert_allclose(means[1], features[5:10].mean(axis=0), rtol=1e-12)


def test_weights_of_an_absent_class_are_nan_and_stay_apart() -> None:
    design = design_of(["a", "a", "b"], ["x", "y", "y"])
    weights = class_weights(design, np.array([True, False]))
    np.testing.assert_allclose(weights[0], [1, 0, 0])
    assert np.isnan(weights[1]).all()
    only_a = contrast_prompt_weights(weights, np.array([1.0, 0.0]))
    np.testing.assert_allclose(only_a, [1, 0, 0])


def test_contrasts_add_to_zero_and_point_to_the_emotion() -> None:
    np.testing.assert_allclose(contrast_against(MATCHED, "b", "n"), [0, 1, -1])
    np.testing.assert_allclose(contrast_grand_mean(MATCHED, "a"), [2 / 3, -1 / 3, -1 / 3])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (lambda: contrast_against(MATCHED, "c", "n"), "there are a, b, n"),
        (lambda: contrast_against(MATCHED, "", "n"), "there are a, b, n"),
        (lambda: contrast_against(MATCHED, "n", "n"), "itself"),
        (lambda: contrast_grand_mean(design_of(["a", "a"]), "a"), "two classes"),
        (lambda: design_of(["a", "b"], ["x"]), "in pairs"),
        (lambda: design_of([]), "no prompt"),
        (lambda: scenario_folds(MATCHED, 1), "at least 2"),
    ],
)
def test_what_is_no_design_is_refused(asked: Callable[[], object], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        asked()


def test_taking_prompts_drops_what_vanishes() -> None:
    keep = np.arange(15) < 7
    part = MATCHED.take(keep)
    assert part.labels == ("a", "b")
    assert part.n_scenarios == 5
    np.testing.assert_array_equal(part.counts, [[1] * 5, [1, 1, 0, 0, 0]])


def test_halves_split_every_class_by_the_same_scenarios() -> None:
    halves = scenario_halves(MATCHED, 40, seed=3)
    assert set(halves.sum(axis=1)) <= {2, 3}
    assert len({tuple(half) for half in halves}) > 5


def test_halves_hold_half_of_every_class_without_scenarios() -> None:
    design = design_of(["a"] * 20 + ["n"] * 8)
    for half in scenario_halves(design, 25):
        in_half = half[design.scenario_of]
        assert in_half[:20].sum() == 10
        assert in_half[20:].sum() == 4


def test_folds_keep_scenarios_together_and_are_balanced() -> None:
    design = design_of(["a"] * 50 + ["n"] * 50, [str(i) for i in range(50)] * 2)
    folds = scenario_folds(design, 5, seed=1)
    np.testing.assert_array_equal(folds[:50], folds[50:])
    np.testing.assert_array_equal(np.bincount(folds), [20] * 5)
    three = design_of(["a", "b"] * 3, ["x", "x", "y", "y", "z", "z"])
    assert set(scenario_folds(three)) == {0, 1, 2}


def test_draws_depend_on_the_seed_alone() -> None:
    np.testing.assert_array_equal(
        scenario_halves(MATCHED, 9, seed=5), scenario_halves(MATCHED, 9, seed=5)
    )
    assert not np.array_equal(
        scenario_halves(MATCHED, 9, seed=5), scenario_halves(MATCHED, 9, seed=6)
    )
