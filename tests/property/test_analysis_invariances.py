"""What the estimators must keep whatever the numbers are."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emoact.positions import position_norms
from emoact.stats.across.similarity import cka_matrices, similarity_map
from emoact.stats.cosine import plain_cosine
from emoact.stats.design import Design, contrast_against, design_of
from emoact.stats.directions.directions import contrast_direction
from emoact.stats.directions.strength import measure_strength
from emoact.stats.null.permutation import max_statistic_test
from emoact.stats.null.relabelling import relabellings
from emoact.stats.null.splits import scenario_folds, scenario_halves
from emoact.stats.products import centred_gram, class_products, contrast_product, share_vectors
from emoact.stats.vectors import centre

SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=40, deadline=None)


def features(seed: int, n: int, d: int = 6, layers: int = 2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, layers, d)) * np.exp(2 * rng.normal(size=d))


@st.composite
def mixtures(draw: st.DrawFn) -> tuple[list[str], list[str | None]]:
    """Labels and scenarios: any mixture of matched, partly matched and scenario-free prompts."""
    n = draw(st.integers(6, 18))
    others = draw(st.lists(st.sampled_from("abn"), min_size=n - 3, max_size=n - 3))
    scenario = st.one_of(st.none(), st.sampled_from("vwxyz"))
    return ["a", "n", "b", *others], draw(st.lists(scenario, min_size=n, max_size=n))


def squared(x: np.ndarray, design: Design, first: str, second: str) -> np.ndarray:
    contrast = contrast_against(design, first, second)
    return contrast_product(class_products(design, centre(x)).whole, contrast, contrast)


@given(mixtures(), SEEDS)
@FEW
def test_strength_is_symmetric(mixture: tuple[list[str], list[str | None]], seed: int) -> None:
    design = design_of(*mixture)
    x = features(seed, design.n_prompts)
    np.testing.assert_allclose(
        squared(x, design, "a", "n"), squared(x, design, "n", "a"), rtol=1e-9, atol=1e-9
    )


@given(SEEDS, st.floats(-1e5, 1e5))
@FEW
def test_shared_offset_leaves_directions_and_strength_unchanged(seed: int, offset: float) -> None:
    design = design_of(["a"] * 6 + ["n"] * 6, list("uvwxyz") * 2)
    x, contrast = features(seed, 12), contrast_against(design, "a", "n")
    np.testing.assert_allclose(
        contrast_direction(x + offset, design, contrast),
        contrast_direction(x, design, contrast),
        rtol=1e-8,
        atol=1e-9 * (1 + abs(offset)),
    )
    before, after = (
        measure_strength(share_vectors(design, v), design, contrast) for v in (x, x + offset)
    )
    np.testing.assert_allclose(after.squared, before.squared, rtol=1e-6, atol=1e-6)


@given(SEEDS)
@FEW
def test_rotation_changes_no_euclidean_figure(seed: int) -> None:
    design = design_of(["a"] * 6 + ["b"] * 6 + ["n"] * 6, list("uvwxyz") * 3)
    x = features(seed, 18)
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(6, 6)))[0]
    before, after = (class_products(design, centre(v)).whole for v in (x, x @ rotation))
    np.testing.assert_allclose(after, before, atol=1e-9 * np.abs(before).max())


@given(SEEDS, st.floats(1e-6, 1e6))
@FEW
def test_scale_enters_strength_once_and_cosines_not_at_all(seed: int, scale: float) -> None:
    design = design_of(["a"] * 6 + ["n"] * 6, list("uvwxyz") * 2)
    x = features(seed, 12)
    contrast = contrast_against(design, "a", "n")
    before, after = (
        measure_strength(share_vectors(design, v), design, contrast) for v in (x, scale * x)
    )
    np.testing.assert_allclose(after.l2, scale * before.l2, rtol=1e-9)
    np.testing.assert_allclose(after.normalised, before.normalised, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(after.top_share, before.top_share, rtol=1e-9)


@given(mixtures(), SEEDS)
@FEW
def test_order_does_not_matter(mixture: tuple[list[str], list[str | None]], seed: int) -> None:
    design = design_of(*mixture)
    x = features(seed, design.n_prompts)
    order = np.random.default_rng(seed).permutation(design.n_prompts)
    shuffled = design_of(
        [design.labels[design.label_of[i]] for i in order],
        [str(design.scenario_of[i]) for i in order],
    )
    np.testing.assert_allclose(
        squared(x[order], shuffled, "a", "n"), squared(x, design, "a", "n"), rtol=1e-7, atol=1e-7
    )


@given(arrays(np.float32, (3, 7), elements=st.floats(-1e6, 1e6, width=32)))
@FEW
def test_l1_over_l2_lies_between_one_and_the_root_of_d(x: np.ndarray) -> None:
    l1, l2 = position_norms(x, "l1"), position_norms(x, "l2")
    assert (l1 >= l2 * (1 - 1e-9)).all()
    assert (l1 <= np.sqrt(7) * l2 * (1 + 1e-9)).all()


@given(SEEDS)
@FEW
def test_cosine_with_the_opposite_is_minus_one(seed: int) -> None:
    direction = np.random.default_rng(seed).normal(size=20)
    np.testing.assert_allclose(plain_cosine(direction, -direction), -1, atol=1e-12)


@given(mixtures(), st.integers(2, 6), SEEDS)
@FEW
def test_no_scenario_is_ever_on_both_sides(
    mixture: tuple[list[str], list[str | None]], n_folds: int, seed: int
) -> None:
    design = design_of(*mixture)
    folds = scenario_folds(design, n_folds, seed=seed)
    for scenario in range(design.n_scenarios):
        assert len(set(folds[design.scenario_of == scenario])) == 1
    assert len(set(folds)) == min(n_folds, design.n_scenarios)
    halves = scenario_halves(design, 3, seed=seed).sum(axis=1)
    assert set(halves) <= {design.n_scenarios // 2, (design.n_scenarios + 1) // 2}


@given(mixtures(), SEEDS)
@FEW
def test_relabelling_keeps_labels(mixture: tuple[list[str], list[str | None]], seed: int) -> None:
    design = design_of(*mixture)
    draws = relabellings(design, "a", ("n",), 20, seed=seed)[:]
    is_a = design.label_of == design.index("a")
    is_n = design.label_of == design.index("n")
    assert (draws[0] == is_a).all()
    assert not draws[:, ~(is_a | is_n)].any()
    for scenario in range(design.n_scenarios):
        inside = design.scenario_of == scenario
        if (inside & is_a).any() and (inside & is_n).any():
            assert (draws[:, inside].sum(axis=1) == (inside & is_a).sum()).all()


@given(arrays(np.float64, (30, 3), elements=st.floats(-1e9, 1e9)))
@FEW
def test_p_values_are_counts_in_order(strengths: np.ndarray) -> None:
    test = max_statistic_test(strengths)
    for p in (test.p, test.p_max):
        assert (p >= 1 / 30 - 1e-12).all()
        assert (p <= 1).all()
        np.testing.assert_allclose(p * 30, np.round(p * 30), atol=1e-9)
    assert (test.p_max >= test.p - 1e-12).all()
    assert test.p_family == test.p_max.min()


@given(SEEDS, st.floats(1e-3, 1e3))
@FEW
def test_cka_ignores_rotation_scale_and_shift(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, 12, 1, 5))
    rotation = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    moved = scale * (x @ rotation + rng.normal(size=5))
    own, other, again = (cka_matrices(centred_gram(each)) for each in (x, y, moved))
    np.testing.assert_allclose(similarity_map(again, other), similarity_map(own, other), atol=1e-8)
    np.testing.assert_allclose(similarity_map(own, again), 1, atol=1e-9)
