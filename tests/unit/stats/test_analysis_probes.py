from typing import Any

import numpy as np
import pytest
from scipy.stats import t, ttest_1samp
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from emoact.stats.design import design_of
from emoact.stats.directions.contrast import make_contrast
from emoact.stats.null.splits import scenario_folds
from emoact.stats.null.uncertainty import bootstrap_counts
from emoact.stats.probes.accuracy import (
    FOLDS_SHARE,
    MARGIN,
    Accuracies,
    Comparison,
    balanced_accuracy,
    compare,
    detectable_gain,
    judge,
    measure_accuracies,
    median_over,
    p_beyond,
    p_words,
)
from emoact.stats.probes.baselines import (
    BASELINE_KINDS,
    BaselineKind,
    TextClassifiers,
    punctuation_features,
)
from emoact.stats.probes.candidates import Candidate, chosen_baseline
from emoact.stats.probes.lda import lda_decisions
from emoact.stats.probes.logistic import logistic_decisions
from emoact.stats.probes.probes import (
    CROSS_VALIDATED,
    MANY_PROMPTS,
    PROBE_KINDS,
    ProbeKind,
    band,
    correctness,
    fold_splits,
    inner_splits,
    layer_decisions,
    mass_mean_decisions,
)
from tests.support.planted_features import QUICK

LEXICAL_KINDS: tuple[BaselineKind, ...] = ("bag_of_words", "tfidf", "char_tfidf")


def problem(n: int, d: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(2 * n, d)) * np.exp(rng.normal(size=d) / 2)
    labels = np.arange(2 * n) < n + 3
    x[labels, : max(1, d // 10)] += 1
    return x, labels, rng.normal(size=(17, d))


def assert_lda(x: np.ndarray, labels: np.ndarray, test: np.ndarray) -> None:
    """The decisions are those of scikit-learn."""
    oracle = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=[0.5, 0.5])
    expected = oracle.fit(x, labels).decision_function(test)
    np.testing.assert_allclose(lda_decisions(x, labels, test), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("n", "d", "constant"), [(20, 5, 0), (15, 60, 0), (25, 300, 0), (120, 30, 0), (15, 40, 1)]
)
def test_lda_agrees_with_scikit_learn_also_on_dimensions_that_never_change(
    n: int, d: int, constant: int
) -> None:
    x, labels, test = problem(n, d)
    x[:, 3 : 3 + constant] = test[:, 3 : 3 + constant] = 2.0
    assert_lda(x, labels, test)


def test_lda_of_two_prompts_a_class_agrees_with_scikit_learn() -> None:
    # Both rows of a class lie equally far from their mean, so that nothing is left to shrink.
    rng = np.random.default_rng(4)
    for d in (3, 8, 40):
        x, test = rng.normal(size=(4, d)), rng.normal(size=(9, d))
        assert_lda(x, np.array([True, True, False, False]), test)


@pytest.mark.parametrize(
    ("n", "d", "penalty_c", "tolerance"),
    [(20, 3, 1.0, 1e-6), (150, 40, 1.0, 3e-3), (15, 60, 1.0, 1e-8), (25, 300, 10.0, 1e-8)],
)
def test_logistic_agrees_with_scikit_learn(
    n: int, d: int, penalty_c: float, tolerance: float
) -> None:
    x, labels, test = problem(n, d)
    oracle = LogisticRegression(
        C=penalty_c, solver="newton-cg", tol=1e-13, max_iter=1000, class_weight="balanced"
    ).fit(x, labels)
    np.testing.assert_allclose(
        logistic_decisions(x, labels, test, penalty_c=penalty_c),
        oracle.decision_function(test),
        atol=tolerance,
    )


def test_classes_weigh_the_same_whatever_their_sizes() -> None:
    unequal = np.arange(8) < 6
    decisions = logistic_decisions(np.ones((8, 3)), unequal, np.ones((2, 3)))
    assert (decisions == 0).all()


def test_mass_mean_is_the_projection_from_the_midpoint() -> None:
    x, labels, test = problem(10, 6)
    here, there = x[labels].mean(0), x[~labels].mean(0)
    expected = test @ (here - there) - (here @ here - there @ there) / 2
    np.testing.assert_allclose(mass_mean_decisions(x, labels, test), expected, atol=1e-10)


@pytest.mark.parametrize("kind", ["lda", "logistic"])
def test_cross_validation_is_that_of_a_pipeline_over_groups(kind: ProbeKind) -> None:
    n = 20
    design = design_of(["a"] * n + ["n"] * n, [str(i) for i in range(n)] * 2)
    x, _, _ = problem(n, 50)
    labels = np.arange(2 * n) < n
    folds = np.empty(2 * n, dtype=np.int64)
    for fold, (_, test) in enumerate(GroupKFold(5).split(x, labels, design.scenario_of)):
        folds[test] = fold
    splits = fold_splits(np.ones(2 * n, dtype=bool), folds)
    found = layer_decisions(x, labels, splits, [kind])[0]
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
    splits = fold_splits(used, np.arange(20) % 5)
    before = layer_decisions(x, labels, splits, PROBE_KINDS)
    x[~used] = 1e9
    np.testing.assert_array_equal(before, layer_decisions(x, labels, splits, PROBE_KINDS))
    assert np.isnan(before[:, ~used]).all()


def test_fold_without_a_class_in_training_decides_nothing() -> None:
    labels = np.array([True, False, False, False])
    splits = fold_splits(np.ones(4, dtype=bool), np.array([0, 1, 1, 2]))
    (decisions,) = layer_decisions(np.ones((4, 2)), labels, splits, ["mass_mean"])
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
    labels, splits = np.arange(2 * n) < n, fold_splits(np.ones(2 * n, dtype=bool), folds)
    rng = np.random.default_rng(5)
    accuracy = [
        correctness(
            layer_decisions(rng.normal(size=(2 * n, 30)), labels, splits, [kind])[0], labels
        ).mean()
        for _ in range(60)
    ]
    assert abs(np.mean(accuracy) - 0.5) < 3 * np.std(accuracy) / np.sqrt(60)


@pytest.mark.parametrize(
    ("n_layers", "first", "last"),
    [(1, 0, 0), (2, 1, 1), (3, 1, 2), (4, 1, 2), (12, 3, 8), (30, 7, 22)],
)
def test_headline_is_of_the_middle_half_of_the_layers(n_layers: int, first: int, last: int) -> None:
    assert list(band(n_layers)) == list(range(first, last + 1))


@pytest.mark.parametrize("n", [40, 2 * MANY_PROMPTS])
def test_choice_for_a_fold_sees_neither_the_fold_nor_the_one_it_is_judged_on(n: int) -> None:
    used, folds = np.arange(n) % 7 != 0, np.arange(n) % 5
    found = inner_splits(used, folds)
    assert {fold for pair in found for fold in pair} == set(range(5))
    for pair, train in found.items():
        assert not np.isin(folds[train], pair).any()
        assert used[train].all()
        assert train.sum() == used[~np.isin(folds, pair)].sum()


def test_best_of_baselines_that_know_nothing_is_right_by_chance_on_the_tested_prompts() -> None:
    rng, n, chosen, best = np.random.default_rng(1), 20, [], []
    design = design_of(["joy"] * n + ["neutral"] * n, [*map(str, range(n))] * 2)
    contrast = make_contrast(design, "joy", QUICK)
    n_folds = int(contrast.folds.max()) + 1
    for _ in range(150):
        coins = rng.integers(2, size=(len(BASELINE_KINDS), 1 + n_folds, 2 * n)).astype(np.float16)
        candidates = {
            str(kind): Candidate(
                correct={CROSS_VALIDATED: own[0]},
                inner={
                    CROSS_VALIDATED: np.where(contrast.folds == np.c_[:n_folds], np.nan, own[1:])
                },
            )
            for kind, own in zip(BASELINE_KINDS, coins, strict=True)
        }
        _, correct = chosen_baseline(candidates, contrast, CROSS_VALIDATED)
        chosen.append(float(correct.mean()))
        best.append(float(coins[:, 0].mean(axis=1).max()))
    # The best on the tested prompts would make the probe look worse by this much.
    assert np.mean(best) > 0.57
    assert np.mean(chosen) == pytest.approx(0.5, abs=0.015)


TEXTS = ["Thank you so much for the soup.", "I thank you for the lift today."] * 10 + [
    "The soup stood on the table.",
    "A lift goes to the fifth floor.",
] * 10
LABELS = np.arange(40) < 20
USED = np.ones(40, dtype=bool)
FOLDS = np.arange(40) // 2 % 5


def accuracy(kind: BaselineKind, texts: list[str], lengths: np.ndarray) -> float:
    splits = fold_splits(USED, FOLDS)
    decisions = TextClassifiers(texts, lengths).decisions(kind, LABELS, splits)
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
    found = TextClassifiers(TEXTS, SAME_LENGTH).decisions("tfidf", LABELS, [(train, ~train)])
    oracle = make_pipeline(
        TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", ngram_range=(1, 2), sublinear_tf=True),
        LogisticRegression(C=10.0, solver="newton-cg", tol=1e-13, max_iter=1000),
    ).fit([t for t, k in zip(TEXTS, train, strict=True) if k], LABELS[train])
    expected = oracle.decision_function([t for t, k in zip(TEXTS, ~train, strict=True) if k])
    np.testing.assert_allclose(found[~train], expected, rtol=1e-7, atol=1e-8)


N = 40
DESIGN = design_of(["a"] * N + ["n"] * N, [str(i) for i in range(N)] * 2)
DRAWS = bootstrap_counts(DESIGN, 400)
IS_A = np.arange(2 * N) < N


def right(share: float, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random(2 * N) < share).astype(np.float64)


def median(*correct: np.ndarray) -> Accuracies:
    return median_over(
        measure_accuracies(np.stack(correct), IS_A, DESIGN, DRAWS, cross_validated=True)
    )


def test_accuracies_and_intervals_are_those_of_scikit_learn_and_of_a_bootstrap_by_hand() -> None:
    correct = right(0.8, 0)
    correct[:7] = np.nan
    found = measure_accuracies(correct[None], IS_A, DESIGN, DRAWS, cross_validated=True)
    decided = np.isfinite(correct)
    said = np.where(correct == 1, IS_A, ~IS_A)
    assert found.accuracy[0] == pytest.approx(correct[decided].mean())
    expected = balanced_accuracy_score(IS_A[decided], said[decided])
    assert found.balanced[0] == pytest.approx(expected)
    assert balanced_accuracy(correct, IS_A) == pytest.approx(expected)
    values = []
    for counts in DRAWS:
        rows = np.repeat(np.arange(2 * N), counts[DESIGN.scenario_of])
        rows = rows[decided[rows]]
        values.append(balanced_accuracy_score(IS_A[rows], said[rows]))
    np.testing.assert_allclose(found.drawn[1, 1:, 0], values)
    # Shares from which this one is t standard errors away.
    ends = found.balanced_interval[:, 0]
    se = np.sqrt(FOLDS_SHARE * np.var(values) * ends * (1 - ends) / (expected * (1 - expected)))
    np.testing.assert_allclose((expected - ends) / se, t.ppf([0.975, 0.025], N - 1))
    assert (found.n[0], found.n_scenarios[0]) == (2 * N - 7, N)


def test_larger_class_has_no_more_say_than_the_smaller_one() -> None:
    is_small = np.arange(2 * N) < 8
    always_large = (~is_small).astype(np.float64)
    found = measure_accuracies(always_large[None], is_small, DESIGN, DRAWS, cross_validated=True)
    assert found.accuracy[0] == pytest.approx(0.9)
    assert found.balanced[0] == 0.5


def test_headline_is_the_median_and_no_layer_of_saturated_accuracy_is_picked() -> None:
    layers = [right(share, seed) for seed, share in enumerate((0.6, 0.7, 1.0))]
    assert median(*layers).balanced == pytest.approx(balanced_accuracy(layers[1], IS_A))


def test_nothing_decided_has_no_accuracy() -> None:
    found = median(np.full(2 * N, np.nan))
    assert (int(found.n), int(found.n_scenarios)) == (0, 0)
    assert np.isnan([found.balanced, *found.balanced_interval, found.p_chance]).all()


def test_paired_comparison_agrees_with_the_t_test_over_scenarios() -> None:
    probe, words = right(0.85, 1), right(0.65, 2)
    found = compare(median(probe), median(words))
    by_scenario = (probe - words).reshape(2, N).mean(axis=0)
    expected = ttest_1samp(by_scenario, 0, alternative="greater")
    assert found.difference == pytest.approx(by_scenario.mean())
    assert found.se == pytest.approx(by_scenario.std(ddof=1) / np.sqrt(N), rel=0.1)
    assert found.p_better == pytest.approx(expected.pvalue, rel=0.5)
    assert found.interval[0] < found.difference < found.interval[1]


def test_agreement_on_few_prompts_is_no_proof_of_equality() -> None:
    few = design_of(["a"] * 8 + ["n"] * 8, [str(i) for i in range(8)] * 2)
    correct = measure_accuracies(
        np.ones((1, 16)), np.arange(16) < 8, few, bootstrap_counts(few, 200), cross_validated=True
    )
    same = compare(median_over(correct), median_over(correct))
    assert same.difference == 0
    assert same.p_within > 0.05
    assert compare(median(np.ones(2 * N)), median(np.ones(2 * N))).p_within < 0.05


def test_beyond_needs_all_comparisons_and_words_need_one_with_its_price() -> None:
    three = [
        Comparison(se=0.02, p_better=better, p_within=within)
        for better, within in ((0.001, 0.9), (0.03, 0.6), (0.01, 0.02))
    ]
    assert p_beyond(three) == 0.03
    assert p_words(three) == pytest.approx(0.06)


def test_detectable_gain_is_shown_in_eighty_percent_of_data_sets() -> None:
    n, se = 30, 0.03
    gain = detectable_gain([Comparison(se=se), Comparison(se=0.01)], n, 0.01)
    rng = np.random.default_rng(0)
    x = gain + se * np.sqrt(n) * rng.normal(size=(4000, n))
    power = (ttest_1samp(x, 0, axis=1, alternative="greater").pvalue <= 0.01).mean()
    assert power == pytest.approx(0.8, abs=0.04)


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        ({"p_beyond": 0.01}, "beyond_words"),
        ({"p_words": 0.01}, "words_suffice"),
        ({"p_beyond": 0.01, "p_words": 0.01}, "beyond_words"),
        ({}, "inconclusive"),
        ({"p_beyond": np.nan, "p_words": np.nan}, "inconclusive"),
        ({"p_beyond": 0.01, "separated": False}, "no_separation"),
        ({"p_beyond": 0.01, "n_scenarios": 5}, "undecided"),
        ({"testable": False, "separated": False}, "undecided"),
        ({"separated": False, "unseparated": "order_only"}, "order_only"),
    ],
)
def test_verdict_follows_the_p_values(changed: dict[str, Any], verdict: str) -> None:
    asked: dict[str, Any] = {
        "n_scenarios": 6,
        "testable": True,
        "separated": True,
        "unseparated": "no_separation",
        "p_beyond": 0.3,
        "p_words": 0.3,
        "alpha": 0.05,
    }
    assert judge(**{**asked, **changed}) == verdict


@pytest.mark.parametrize("cross_validated", [True, False])
def test_accuracy_of_classes_that_do_not_differ_is_rarely_above_chance(
    cross_validated: bool,
) -> None:
    n, d = 25, 20
    design = design_of(["a"] * n + ["n"] * n, [str(i) for i in range(n)] * 2)
    draws, labels = bootstrap_counts(design, 100), np.arange(2 * n) < n
    half = np.arange(2 * n) % n < n // 2
    splits = (
        fold_splits(np.ones(2 * n, dtype=bool), scenario_folds(design))
        if cross_validated
        else [(half, ~half)]
    )
    rng, above = np.random.default_rng(7), 0
    for _ in range(150):
        decisions = layer_decisions(rng.normal(size=(2 * n, d)), labels, splits, ["mass_mean"])
        correct = correctness(decisions, labels)
        found = median_over(
            measure_accuracies(correct, labels, design, draws, cross_validated=cross_validated)
        )
        above += int(found.p_chance <= 0.05)
    assert above <= 15


@pytest.mark.parametrize(("n", "effect"), [(10, 2.5), (25, 2.0), (25, 0.0)])
def test_intervals_of_cross_validated_accuracy_hold_its_mean_in_95_percent_of_data_sets(
    n: int, effect: float
) -> None:
    design = design_of(["a"] * n + ["n"] * n, [str(i) for i in range(n)] * 2)
    draws, labels = bootstrap_counts(design, 200), np.arange(2 * n) < n
    splits = fold_splits(np.ones(2 * n, dtype=bool), scenario_folds(design))
    rng, values, ends, plain = np.random.default_rng(5), [], [], []
    for _ in range(150):
        same = np.tile(rng.normal(size=(n, 30)), (2, 1)) + rng.normal(size=(2 * n, 30))
        same[:n, 0] += effect
        decisions = [
            layer_decisions(same + 0.3 * rng.normal(size=same.shape), labels, splits, ["mass_mean"])
            for _ in range(4)
        ]
        correct = np.concatenate([correctness(each, labels) for each in decisions])
        found = median_over(
            measure_accuracies(correct, labels, design, draws, cross_validated=True)
        )
        values.append(found.balanced)
        ends.append(found.balanced_interval)
        plain.append(np.quantile(found.drawn[1, 1:], [0.025, 0.975]))

    def covered(intervals: list[Any]) -> float:
        low, high = np.array(intervals).T
        return float(np.mean((low <= np.mean(values)) & (np.mean(values) <= high)))

    assert 0.92 <= covered(ends) <= 0.995
    # Percentiles of a bootstrap that keeps the decisions are too narrow.
    assert covered(plain) < covered(ends) - 0.03


def test_margin_is_five_points() -> None:
    far = compare(median(np.ones(2 * N)), median(np.ones(2 * N)))
    assert far.p_within == pytest.approx(t.sf(MARGIN / far.se, N - 1))
