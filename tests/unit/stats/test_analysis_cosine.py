import numpy as np
import pytest
from jaxtyping import TypeCheckError
from scipy.spatial.distance import cosine as scipy_cosine

from emoact.stats.cosine import (
    cross_validated_cosine,
    noise_expectation,
    plain_cosine,
    top_share,
    twin_differs,
)
from emoact.stats.design import class_weights, contrast_against, contrast_grand_mean, design_of
from emoact.stats.distances.distances import cosine_null, shuffled_pair
from emoact.stats.products import class_products
from emoact.stats.vectors import centre, inverse_sd

N = 12
DESIGN = design_of(["a"] * N + ["b"] * N + ["n"] * N, [str(i) for i in range(N)] * 3)
A, B = contrast_against(DESIGN, "a", "n"), contrast_against(DESIGN, "b", "n")
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200])
def test_plain_cosine_agrees_with_scipy_at_any_scale(scale: float) -> None:
    first, second = RNG.normal(size=(2, 5, 30))
    expected = [1 - scipy_cosine(a, b) for a, b in zip(first, second, strict=True)]
    found = plain_cosine(first * scale, second * scale)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def test_shapes_are_checked_while_the_tests_run() -> None:
    with pytest.raises(TypeCheckError, match="plain_cosine"):
        plain_cosine(np.zeros((2, 3)), np.zeros((2, 4)))


def test_zero_vector_gives_nan() -> None:
    value = plain_cosine(np.array([[0.0, 0.0], [1.0, 0.0]]), np.ones((2, 2)))
    assert np.isnan(value[0])
    assert value[1] == pytest.approx(np.sqrt(0.5))


def test_cross_validated_cosine_is_the_ratio_of_exact_forms() -> None:
    x = RNG.normal(size=(3 * N, 9))
    x[:N] += 2
    x[N : 2 * N] += 1
    da, db = x[:N] - x[2 * N :], x[N : 2 * N] - x[2 * N :]

    def exact(first: np.ndarray, second: np.ndarray) -> float:
        return float(sum(first[s] @ second[t] for s in range(N) for t in range(N) if s != t))

    found = cross_validated_cosine(class_products(DESIGN, centre(x[:, None])).whole, A, B)
    expected = exact(da, db) / np.sqrt(exact(da, da) * exact(db, db))
    assert found[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("a_a", "a_b", "b_b", "expected"), [(4, 1, -1, np.nan), (-4, 1, -1, np.nan), (1, 3, 1, 3.0)]
)
def test_cross_validated_cosine_is_blank_unless_both_squares_are_positive_and_never_clipped(
    a_a: float, a_b: float, b_b: float, expected: float
) -> None:
    products = np.array([[[a_a, a_b, 0.0], [a_b, b_b, 0.0], [0.0, 0.0, 0.0]]])
    np.testing.assert_allclose(cross_validated_cosine(products, A, B), [expected])


def test_shared_neutral_lifts_the_cosine_by_one_half() -> None:
    first, second = np.array([1.0, 0, -1]), np.array([0.0, 1, -1])
    assert noise_expectation(first, second, np.array([50, 50, 50])) == pytest.approx(0.5)
    assert noise_expectation(first, second, np.array([50, 50, 100])) == pytest.approx(1 / 3)


def test_expected_cosine_of_noise_holds_for_classes_of_any_size() -> None:
    sizes = {"a": 30, "b": 6, "c": 12, "neutral": 5}
    design = design_of([label for label, n in sizes.items() for _ in range(n)])
    x = np.random.default_rng(21).normal(size=(400, design.n_prompts, 64))
    for weights in (
        [contrast_against(design, label, "neutral") for label in "ab"],
        [contrast_grand_mean(design, label) for label in "ab"],
    ):
        a, b = (np.einsum("l,lp,rpd->rd", w, class_weights(design), x) for w in weights)
        cosines = plain_cosine(a, b)
        expected = noise_expectation(weights[0], weights[1], np.array(list(sizes.values())))
        assert abs(cosines.mean() - expected) < 4 * cosines.std() / np.sqrt(len(cosines)) + 0.003


def test_top_share_of_flat_and_of_rogue_directions() -> None:
    assert top_share(np.ones(30), np.ones(30)) == pytest.approx(0.1)
    rogue = np.ones(30)
    rogue[7] = 100
    assert top_share(rogue, -rogue) == pytest.approx(10002 / 10029)
    assert top_share(np.ones(2), np.ones(2)) == pytest.approx(1)


def test_twin_warns_beyond_its_tolerance() -> None:
    np.testing.assert_array_equal(
        twin_differs(np.array([0.9, 0.9]), np.array([0.75, 0.6])), [False, True]
    )


def test_rogue_dimension_makes_the_twin_differ() -> None:
    x = RNG.normal(size=(3 * N, 1, 40))
    x[:, 0, 0] = RNG.normal(size=3 * N) * 300
    x[: 2 * N, 0, 0] += 900
    x[:N, 0, 1:] += 1
    x[N : 2 * N, 0, 1:] -= 1
    vectors = centre(x)
    scaled = vectors * inverse_sd(vectors.std(axis=0))
    raw, twin = (
        cross_validated_cosine(class_products(DESIGN, each).whole, A, B)
        for each in (vectors, scaled)
    )
    assert raw[0] > 0.9
    assert twin_differs(raw, twin)[0]


@pytest.mark.parametrize("n", [40, 400])
def test_null_of_the_cosine_is_that_of_relabelled_means(n: int) -> None:
    design = design_of(["a"] * n + ["b"] * n + ["n"] * n, [str(i) for i in range(n)] * 3)
    groups = shuffled_pair(design, ("a", "b", "n"), 50)
    x = RNG.normal(size=(3 * n, 1, 9)) * np.arange(1, 10) + 100
    cosines = []
    for draw in groups:
        first, second, neutral = (x[draw == group, 0].mean(axis=0) for group in range(3))
        cosines.append(1 - scipy_cosine(first - neutral, second - neutral))
    mean, band = cosine_null(centre(x), groups)
    np.testing.assert_allclose(mean, np.mean(cosines), atol=1e-4)
    np.testing.assert_allclose(band[:, 0], np.quantile(cosines, (0.025, 0.975)), atol=1e-4)


@pytest.mark.parametrize("n", [N, 400])
def test_null_of_vectors_that_are_all_alike_is_blank(n: int) -> None:
    design = design_of(["a"] * n + ["b"] * n + ["n"] * n, [str(i) for i in range(n)] * 3)
    groups = shuffled_pair(design, ("a", "b", "n"), 20)
    mean, _ = cosine_null(centre(np.ones((3 * n, 1, 4))), groups)
    assert np.isnan(mean).all()
