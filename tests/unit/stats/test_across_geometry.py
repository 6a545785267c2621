import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

from emoact.schema import Finding
from emoact.stats.across.agreement import (
    agreement_test,
    class_products,
    compare_layer,
    draws_of,
    matching_p,
    normalised,
)
from emoact.stats.across.geometry import HEADLINE
from emoact.stats.across.words import without_words, word_predictors, word_vectors
from emoact.stats.design import design_of
from emoact.stats.features import UnitFeatures
from emoact.stats.full import analyse_grid
from tests.support.planted_features import QUICK, SITE, unit_of

LABELS = ("gratitude", "anger", "apology", "neutral")
N = 24
DESIGN = design_of([label for label in LABELS for _ in range(N)], [str(i) for i in range(N)] * 4)
DRAWS = draws_of(DESIGN, 200)
CENTRING = np.eye(4) - 1 / 4
# Six different distances, so that no other matching of the classes has the same.
SHAPE = 1.2 * np.array([[0.0, 0.0], [3.0, 0.0], [3.5, 1.5], [0.0, 4.0]])
OTHER_SHAPE = SHAPE[[3, 0, 1, 2]]
FAST = dataclasses.replace(QUICK, n_pairings=9, n_rotations=4)


def embedded(rng: np.random.Generator, values: np.ndarray, d_model: int) -> np.ndarray:
    """The values along random orthogonal axes of a model of its own."""
    axes = np.linalg.qr(rng.normal(size=(d_model, values.shape[1])))[0]
    return np.asarray(values @ axes.T)


def sharing_prompts(rng: np.random.Generator) -> list[np.ndarray]:
    """Two models that share what scenarios and prompts are about, and no emotion."""
    about = 2 * rng.normal(size=(N, 4))[DESIGN.scenario_of] + rng.normal(size=(4 * N, 4))
    return [embedded(rng, about, d) + 0.5 * rng.normal(size=(4 * N, d)) for d in (20, 28)]


def sharing_emotion(
    rng: np.random.Generator, first: np.ndarray = SHAPE, second: np.ndarray = SHAPE
) -> list[np.ndarray]:
    """Two models that share distances between classes, and nothing else."""
    return [
        embedded(rng, means[DESIGN.label_of], d) + rng.normal(size=(4 * N, d))
        for means, d in ((first, 20), (second, 28))
    ]


def compared(features: list[np.ndarray]):  # type: ignore[no-untyped-def]
    first, second = (normalised(x) for x in features)
    return compare_layer(first, second, DRAWS)


def p_value(draws: np.ndarray) -> float:
    _, p_max = agreement_test(draws[:, :, 0])
    return float(p_max.min())


def test_class_products_are_those_of_pairs_of_different_scenarios_of_a_half() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4 * N, 3))
    labels = DRAWS.relabelled.rows(5, 6)
    found = class_products(x, DRAWS, labels)[:, :, 0]
    halves = [c for c in itertools.combinations(range(6), 3) if 0 in c]
    assert len(found) == len(halves) == 10
    for side in (0, 1):
        expected = np.zeros((4, 4))
        own = np.flatnonzero(np.isin(DRAWS.blocks, halves[3]) == (side == 0))
        for a, b in itertools.product(range(4), repeat=2):
            pairs = [
                x[i] @ x[j]
                for i, j in itertools.product(own, repeat=2)
                if labels.of[0, i] == a and labels.of[0, j] == b
                if DESIGN.scenario_of[i] != DESIGN.scenario_of[j]
            ]
            expected[a, b] = np.mean(pairs)
        np.testing.assert_allclose(found[3, side], CENTRING @ expected @ CENTRING, atol=1e-12)


def test_agreement_without_noise_is_the_cosine_of_the_rows_of_centred_products() -> None:
    first, second = np.random.default_rng(1).normal(size=(2, 4, 5))
    found = compare_layer(first[DESIGN.label_of], second[DESIGN.label_of], DRAWS)
    rows = [CENTRING @ m @ m.T @ CENTRING for m in (first, second)]
    for e in range(4):
        a, b = rows[0][e], rows[1][e]
        assert found.value[0, e] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    every = [
        (rows[0][0] @ rows[1][order[0], list(order)])
        / np.linalg.norm(rows[0][0])
        / np.linalg.norm(rows[1][order[0]])
        for order in itertools.permutations(range(4))
    ]
    assert found.other[0, 0] == pytest.approx(np.mean(every[1:]))
    whole = [
        (rows[0] * rows[1][np.ix_(order, order)]).sum()
        for order in itertools.permutations(range(4))
    ]
    assert found.rank[0] == pytest.approx(np.mean(np.array(whole) >= whole[0] - 1e-9))


def test_a_model_agrees_exactly_with_a_rotated_copy_of_itself() -> None:
    rng = np.random.default_rng(2)
    x = sharing_emotion(rng)[0]
    found = compare_layer(normalised(x), 3 * embedded(rng, normalised(x), 60), DRAWS)
    np.testing.assert_allclose(found.value, 1, atol=1e-9)
    np.testing.assert_allclose(found.se, 0, atol=1e-9)


@pytest.mark.parametrize("emotion_in_one", [False, True])
def test_without_emotion_in_both_models_false_alarms_are_as_rare_as_stated(
    emotion_in_one: bool,
) -> None:
    n, alarms = 60, 0
    for seed in range(n):
        rng = np.random.default_rng([3, seed])
        first, second = sharing_prompts(rng)
        if emotion_in_one:
            first = first + embedded(rng, 4 * SHAPE[DESIGN.label_of], 20)
        alarms += p_value(compared([first, second]).draws) <= 0.05
    assert alarms <= n * 0.05 + 3 * np.sqrt(n * 0.05 * 0.95)


def test_shared_geometry_alone_is_found_and_its_interval_covers_one() -> None:
    values, covered = [], []
    for seed in range(40):
        found = compared(sharing_emotion(np.random.default_rng([4, seed])))
        assert p_value(found.draws) == pytest.approx(1 / 201)
        assert found.own_p.max() == pytest.approx(1 / 201)
        values.append(found.value[0])
        covered.append(abs(found.value[0] - 1) <= 1.96 * found.se[0])
    assert np.mean(values) == pytest.approx(1, abs=0.02)
    assert 0.85 < np.max(values) < 1.15
    assert np.mean(covered) > 0.85


def test_another_order_of_the_classes_agrees_no_better_than_wrong_matchings() -> None:
    rng = np.random.default_rng(5)
    same = compared(sharing_emotion(rng))
    assert same.rank[0] == pytest.approx(1 / 24)
    assert (same.other[0] < 0.8).all()
    moved = compared(sharing_emotion(rng, SHAPE, OTHER_SHAPE))
    assert moved.value[0].mean() < 0.8
    assert moved.rank[0] > 2 / 24
    assert matching_p([same]) == pytest.approx(1 / 24)
    assert matching_p([moved]) > 2 / 24


def test_unrelated_geometries_that_stay_the_same_over_layers_are_seldom_called_alike() -> None:
    """Four classes that lie anyhow agree by .8 and more; one accident is no evidence of six."""
    few, found = draws_of(DESIGN, 1), []
    for seed in range(60):
        rng = np.random.default_rng([9, seed])
        means = 1.5 * rng.normal(size=(2, 4, 20))[:, DESIGN.label_of]
        layers = [
            compare_layer(normalised(noisy[0]), normalised(noisy[1]), few)
            for noisy in (means + rng.normal(size=(3, *means.shape)))
        ]
        found.append((matching_p(layers), np.median([each.value for each in layers])))
    p, value = np.transpose(found)
    assert np.median(value) > 0.75
    assert (p <= 0.05).sum() <= 60 / 24 + 3 * np.sqrt(60 / 24)
    assert (p <= 0.5).sum() >= 15


def texts() -> list[str]:
    """Each class has words of its own, besides the words that all share."""
    cues = ("thanks kind", "furious unfair", "sorry regret", "table seven")
    shared = ("soup", "train", "river", "letter", "garden", "window")
    return [f"{cues[i // N]} {shared[i % 6]} {shared[(i // 6) % 6]}" for i in range(4 * N)]


def test_models_of_words_agree_with_random_words_and_share_nothing_without_them() -> None:
    rng = np.random.default_rng(6)
    vectors = [word_vectors(texts(), seed=seed) for seed in (7, 8, 9)]
    models = [normalised(v + 0.2 * rng.normal(size=v.shape)) for v in vectors[:2] if v is not None]
    assert vectors[2] is not None
    assert compared([models[0], vectors[2]]).value[0] == pytest.approx([1] * 4, abs=0.1)
    predictors = word_predictors(vectors[2], np.full(4 * N, 5) + np.arange(4 * N) % 3)
    left = [without_words(x, predictors, DRAWS.blocks) for x in models]
    before, after = (compare_layer(each[0], each[1], DRAWS) for each in (models, left))
    assert p_value(before.draws) == pytest.approx(1 / 201)
    assert (after.scale[0] < 0.1 * before.scale[0]).sum() + np.isnan(after.scale[0]).sum() == 4


def test_marks_alone_are_no_more_than_random_vectors_of_words_and_marks() -> None:
    """Two models that put other vectors on the same marks share nothing without them."""
    rng = np.random.default_rng(8)
    shared = ("soup", "train", "river", "letter", "garden", "window")
    marked = [f"{shared[i % 6]} {shared[(i // 6) % 6]}{'!?.;'[i // N]}" for i in range(4 * N)]
    vectors = word_vectors(marked)
    assert vectors is not None
    models = [
        normalised(rng.normal(size=(4, 20))[DESIGN.label_of] + 0.5 * rng.normal(size=(4 * N, 20)))
        for _ in range(2)
    ]
    left = [
        without_words(x, word_predictors(vectors, np.full(4 * N, 3)), DRAWS.blocks) for x in models
    ]
    before, after = (compare_layer(each[0], each[1], DRAWS) for each in (models, left))
    assert p_value(before.draws) == pytest.approx(1 / 201)
    assert (after.scale[0] < 0.1 * before.scale[0]).sum() + np.isnan(after.scale[0]).sum() == 4
    assert compare_layer(models[0], normalised(vectors), DRAWS).own_p.max() < 0.05


def test_length_alone_is_partialled_out() -> None:
    rng = np.random.default_rng(7)
    n_tokens = 8 + 4 * (DESIGN.label_of == 3) + rng.integers(3, size=4 * N)
    x = np.outer(n_tokens - n_tokens.mean(), rng.normal(size=20)) + rng.normal(size=(4 * N, 20))
    same_words = word_vectors(["the same words"] * (4 * N))
    assert same_words is not None
    left = without_words(normalised(x), word_predictors(same_words, n_tokens), DRAWS.blocks)
    assert p_value(compare_layer(normalised(x), normalised(x), DRAWS).draws) < 0.01
    assert p_value(compare_layer(left, left, DRAWS).draws) > 0.05


def test_prompts_without_words_have_no_word_vectors() -> None:
    assert word_vectors(["Thank you.", ""]) is None


def units(name: str, x: np.ndarray, labels: tuple[str, ...] = LABELS) -> list[UnitFeatures]:
    """A model whose layer 0 is noise and whose layer 1 are these vectors."""
    noise = np.random.default_rng(len(name)).normal(size=x.shape)
    layers = np.stack([noise, x], axis=1)
    own = [slice(row * N, (row + 1) * N) for row in range(len(labels))]
    return [
        unit_of(
            name,
            label,
            {SITE: layers[rows]},
            subsets=("implicit", "explicit"),
            texts=texts()[rows],
            lengths=[5 + i % 3 for i in range(N)],
        )
        for label, rows in zip(labels, own, strict=True)
    ]


def across_of(*models: list[UnitFeatures]) -> tuple[pd.DataFrame, tuple[Finding, ...]]:
    result = analyse_grid([unit for own in models for unit in own], FAST, workers=1)
    return result.tables["across"], result.findings


@pytest.fixture(scope="module")
def three() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    first, second = sharing_emotion(rng)
    nothing = sharing_prompts(rng)[0]
    return across_of(units("a", first), units("bb", second), units("ccc", nothing))[0]


def test_headline_is_a_value_where_both_models_show_the_emotion_and_blank_elsewhere(
    three: pd.DataFrame,
) -> None:
    both = (three["model_b"] == "bb") & (three["layer_a"] == 1)
    assert three.loc[both, HEADLINE].between(0.9, 1.1).all()
    assert (three.loc[both, f"{HEADLINE}_p_max"] <= 0.05).all()
    assert (three[f"{HEADLINE}_low"] <= three[HEADLINE])[both].all()
    assert (three[f"{HEADLINE}_null_high"] < three[HEADLINE])[both].all()
    assert (three[f"{HEADLINE}_p"] <= three[f"{HEADLINE}_p_max"])[both].all()
    columns = [name for name in three if name.startswith(HEADLINE)]
    # One test for all layers of a pair of models stands in each of their rows.
    whole = f"{HEADLINE}_p_match"
    assert three.loc[~both, [name for name in columns if name != whole]].isna().all(axis=None)
    assert (three.loc[three["model_b"] != "bb", whole].fillna(1) == 1).all()


def test_headline_of_identical_copies_is_one_where_it_is_shown() -> None:
    shown = []
    for seed, size in enumerate((0.4, 0.6, 1.0)):
        rng = np.random.default_rng([11, seed])
        x = sharing_emotion(rng, size * SHAPE)[0]
        found = across_of(units("a", x), units("bb", x))[0]
        shown += found.loc[found["layer_a"] == 1, HEADLINE].dropna().tolist()
    assert len(shown) >= 3
    assert shown == pytest.approx([1] * len(shown), abs=1e-6)


def test_corrected_p_values_count_every_pair_of_models(three: pd.DataFrame) -> None:
    rng = np.random.default_rng(8)
    first, second = sharing_emotion(rng)
    alone = across_of(units("a", first), units("bb", second))[0]
    own = three[three["model_b"] == "bb"]
    assert own[f"{HEADLINE}_p_max"].tolist() == pytest.approx(
        (3 * alone[f"{HEADLINE}_p_max"]).tolist(), nan_ok=True
    )


def test_two_classes_have_no_geometry_that_models_could_share() -> None:
    pair = LABELS[1:3]
    x = sharing_emotion(np.random.default_rng(9))[0][: 2 * N]
    settings = dataclasses.replace(FAST, neutral="apology")
    models = [unit for name in ("a", "bb") for unit in units(name, x, pair)]
    found = analyse_grid(models, settings, workers=1).tables["across"]
    assert found[[name for name in found if name.startswith(HEADLINE)]].isna().all(axis=None)
