import numpy as np
import pytest
from sklearn.decomposition import PCA

from emoact.stats.catalogue import computed, frame
from emoact.stats.design import design_of
from emoact.stats.distances.geometry import project_fixed, project_per_layer, projection_cells
from emoact.stats.distances.nearest import class_distances, held_out, nearest_prompts
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


def planted(
    shift: float, seed: int = 0, n: int = 40, d: int = 20
) -> tuple[np.ndarray, list[str], list[str]]:
    rng = np.random.default_rng(seed)
    labels = [label for label in ("anger", "neutral") for _ in range(n)]
    scenarios = [f"s{i:02d}" for _ in range(2) for i in range(n)]
    values = rng.normal(size=(2 * n, d)) * np.linspace(1, 100, d)
    values[:n, 3] += shift * np.linspace(1, 100, d)[3]
    return values.astype(np.float32), labels, scenarios


def test_distances_agree_with_a_plain_computation() -> None:
    values, labels, _ = planted(1.0)
    classes, found = class_distances(values, labels, values[:3])
    wide, owner = values.astype(float), np.array(labels)
    within = np.concatenate([wide[owner == c] - wide[owner == c].mean(axis=0) for c in classes])
    sd = np.sqrt((within**2).sum(axis=0) / (len(wide) - 2))
    for column, label in enumerate(classes):
        away = (wide[:3] - wide[owner == label].mean(axis=0)) / sd
        np.testing.assert_allclose(found[:, column], np.sqrt((away**2).mean(axis=1)), rtol=1e-10)


def test_held_out_accuracy_is_chance_without_and_high_with_a_difference() -> None:
    none = held_out(*planted(0.0, n=200))
    some = held_out(*planted(6.0, n=200))
    assert none is not None
    assert some is not None
    # A binomial standard error is .025 at 400 prompts.
    assert none.accuracy == pytest.approx(0.5, abs=0.08)
    assert some.accuracy > 0.95
    assert (none.chance, none.n, none.grouped) == (0.5, 400, True)
    assert set(some.by_class) == {"anger", "neutral"}


def test_whole_scenarios_are_held_out() -> None:
    # Every scenario has its own vector, nearly the same for both classes. A rule that has seen the
    # scenario can tell its classes; one that has not cannot.
    rng = np.random.default_rng(1)
    base = rng.normal(size=(60, 400))
    values = np.concatenate([base, base + 0.01 * rng.normal(size=base.shape)]).astype(np.float32)
    labels = ["a"] * 60 + ["b"] * 60
    scenarios = [f"s{i}" for i in range(60)] * 2
    found = held_out(values, labels, scenarios)
    assert found is not None
    assert found.accuracy == pytest.approx(0.5, abs=0.2)


def test_prompts_without_scenarios_are_held_out_one_by_one() -> None:
    values, labels, _ = planted(6.0)
    found = held_out(values, labels, [None] * len(labels))
    assert found is not None
    assert not found.grouped


def test_too_few_prompts_have_no_accuracy() -> None:
    assert held_out(np.ones((2, 3), np.float32), ["a", "b"], ["s1", "s2"]) is None


def test_a_dimension_without_spread_says_nothing() -> None:
    values, labels, _ = planted(1.0)
    values[:, 5] = 7.0
    _, found = class_distances(values, labels, values[:2])
    _, without = class_distances(
        np.delete(values, 5, axis=1), labels, np.delete(values, 5, axis=1)[:2]
    )
    np.testing.assert_allclose(found, without)


def test_the_nearest_prompt_is_its_copy_and_broken_ones_are_left_out() -> None:
    values, _, _ = planted(0.0)
    values[9] = values[2]
    values[4] = np.nan
    found = nearest_prompts(values, 2, most=100)
    assert found[0] == (9, 0.0)
    assert {index for index, _ in found} == set(range(80)) - {2, 4}
    assert nearest_prompts(values, 4) == []
