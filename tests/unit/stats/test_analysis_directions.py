import numpy as np
import pytest
from sklearn.decomposition import PCA

from emoact.errors import RequestError
from emoact.stats.design import contrast_against, design_of
from emoact.stats.directions.directions import (
    contrast_direction,
    neutral_components,
    project_out,
    within_scenario_direction,
)

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


@pytest.mark.parametrize("variance", [-0.1, 1.1])
def test_share_of_variance_is_checked(variance: float) -> None:
    with pytest.raises(RequestError, match="between 0 and 1"):
        neutral_components(np.ones((5, 4)), variance)


def test_direction_of_equal_vectors_is_exactly_zero() -> None:
    same = np.tile(RNG.normal(size=(1, 8)).astype(np.float32), (7, 1))
    design = design_of(["a"] * 3 + ["n"] * 4)
    assert not contrast_direction(same, design, contrast_against(design, "a", "n")).any()
