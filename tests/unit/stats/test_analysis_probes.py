from __future__ import annotations

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from emoact.stats.design import contrast_against, design_of
from emoact.stats.null.splits import scenario_folds
from emoact.stats.null.uncertainty import bootstrap_counts
from emoact.stats.probes.accuracy import compare_with_words, measure_accuracy
from emoact.stats.probes.baselines import (
    BASELINE_KINDS,
    LEXICAL_KINDS,
    BaselineKind,
    baseline_cross_validated,
    baseline_decisions,
    punctuation_features,
)
from emoact.stats.probes.lda import lda_decisions
from emoact.stats.probes.logistic import logistic_decisions
from emoact.stats.probes.probes import (
    DECIDERS,
    PROBE_KINDS,
    ProbeKind,
    best_layer,
    correctness,
    cross_validated_decisions,
    mass_mean_decisions,
    nested_layers,
)

RNG = np.random.default_rng(0)


def problem(n: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2 * n, d)) * np.exp(rng.normal(size=d) / 2)
    labels = np.arange(2 * n) < n + 3
    x[labels, : max(1, d // 10)] += 1
    return x, labels, rng.normal(size=(17, d))


@pytest.mark.parametrize(("n", "d"), [(20, 5), (15, 60), (25, 300)])
def test_lda_agrees_with_scikit_learn(n: int, d: int) -> None:
    x, labels, test = problem(n, d)
    oracle = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(x, labels)
    np.testing.assert_allclose(
        lda_decisions(x, labels, test), oracle.decision_function(test), rtol=1e-8, atol=1e-8
    )


def test_lda_of_two_prompts_a_class_agrees_with_scikit_learn() -> None:
    # Both rows of a class lie equally far from their mean, so that nothing is left to shrink.
    rng = np.random.default_rng(4)
    for d in (3, 8, 40):
        x, labels, test = (
            rng.normal(size=(4, d)),
            np.array([True, True, False, False]),
            rng.normal(size=(9, d)),
        )
        oracle = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(x, labels)
        np.testing.assert_allclose(
            lda_decisions(x, labels, test), oracle.decision_function(test), rtol=1e-8, atol=1e-8
        )


def test_lda_agrees_with_scikit_learn_on_dimensions_that_never_change() -> None:
    x, labels, test = problem(15, 40)
    x[:, 3] = test[:, 3] = 2.0
    oracle = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(x, labels)
    np.testing.assert_allclose(
        lda_decisions(x, labels, test), oracle.decision_function(test), rtol=1e-8, atol=1e-8
    )


@pytest.mark.parametrize(("n", "d", "penalty_c"), [(20, 3, 1.0), (15, 60, 1.0), (25, 300, 10.0)])
def test_logistic_agrees_with_scikit_learn(n: int, d: int, penalty_c: float) -> None:
    x, labels, test = problem(n, d)
    oracle = LogisticRegression(C=penalty_c, solver="newton-cg", tol=1e-13, max_iter=1000)
    oracle.fit(x, labels)
    np.testing.assert_allclose(
        logistic_decisions(x, labels, test, penalty_c=penalty_c),
        oracle.decision_function(test),
        rtol=1e-8,
        atol=1e-8,
    )


def test_logistic_of_features_that_never_change_gives_the_prior() -> None:
    decisions = logistic_decisions(np.ones((8, 3)), np.arange(8) < 6, np.ones((2, 3)))
    np.testing.assert_allclose(decisions, np.log(3), rtol=1e-8)


def test_mass_mean_is_the_projection_from_the_midpoint() -> None:
    x, labels, test = problem(10, 6)
    here, there = x[labels].mean(0), x[~labels].mean(0)
    expected = test @ (here - there) - (here @ here - there @ there) / 2
    np.testing.assert_allclose(mass_mean_decisions(x, labels, test), expected, atol=1e-10)


@pytest.mark.parametrize("kind", ["lda", "logistic"])
def test_cross_validation_is_that_of_a_pipeline_over_groups(kind: ProbeKind) -> None:
    n = 20
    design = design_of(["a"] * n + ["n"] * n, [str(i) for i in range(n)] * 2)
    x, _, _ = problem(n, 30)
    labels = np.arange(2 * n) < n
    folds = np.empty(2 * n, dtype=np.int64)
    for fold, (_, test) in enumerate(GroupKFold(5).split(x, labels, design.scenario_of)):
        folds[test] = fold
    found = cross_validated_decisions(DECIDERS[kind], x, labels, np.ones(2 * n, dtype=bool), folds)
    model = (
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
        if kind == "lda"
        else LogisticRegression(solver="newton-cg", tol=1e-13, max_iter=1000)
    )
    for train, test in GroupKFold(5).split(x, labels, design.scenario_of):
        oracle = make_pipeline(StandardScaler(), model).fit(x[train], labels[train])
        np.testing.assert_allclose(
            found[test], oracle.decision_function(x[test]), rtol=1e-7, atol=1e-8
        )


def test_prompts_outside_the_contrast_are_neither_seen_nor_decided() -> None:
    x, _, _ = problem(10, 6)
    labels = np.arange(20) < 5
    used = np.arange(20) % 4 != 3
    folds = np.arange(20) % 5
    before = cross_validated_decisions(mass_mean_decisions, x, labels, used, folds)
    x[~used] = 1e9
    after = cross_validated_decisions(mass_mean_decisions, x, labels, used, folds)
    np.testing.assert_array_equal(before, after)
    assert np.isnan(before[~used]).all()


def test_fold_without_a_class_in_training_decides_nothing() -> None:
    decisions = cross_validated_decisions(
        mass_mean_decisions,
        np.ones((4, 2)),
        np.array([True, False, False, False]),
        np.ones(4, dtype=bool),
        np.array([0, 1, 1, 2]),
    )
    assert np.isnan(decisions[0])
    assert np.isfinite(decisions[1:]).all()


def test_correctness_counts_a_tie_as_half() -> None:
    np.testing.assert_array_equal(
        correctness(np.array([2.0, -1.0, 0.0, np.nan]), np.array([True, True, False, False])),
        [1, 0, 0.5, np.nan],
    )


@pytest.mark.parametrize("kind", PROBE_KINDS)
def test_probes_of_noise_are_at_chance(kind: ProbeKind) -> None:
    n = 20
    folds = scenario_folds(design_of(["a"] * n + ["n"] * n, [str(i) for i in range(n)] * 2))
    labels = np.arange(2 * n) < n
    rng = np.random.default_rng(5)
    accuracy = [
        correctness(
            cross_validated_decisions(
                DECIDERS[kind],
                rng.normal(size=(2 * n, 30)),
                labels,
                np.ones(2 * n, dtype=bool),
                folds,
            ),
            labels,
        ).mean()
        for _ in range(60)
    ]
    assert abs(np.mean(accuracy) - 0.5) < 3 * np.std(accuracy) / np.sqrt(60)


def test_layer_is_chosen_inside_the_training_prompts() -> None:
    n = 30
    design = design_of(["a"] * n + ["n"] * n, [str(i) for i in range(n)] * 2)
    x = np.random.default_rng(1).normal(size=(2 * n, 4, 10))
    x[:n, 2] += 0.8
    contrast = contrast_against(design, "a", "n")
    folds = scenario_folds(design)
    np.testing.assert_array_equal(nested_layers(design, x, contrast, folds), [2] * 5)


def test_held_out_prompts_have_no_say_in_their_layer() -> None:
    n = 20
    design = design_of(["a"] * n + ["n"] * n, [str(i) for i in range(n)] * 2)
    contrast, folds = contrast_against(design, "a", "n"), scenario_folds(design)
    rng = np.random.default_rng(2)
    moved = 0
    for _ in range(12):
        x = rng.normal(size=(2 * n, 5, 6))
        honest = nested_layers(design, x, contrast, folds)
        x[folds == 3, 0] += 3 * np.where(design.label_of[folds == 3] == 0, 1, -1)[:, None]
        found = nested_layers(design, x, contrast, folds)
        assert found[3] == honest[3]
        moved += int((found != honest).any())
    assert moved > 0


def test_layer_cannot_be_chosen_from_one_class() -> None:
    design = design_of(["a"] * 4 + ["n"] * 4)
    x = RNG.normal(size=(8, 2, 3))
    contrast = contrast_against(design, "a", "n")
    assert best_layer(design, x, contrast, np.arange(8) < 4) == -1
    assert best_layer(design, x, contrast, np.zeros(8, dtype=bool)) == -1


TEXTS = ["Thank you so much for the soup.", "I thank you for the lift today."] * 10 + [
    "The soup stood on the table.",
    "A lift goes to the fifth floor.",
] * 10
LABELS = np.arange(40) < 20
USED = np.ones(40, dtype=bool)
FOLDS = np.arange(40) // 2 % 5


def accuracy(kind: BaselineKind, texts: list[str], lengths: np.ndarray) -> float:
    decisions = baseline_cross_validated(kind, texts, lengths, LABELS, USED, FOLDS)
    return float(correctness(decisions, LABELS).mean())


SAME_LENGTH = np.full(40, 7)


def test_each_baseline_sees_its_own_cue_only() -> None:
    assert accuracy("majority", TEXTS, SAME_LENGTH) == 0.5
    assert accuracy("length", TEXTS, SAME_LENGTH) == 0.5
    assert accuracy("punctuation", TEXTS, SAME_LENGTH) == 0.5
    for kind in LEXICAL_KINDS:
        assert accuracy(kind, TEXTS, SAME_LENGTH) == 1.0


def test_length_and_punctuation_are_found_when_they_tell() -> None:
    plain = ["word"] * 40
    assert accuracy("length", plain, np.where(LABELS, 12, 7)) == 1.0
    loud = [text + ("!" if label else ".") for text, label in zip(plain, LABELS, strict=True)]
    assert accuracy("punctuation", loud, SAME_LENGTH) == 1.0
    assert accuracy("bag_of_words", loud, SAME_LENGTH) == 0.5


def test_words_are_found_in_languages_without_spaces() -> None:
    texts = ["助けてくれてありがとう。"] * 20 + ["机の上に本がある。"] * 20
    assert accuracy("char_tfidf", texts, SAME_LENGTH) == 1.0


def test_texts_without_words_tell_nothing() -> None:
    for kind in BASELINE_KINDS:
        assert accuracy(kind, ["..."] * 40, SAME_LENGTH) == 0.5


@pytest.mark.parametrize("kind", LEXICAL_KINDS)
def test_words_of_held_out_prompts_are_not_learnt(kind: BaselineKind) -> None:
    own_word = [f"{chr(97 + i % 26) * 5}{i}" for i in range(40)]
    assert accuracy(kind, own_word, SAME_LENGTH) < 0.8


def test_punctuation_features_count_and_look_at_the_end() -> None:
    features = punctuation_features(["a, b, c!", "d."])
    assert features[0].tolist() == [1, 2, 0, 1, 0, 0]
    assert features[1].tolist() == [0, 0, 1, 0, 1, 0]


def test_tfidf_baseline_agrees_with_scikit_learn() -> None:
    train = np.arange(40) % 4 != 0
    found = baseline_decisions("tfidf", TEXTS, SAME_LENGTH, LABELS, train, ~train)
    oracle = make_pipeline(
        TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=10.0, solver="newton-cg", tol=1e-13, max_iter=1000),
    ).fit([t for t, k in zip(TEXTS, train, strict=True) if k], LABELS[train])
    expected = oracle.decision_function([t for t, k in zip(TEXTS, ~train, strict=True) if k])
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-8)


N = 40
DESIGN = design_of(["a"] * N + ["n"] * N, [str(i) for i in range(N)] * 2)
DRAWS = bootstrap_counts(DESIGN, 400)
CHANCE = np.full(2 * N, 0.5)


def right(share: float, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random(2 * N) < share).astype(np.float64)


def test_accuracy_has_an_interval_around_it() -> None:
    found = measure_accuracy(right(0.8, 0), DESIGN, DRAWS)
    assert found.value == right(0.8, 0).mean()
    assert found.low < found.value < found.high
    assert found.high - found.low == pytest.approx(4 * np.sqrt(0.8 * 0.2 / 80), rel=0.35)
    nothing = measure_accuracy(np.full(2 * N, np.nan), DESIGN, DRAWS)
    assert nothing.n == 0
    assert np.isnan(nothing.value)


@pytest.mark.parametrize(
    ("probe", "words", "verdict"),
    [
        (right(0.97, 1), right(0.6, 2), "beyond_words"),
        (right(0.9, 1), right(0.9, 2), "lexical_suffices"),
        (right(0.75, 1), right(0.97, 2), "lexical_suffices"),
        (right(0.5, 1), right(0.5, 2), "no_separation"),
        (np.full(2 * N, np.nan), right(0.5, 2), "undecided"),
    ],
)
def test_verdict_follows_the_numbers(probe: np.ndarray, words: np.ndarray, verdict: str) -> None:
    found = compare_with_words(probe, {"tfidf": words}, CHANCE, DESIGN, DRAWS)
    assert found.verdict == verdict


@pytest.mark.parametrize(("n", "verdict"), [(5, "undecided"), (6, "beyond_words")])
def test_a_handful_of_scenarios_decides_nothing(n: int, verdict: str) -> None:
    design = design_of(["a"] * n + ["n"] * n, [str(i) for i in range(n)] * 2)
    right_all, wrong_all = np.ones(2 * n), np.zeros(2 * n)
    found = compare_with_words(
        right_all, {"tfidf": wrong_all}, np.full(2 * n, 0.5), design, bootstrap_counts(design, 200)
    )
    assert found.verdict == verdict


def test_best_word_baseline_is_the_one_compared() -> None:
    weak, strong = right(0.5, 3), right(0.9, 4)
    found = compare_with_words(
        right(0.9, 1), {"bag_of_words": weak, "tfidf": strong}, CHANCE, DESIGN, DRAWS
    )
    assert found.baseline == "tfidf"
    assert found.difference == pytest.approx(right(0.9, 1).mean() - strong.mean())
