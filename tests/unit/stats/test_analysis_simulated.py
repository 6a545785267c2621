"""The simulated values of the specification: isotropic Gaussian activations, d = 768, n = 50.

Where a value follows from a formula, the mean of the simulation must lie within 3 of its own
standard errors of it; the value as stated, with its few digits, must agree after rounding.
"""

import numpy as np
import pytest

from emoact.stats.across.directions import carried_cosines
from emoact.stats.across.similarity import cka_matrices, similarity_map
from emoact.stats.cosine import noise_expectation, plain_cosine
from emoact.stats.design import contrast_against, contrast_grand_mean, design_of
from emoact.stats.directions.directions import contrast_direction
from emoact.stats.directions.stability import split_half_cosines
from emoact.stats.null.splits import scenario_folds, scenario_halves
from emoact.stats.products import centred_gram, class_products, contrast_product
from emoact.stats.vectors import centre
from tests.support.split_estimates import plain_direction, split_strength

D, N = 768, 50
LABELS = ("gratitude", "anger", "apology", "neutral")
DESIGN = design_of(
    [label for label in LABELS for _ in range(N)], [str(i) for i in range(N)] * len(LABELS)
)
UNMATCHED = design_of([label for label in LABELS for _ in range(N)])
G = contrast_against(DESIGN, "gratitude", "neutral")
A = contrast_against(DESIGN, "anger", "neutral")


def assert_mean(values: np.ndarray, expected: float, *, stated: float, digits: int) -> None:
    error = values.std(ddof=1) / np.sqrt(len(values))
    assert abs(values.mean() - expected) < 3 * error
    assert abs(expected - stated) < 3 * error + 0.5 * 10.0**-digits


def assert_sd(values: np.ndarray, stated: float) -> None:
    sd = values.std(ddof=1)
    assert abs(sd - stated) < 3 * sd / np.sqrt(2 * (len(values) - 1)) + 0.0005


def noise(rng: np.random.Generator, n_classes: int = 4) -> np.ndarray:
    return rng.standard_normal((n_classes * N, D), dtype=np.float32)


def planted(rng: np.random.Generator) -> np.ndarray:
    """Two directions of norm 4 with cosine .60 in unit noise."""
    x = noise(rng)
    x[:N, 0] += 4
    x[N : 2 * N, 0] += 4 * 0.6
    x[N : 2 * N, 1] += 4 * 0.8
    return x


def class_of(x: np.ndarray, index: int) -> np.ndarray:
    part: np.ndarray = x[index * N : (index + 1) * N]
    return part


def test_shared_neutral_lifts_the_cosine_of_noise_to_one_half() -> None:
    rng = np.random.default_rng(101)
    cosines = []
    for _ in range(150):
        x = noise(rng, 3)
        neutral = class_of(x, 2)
        cosines.append(
            plain_cosine(
                plain_direction(class_of(x, 0), neutral), plain_direction(class_of(x, 1), neutral)
            )
        )
    expected = noise_expectation(G, A, np.full(4, N))
    assert_mean(np.array(cosines), expected, stated=0.50, digits=2)
    assert_sd(np.array(cosines), 0.027)


def test_stability_with_the_whole_neutral_set_in_both_halves_reads_one_third() -> None:
    rng = np.random.default_rng(102)
    cosines = []
    for _ in range(150):
        x = noise(rng, 2)
        neutral = class_of(x, 1)
        cosines.append(
            plain_cosine(plain_direction(x[:25], neutral), plain_direction(x[25:50], neutral))
        )
    assert_mean(np.array(cosines), 1 / 3, stated=0.33, digits=2)


def test_stability_with_disjoint_halves_of_neutral_reads_zero() -> None:
    rng = np.random.default_rng(103)
    cosines = [
        split_half_cosines(
            DESIGN, centre(noise(rng)[:, None]), G, scenario_halves(DESIGN, 1, seed=seed)
        )[0, 0]
        for seed in range(150)
    ]
    assert_mean(np.array(cosines), 0.0, stated=0.0, digits=2)
    assert_sd(np.array(cosines), 0.037)


def test_grand_mean_centring_of_four_classes_reads_minus_one_third() -> None:
    rng = np.random.default_rng(104)
    cosines = []
    for _ in range(100):
        x = noise(rng)
        cosines.append(
            plain_cosine(
                *(
                    contrast_direction(x, DESIGN, contrast_grand_mean(DESIGN, emotion))
                    for emotion in ("gratitude", "anger")
                )
            )
        )
    # Each direction is a class mean less the mean of four, so that pairs share -1/3.
    assert_mean(np.array(cosines), -1 / 3, stated=-0.333, digits=3)
    products = contrast_grand_mean(DESIGN, "anger") @ contrast_grand_mean(DESIGN, "gratitude")
    square = contrast_grand_mean(DESIGN, "anger") @ contrast_grand_mean(DESIGN, "anger")
    assert products / square == pytest.approx(-1 / 3)


def test_splitting_the_classes_apart_reads_scenario_variance_as_negative_strength() -> None:
    rng = np.random.default_rng(105)
    together, apart = [], []
    for seed in range(80):
        scenario = np.tile(rng.standard_normal((N, D), dtype=np.float32), (4, 1))
        x = noise(rng) + scenario
        x[:N, 0] += 4
        gram = centred_gram(x[:, None])
        halves = scenario_halves(DESIGN, 10, seed=seed)
        together.append(split_strength(DESIGN, gram, G, halves)[0])
        separate = scenario_halves(UNMATCHED, 10, seed=seed)
        apart.append(split_strength(UNMATCHED, gram, G, separate)[0])
    assert_mean(np.array(together), 16.0, stated=16.2, digits=1)
    # Halves of 25 share 12.5 scenarios on average, each with d = 768 units of common variance.
    assert_mean(np.array(apart), 16 - 2 * 12.5 * D / 25**2, stated=-14.4, digits=1)


def test_planted_directions_are_recovered_over_200_seeds_and_plain_ones_are_biased() -> None:
    plain_norm, plain, squared, product = [], [], [], []
    for seed in range(200):
        x = planted(np.random.default_rng([1, seed]))
        neutral = class_of(x, 3)
        gratitude = plain_direction(class_of(x, 0), neutral)
        anger = plain_direction(class_of(x, 1), neutral)
        plain_norm.append(np.linalg.norm(gratitude))
        plain.append(plain_cosine(gratitude, anger))
        products = class_products(DESIGN, centre(x[:, None])).whole
        squared.append([contrast_product(products, each, each)[0] for each in (G, A)])
        product.append(contrast_product(products, G, A)[0])
    exact = np.array(product) / np.sqrt(np.prod(squared, axis=1))
    noise_square = 2 * D / N
    assert_mean(np.array(squared)[:, 0], 16.0, stated=4.01**2, digits=1)
    assert_mean(exact, 0.60, stated=0.599, digits=3)
    assert_mean(np.array(plain_norm), np.sqrt(16 + noise_square), stated=6.84, digits=2)
    biased = (16 * 0.60 + noise_square / 2) / (16 + noise_square)
    assert_mean(np.array(plain), biased, stated=0.535, digits=3)


def spectrum_of(participation_ratio: float, shape: str) -> np.ndarray:
    """Variances of d dimensions with (sum v)^2 / sum v^2 as asked."""
    j = np.arange(1, D + 1, dtype=np.float64)

    def ratio(v: np.ndarray) -> float:
        return float(v.sum() ** 2 / (v**2).sum())

    low, high = 1e-6, 50.0
    for _ in range(200):
        middle = (low + high) / 2
        variances = j**-middle if shape == "power" else np.exp(-middle * (j - 1))
        low, high = (middle, high) if ratio(variances) > participation_ratio else (low, middle)
    return j**-low if shape == "power" else np.exp(-low * (j - 1))


@pytest.mark.parametrize(("shape", "stated"), [("power", 0.35), ("exponential", 0.45)])
def test_null_of_a_cosine_is_far_wider_than_its_isotropic_band(shape: str, stated: float) -> None:
    sd = np.sqrt(spectrum_of(5.0, shape))
    rng = np.random.default_rng(108)
    first, second = rng.normal(size=(2, 4000, D)) * sd
    cosines = plain_cosine(first, second)
    error = cosines.std() / np.sqrt(2 * len(cosines))
    # A participation ratio of 5 allows many shapes; the stated range is .31 to .45.
    assert 0.31 - 3 * error < cosines.std() < 0.45 + 3 * error
    if shape == "power":
        assert abs(cosines.std() - stated) < 3 * error + 0.005
    assert cosines.std() > 8 / np.sqrt(D)


def biased_cka(first: np.ndarray, second: np.ndarray) -> float:
    a, b = first - first.mean(0), second - second.mean(0)
    k, h = a @ a.T, b @ b.T
    return float((k * h).sum() / np.sqrt((k * k).sum() * (h * h).sum()))


@pytest.mark.parametrize(
    ("n", "biased", "sd", "repeats"), [(200, 0.79, 0.006, 40), (50, 0.94, 0.03, 150)]
)
def test_only_biased_cka_of_noise_is_high(n: int, biased: float, sd: float, repeats: int) -> None:
    rng = np.random.default_rng([109, n])
    found, high = [], []
    for _ in range(repeats):
        first, second = rng.normal(size=(2, n, D))
        high.append(biased_cka(first, second))
        here, there = (cka_matrices(centred_gram(each[:, None])) for each in (first, second))
        found.append(similarity_map(here, there)[0, 0])
    assert np.mean(high) == pytest.approx(biased, abs=0.005 + 3 * np.std(high) / np.sqrt(repeats))
    assert_mean(np.array(found), 0.0, stated=0.0, digits=2)
    spread = np.std(found, ddof=1)
    rounding = 0.0005 if n == 200 else 0.005
    assert abs(spread - sd) < 3 * spread / np.sqrt(2 * (repeats - 1)) + rounding


@pytest.mark.parametrize(("k", "stated"), [(50, 0.44), (100, 0.66), (None, 0.94)])
def test_in_sample_procrustes_of_noise_is_high(k: int | None, stated: float) -> None:
    rng = np.random.default_rng([110, k or 0])
    cosines = []
    for _ in range(12):
        scores = []
        for _ in range(2):
            x = rng.normal(size=(4 * N, D))
            left, singular, _ = np.linalg.svd(x - x.mean(0), full_matrices=False)
            scores.append((left * singular)[:, : k or -1])
        u, _, v = np.linalg.svd(scores[0].T @ scores[1], full_matrices=False)
        directions = [plain_direction(s[:N], s[3 * N :]) for s in scores]
        cosines.append(float(plain_cosine(directions[0] @ (u @ v), directions[1])))
    # One direction per simulation: the stated value lies within the spread of single ones.
    assert abs(np.mean(cosines) - stated) < np.std(cosines, ddof=1) + 0.005


def test_held_out_procrustes_of_noise_is_zero() -> None:
    rng = np.random.default_rng(111)
    test = scenario_folds(DESIGN) == 0
    cosines = []
    for _ in range(100):
        first, second = (centred_gram(noise(rng)[:, None])[0] for _ in range(2))
        cosines.append(carried_cosines(first, second, DESIGN, G[None], test)[0, 0])
    assert_mean(np.array(cosines), 0.0, stated=0.0, digits=2)
    spread = np.std(cosines, ddof=1)
    assert abs(spread - 0.14) < 3 * spread / np.sqrt(2 * 99) + 0.005
