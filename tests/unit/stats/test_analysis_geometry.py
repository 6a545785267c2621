import numpy as np
import pytest
from sklearn.decomposition import PCA

from emoact.stats.catalogue import computed, frame
from emoact.stats.design import design_of
from emoact.stats.distances.geometry import project_fixed, project_per_layer, projection_cells
from emoact.stats.features import ModelFeatures, PromptInfo

X = np.random.default_rng(0).normal(size=(30, 4, 12)) * np.arange(1, 13)


def test_axes_per_layer_agree_with_scikit_learn() -> None:
    found = project_per_layer(X)
    for layer in range(4):
        oracle = PCA(3).fit(X[:, layer])
        np.testing.assert_allclose(
            found.explained[layer], oracle.explained_variance_ratio_, atol=1e-8
        )
        expected = oracle.transform(X[:, layer])
        signs = np.sign((expected * found.coordinates[layer]).sum(axis=0))
        np.testing.assert_allclose(found.coordinates[layer], expected * signs, atol=1e-8)


@pytest.mark.parametrize("n_prompts", [30, 2])
def test_fixed_axes_are_those_of_all_scaled_layers_together(n_prompts: int) -> None:
    x = X[:n_prompts]
    scaled = []
    for layer in range(4):
        centred = x[:, layer] - x[:, layer].mean(0)
        scaled.append(centred / np.sqrt((centred**2).sum() / n_prompts))
    stacked = np.concatenate(scaled)
    oracle = PCA(2).fit(stacked)
    found = project_fixed(x, n_axes=2)
    expected = oracle.transform(stacked).reshape(4, n_prompts, 2)
    signs = np.sign((expected * found.coordinates).sum(axis=(0, 1)))
    np.testing.assert_allclose(found.coordinates, expected * signs, atol=1e-8)
    assert found.fixed_basis


def test_late_layer_with_large_norms_does_not_choose_the_axes() -> None:
    loud = X.copy()
    loud[:, 3] *= 1000
    np.testing.assert_allclose(
        project_fixed(loud).coordinates, project_fixed(X).coordinates, atol=1e-6
    )


def test_shares_lie_between_zero_and_one_and_fall_on_own_axes() -> None:
    own, fixed = project_per_layer(X), project_fixed(X)
    assert (np.diff(own.explained, axis=1) <= 1e-12).all()
    assert (own.explained.sum(axis=1) <= 1 + 1e-12).all()
    assert (fixed.explained.sum(axis=1) <= own.explained.sum(axis=1) + 1e-9).all()


def test_layer_without_variance_has_nan_shares() -> None:
    flat = X.copy()
    flat[:, 1] = 5.0
    for projection in (project_fixed(flat), project_per_layer(flat)):
        assert np.isnan(projection.explained[1]).all()
        assert not projection.coordinates[1].any()
        assert np.isfinite(projection.explained[[0, 2, 3]]).all()


def test_picture_does_not_flip_with_the_sign_of_an_axis() -> None:
    np.testing.assert_allclose(
        project_per_layer(X).coordinates, project_per_layer(X + 100).coordinates, atol=1e-8
    )


def test_of_very_many_prompts_whole_scenarios_are_kept_on_the_axes_of_all() -> None:
    n = 1500
    x = np.random.default_rng(3).normal(size=(2 * n, 1, 6)).astype(np.float32) * np.arange(1, 7)
    scenarios = [str(number) for number in range(n)] * 2
    model = ModelFeatures(
        model="m",
        design=design_of(["a"] * n + ["n"] * n, scenarios),
        prompts=tuple(
            PromptInfo(id=each, scenario_id=each, subset=None, text="", n_tokens=1)
            for each in scenarios
        ),
        sites={"resid_pre": x.astype(np.float32)},
        random_weights=False,
    )
    cells = [cell for cell in projection_cells(model, "resid_pre") if cell.table == "points"]
    points = frame("points", [computed(cell) for cell in cells])
    own = points[points["basis"] == "per_layer"]
    assert 1000 <= len(own) <= 2000
    assert {*own[own["emotion"] == "a"]["prompt_id"]} == {*own[own["emotion"] == "n"]["prompt_id"]}
    expected = PCA(3).fit_transform(x[:, 0].astype(np.float64))
    rows = [n * (row.emotion == "n") + int(row.prompt_id) for row in own.itertuples()]
    found = np.abs(own[["pc1", "pc2", "pc3"]].to_numpy())
    np.testing.assert_allclose(found, np.abs(expected[rows]), atol=1e-5)
