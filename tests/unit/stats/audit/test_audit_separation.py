"""Relabelling, association and classifier, against full listings, scipy and scikit-learn."""

import itertools

import numpy as np
import pytest
from scipy.stats import f_oneway
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import NearestCentroid
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from emoact.schema import Prompt
from emoact.stats.audit.separation import (
    Relabelled,
    associate,
    folds_of,
    guess,
    permutation_p,
    relabelled,
    unit_rows,
    whitened,
)


def labels_of(emotions: list[str], scenarios: list[str | None], draws: int) -> Relabelled:
    prompts = [
        Prompt(id=f"p{row}", text="x", emotion=emotion, scenario_id=scenario)
        for row, (emotion, scenario) in enumerate(zip(emotions, scenarios, strict=True))
    ]
    return relabelled(prompts, draws, seed=5)


@pytest.mark.parametrize(
    ("scenarios", "scheme", "block"),
    [
        (["s", "s", "t", "t"], "within scenario", [1, 1, 2, 2]),
        ([None] * 4, "over all prompts", [0] * 4),
        (["s", "t", "s", "t"], "over scenarios", [0] * 4),
        (["1", "1", None, None], "mixed", [1, 1, 0, 0]),
    ],
)
def test_the_kind_of_exchange_follows_from_the_scenarios(
    scenarios: list[str | None], scheme: str, block: list[int]
) -> None:
    found = labels_of(["a", "b", "a", "b"], scenarios, 10)
    assert found.scheme == scheme
    assert found.block.tolist() == block
    assert found.draws[0].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("emotions", "scenarios", "arrangements"),
    [
        (list("abab"), list("sstt"), 4),
        (list("abcabc"), list("sssttt"), 36),
        (list("aaabb"), [None] * 5, 10),
        (list("aaaabb"), list("ssttuu"), 3),
        (list("abab"), ["s", "s", None, None], 4),
        (list("aaaa"), [None] * 4, 1),
    ],
)
def test_the_number_of_arrangements_is_that_of_a_full_listing(
    emotions: list[str], scenarios: list[str | None], arrangements: int
) -> None:
    found = labels_of(emotions, scenarios, 2000)
    assert len({tuple(row) for row in found.draws.tolist()}) == arrangements
    assert 10**found.log10_arrangements == pytest.approx(arrangements)


def test_eta_squared_is_that_of_an_analysis_of_variance() -> None:
    rng = np.random.default_rng(3)
    label = np.repeat([0, 1, 2], [7, 12, 9])
    values = rng.normal(size=28) + 0.8 * label
    found = associate(values[:, None], np.zeros(28, dtype=np.int64), label[None])
    assert found is not None
    f = f_oneway(*(values[label == one] for one in range(3))).statistic
    assert found.eta_squared == pytest.approx(f * 2 / (f * 2 + 25))


def test_block_means_are_taken_out_first() -> None:
    rng = np.random.default_rng(4)
    block = np.repeat(np.arange(1, 11), 2)
    label = np.tile([0, 1], 10)
    values = 100.0 * block + 0.1 * label + 0.01 * rng.normal(size=20)
    found = associate(values[:, None], block, label[None])
    assert found is not None
    differences = values[1::2] - values[::2]
    within = np.concatenate([-differences, differences]) / 2
    assert found.eta_squared == pytest.approx(differences.mean() ** 2 * 5 / (within**2).sum())
    assert found.eta_squared > 0.9


def test_p_counts_the_permutations_that_reach_the_observed_value() -> None:
    values = np.array([1.0, 2.0, 4.0, 8.0, 3.0])
    label = np.array([0, 0, 1, 1, 1])
    draws = np.array([label, *sorted(set(itertools.permutations(label.tolist())))])
    found = associate(values[:, None], np.zeros(5, dtype=np.int64), draws)
    assert found is not None
    gaps = [values[row == 1].mean() - values[row == 0].mean() for row in draws[1:]]
    observed = values[label == 1].mean() - values[label == 0].mean()
    reached = sum(abs(gap) >= abs(observed) - 1e-12 for gap in gaps)
    assert found.p == pytest.approx((1 + reached) / (1 + 10))


def test_the_strongest_feature_is_named_and_its_p_pays_for_the_choice() -> None:
    rng = np.random.default_rng(5)
    label = np.tile([0, 1], 60)
    block = np.zeros(120, dtype=np.int64)
    draws = np.array([label, *(rng.permutation(label) for _ in range(499))])
    noise = rng.normal(size=(120, 40))
    alone = min(_p(noise[:, [column]], block, draws) for column in range(40))
    assert _p(noise, block, draws) > 5 * alone
    planted = noise.copy()
    planted[:, 17] += label
    found = associate(planted, block, draws)
    assert found is not None
    assert (found.strongest, found.p, found.n_features) == (17, 1 / 500, 40)
    assert found.separating == (17,)


def test_features_that_do_not_vary_within_blocks_are_no_association() -> None:
    block = np.repeat(np.arange(1, 6), 4)
    features = np.stack([np.ones(20), block.astype(float)], axis=1)
    label = np.tile(np.arange(4), 5)
    assert associate(features, block, label[None]) is None


@pytest.mark.parametrize(("null", "p"), [([0.0] * 99, 0.01), ([1.0] * 99, 1.0), ([3.0, 1.0], 1.0)])
def test_the_p_value_is_never_zero_and_ties_count(null: list[float], p: float) -> None:
    assert permutation_p(np.array([1.0, *null])) == pytest.approx(p)


def _p(features: np.ndarray, block: np.ndarray, draws: np.ndarray) -> float:
    found = associate(features, block, draws)
    assert found is not None
    return found.p


def _scikit_learn(features: np.ndarray, folds: np.ndarray, label: np.ndarray) -> float:
    scores = []
    for fold in folds:
        predicted = np.empty_like(label)
        for held_out in np.unique(fold):
            test = fold == held_out
            model = NearestCentroid().fit(features[~test], label[~test])
            predicted[test] = model.predict(features[test])
        scores.append(balanced_accuracy_score(label, predicted))
    return float(np.mean(scores))


@pytest.mark.parametrize("n_features", [1, 6, 150])
def test_accuracies_are_those_of_scikit_learn_for_every_permutation(n_features: int) -> None:
    rng = np.random.default_rng(n_features)
    label = np.repeat([0, 1, 2], [40, 30, 20])
    features = rng.normal(size=(90, n_features)) + 0.5 * label[:, None] / np.sqrt(n_features)
    folds = folds_of(np.arange(90) // 3, rng)
    draws = np.array([label, *(rng.permutation(label) for _ in range(9))])
    found = guess(features, folds, draws)
    with threadpool_limits(limits=1):  # many tiny fits; threads would only wait for one another
        expected = [_scikit_learn(features, folds, row) for row in draws]
    assert found.value == pytest.approx(expected[0])
    assert found.chance == pytest.approx(np.mean(expected[1:]))
    assert found.p == (1 + sum(one >= expected[0] - 1e-9 for one in expected[1:])) / 10


def test_folds_keep_scenarios_whole_and_are_five_of_equal_size() -> None:
    unit = np.repeat(np.arange(50), 4)
    folds = folds_of(unit, np.random.default_rng(0))
    for fold in folds:
        assert all(len(set(fold[unit == one])) == 1 for one in range(50))
        assert np.bincount(fold).tolist() == [40] * 5
    assert len({tuple(fold) for fold in folds}) > 1


def test_a_feature_that_says_everything_is_found_and_one_that_says_nothing_is_not() -> None:
    rng = np.random.default_rng(1)
    label = np.tile(np.arange(4), 50)
    draws = np.array([label, *(rng.permutation(label) for _ in range(499))])
    folds = folds_of(np.repeat(np.arange(50), 4), rng)
    told = guess((label[:, None] == np.arange(4)).astype(float), folds, draws)
    assert (told.value, told.p) == (1.0, 1 / 500)
    blind = guess(np.zeros((200, 1)), folds, draws)
    assert (blind.value, blind.p) == (0.25, 1.0)
    noise = guess(rng.normal(size=(200, 3)), folds, draws)
    assert noise.p > 0.05
    assert noise.chance == pytest.approx(0.25, abs=0.01)


def test_equally_near_emotions_share_the_answer_whatever_their_order() -> None:
    # Worked by hand: where the feature is 1 only emotion 0 is nearest; elsewhere all four are.
    label = np.tile(np.arange(4), 10)
    feature = np.zeros((40, 1))
    folds = np.repeat(np.arange(10), 4)[None] % 5
    draws = np.array([label, label])
    assert guess(feature, folds, draws).value == 0.25
    feature[::8] = 1.0
    told = (0.5 * 1 + 0.5 * 0 + 3 / 3) / 4
    for order in itertools.permutations(range(4)):
        renamed = np.array(order)[draws]
        assert guess(feature, folds, renamed).value == pytest.approx(told)


def test_a_class_that_training_lacks_is_never_guessed() -> None:
    label = np.array([0] * 8 + [1])
    folds = np.array([[0, 1, 2, 3, 4, 0, 1, 2, 3]])
    features = np.array([0.0, 1, 0, 1, 0, 1, 0, 1, 9])[:, None]
    found = guess(features, folds, np.array([label, label]))
    assert found.value == pytest.approx(0.5)


def test_whitening_forgets_units_and_correlation() -> None:
    rng = np.random.default_rng(2)
    one = rng.normal(size=300)
    features = np.stack([1000 * one, one + rng.normal(size=300), np.full(300, 7.0)], axis=1)
    white = whitened(features)
    covariance = np.cov(white.T, bias=True)
    assert white.shape == (300, 2)
    assert abs(covariance[0, 1]) < 1e-9
    assert covariance.diagonal() == pytest.approx([1, 1], abs=0.3)
    scaled = whitened(features * [0.01, 3, 5])
    assert np.abs(white @ white.T - scaled @ scaled.T).max() < 1e-9
    assert whitened(np.ones((5, 3))).tolist() == [[0.0]] * 5


def test_rows_of_words_get_length_one_and_empty_rows_stay_empty() -> None:
    rows = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    assert rows.tolist() == [[0.6, 0.8], [0.0, 0.0]]
