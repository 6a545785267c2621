from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from emoact.stats.distances.geometry import project_fixed, project_per_layer

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
