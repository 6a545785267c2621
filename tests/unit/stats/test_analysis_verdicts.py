"""Verdicts on planted activations whose relation to words is known."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from emoact.analysis.sentences import probe_sentences, sentences_of
from emoact.data.controls import LEAST_SHUFFLES
from emoact.stats import catalogue
from emoact.stats.features import Controls, UnitFeatures
from emoact.stats.full import analyse_grid
from emoact.stats.result import AnalysisResult
from tests.support.planted_features import QUICK, SITE, unit_of

SETTINGS = dataclasses.replace(
    QUICK, n_bootstrap=200, n_pairings=9, n_rotations=1, probes=("logistic",)
)
N, LAYERS, WIDTH = 40, 4, 24
CONTROLS = range(1 + LEAST_SHUFFLES)
EMOTIONS = ("anger", "neutral")
WORDS = 3000


def plant(
    vectors: np.ndarray,
    *,
    contextless: np.ndarray | None = None,
    shuffled: Sequence[np.ndarray] = (),
    texts: Sequence[str] | None = None,
    lengths: Sequence[int] | None = None,
    emotions: Sequence[str] = EMOTIONS,
    model: str = "m0",
) -> list[UnitFeatures]:
    """Units of `[emotion · prompt, layer, d_model]` vectors, scenarios matched."""
    own = [slice(number * N, (number + 1) * N) for number in range(len(emotions))]
    return [
        unit_of(
            model,
            emotion,
            {SITE: vectors[rows]},
            texts=texts and texts[rows],
            lengths=lengths and lengths[rows],
            controls=Controls(
                contextless=None
                if contextless is None
                else {SITE: contextless[rows].astype(np.float32)},
                shuffled=tuple({SITE: each[rows].astype(np.float32)} for each in shuffled),
            ),
        )
        for emotion, rows in zip(emotions, own, strict=True)
    ]


def noise(rng: np.random.Generator, n_classes: int = 2) -> np.ndarray:
    return rng.normal(size=(n_classes * N, LAYERS, WIDTH))


def shift(size: float, n_classes: int = 2) -> np.ndarray:
    """An effect of the first class at every layer but the first."""
    moved = np.zeros((n_classes * N, LAYERS, WIDTH))
    moved[:N, 1:, :6] = size
    return moved


def plant_beside(
    vectors: np.ndarray, controls: Sequence[np.ndarray], **more: Any
) -> list[UnitFeatures]:
    """Units with enough controls: one without context, all others shuffled."""
    contextless, *shuffled = controls
    return plant(vectors, contextless=contextless, shuffled=shuffled, **more)


def half_implicit(units: Sequence[UnitFeatures]) -> list[UnitFeatures]:
    """Every second prompt, and so every second scenario, is implicit."""
    return [
        dataclasses.replace(
            unit,
            prompts=tuple(
                dataclasses.replace(prompt, subset="implicit" if row % 2 else "explicit")
                for row, prompt in enumerate(unit.prompts)
            ),
        )
        for unit in units
    ]


def headline(found: AnalysisResult) -> list[Any]:
    return list(found.tables["headline"].itertuples())


def analyse(units: Sequence[UnitFeatures], **changed: Any) -> AnalysisResult:
    return analyse_grid(units, dataclasses.replace(SETTINGS, **changed), workers=1)


def test_emotion_that_no_control_knows_is_beyond_words() -> None:
    rng = np.random.default_rng(0)
    found = analyse(plant_beside(noise(rng) + shift(1.0), [noise(rng) for _ in CONTROLS]))
    (row,) = headline(found)
    assert row.verdict == "beyond_words"
    assert (row.layer_first, row.layer_last, row.n_prompts, row.n_scenarios) == (1, 2, 2 * N, N)
    assert row.balanced_min < 0.7 < row.balanced_accuracy <= row.balanced_max
    assert row.p_beyond < 0.05 < row.p_words
    assert {"contextless", "shuffled_words", "layer_0", "length"} <= set(
        found.tables["baselines"]["baseline"]
    )
    sentence = sentences_of(found)["m0"]
    for part in ("layers 1 to 2", "80 prompts of 40 scenarios", "beyond words", "p ≤ 0.0005"):
        assert part in sentence


def test_model_of_words_is_never_beyond_words() -> None:
    # Each class prefers words of one kind. Nearly every word occurs once, so that no text baseline
    # has read them; the model knows the kind of each from its first block on.
    said = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        kind = rng.permutation(WORDS) < WORDS // 2
        vectors = rng.normal(size=(WORDS, LAYERS, WIDTH))
        vectors[:, 1:, 0] += np.where(kind, 3.0, -3.0)[:, None]
        odds = np.stack([np.where(kind, 4, 1), np.where(kind, 1, 4)]) / (2.5 * WORDS)
        words = [rng.choice(WORDS, 6, p=odds[own]) for own in (0, 1) for _ in range(N)]
        mean = np.stack([vectors[own].mean(axis=0) for own in words])
        pooled = [mean + 0.1 * noise(rng) for _ in (None, *CONTROLS)]
        texts = [" ".join(f"word{word}" for word in own) for own in words]
        said += headline(analyse(plant_beside(pooled[0], pooled[1:], texts=texts)))
    assert all(row.text_difference_low > 0 for row in said)
    assert "beyond_words" not in {row.verdict for row in said}


def test_words_do_not_suffice_where_the_gain_is_far_above_the_margin() -> None:
    said = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        found = analyse(
            plant_beside(noise(rng) + shift(0.55), [noise(rng) + shift(0.35) for _ in CONTROLS])
        )
        said += [row.verdict for row in headline(found)]
    assert "words_suffice" not in said


def test_words_suffice_where_they_are_right_as_often() -> None:
    rng = np.random.default_rng(1)
    same = noise(rng) + shift(3.0)
    (row,) = headline(analyse(plant(same, contextless=same, shuffled=[same] * LEAST_SHUFFLES)))
    assert row.verdict == "words_suffice"
    assert row.contextless_difference == 0


def test_length_alone_is_not_beyond_words() -> None:
    rng = np.random.default_rng(2)
    lengths = [*(8 + rng.integers(3, size=N)), *(12 + rng.integers(3, size=N))]
    follows = noise(rng)
    follows[:, 1:, 3] += 3 * np.array(lengths)[:, None]
    found = analyse(
        plant_beside(
            follows, [noise(rng) for _ in CONTROLS], lengths=[int(length) for length in lengths]
        )
    )
    (row,) = headline(found)
    assert row.baseline == "length"
    assert row.text_balanced_accuracy == 1
    assert row.verdict == "words_suffice"


def test_layer_zero_counts_among_the_words() -> None:
    rng = np.random.default_rng(3)
    units = plant_beside(
        noise(rng) + 3 * (np.arange(2 * N) < N)[:, None, None], [noise(rng) for _ in CONTROLS]
    )
    (row,) = headline(analyse(units))
    assert (row.baseline, row.text_balanced_accuracy) == ("layer_0", 1)
    assert row.verdict != "beyond_words"


def test_layer_with_the_best_accuracy_is_not_picked() -> None:
    rng = np.random.default_rng(4)
    vectors = noise(rng)
    vectors[:N, 3, :6] += 3
    (row,) = headline(analyse(plant(vectors)))
    assert row.balanced_max == 1
    assert row.balanced_accuracy < 0.75
    assert row.verdict == "no_separation"


def test_no_verdict_on_words_without_controls_and_the_finding_names_the_model() -> None:
    rng = np.random.default_rng(5)
    with_controls = plant_beside(noise(rng) + shift(1.5), [noise(rng) for _ in CONTROLS])
    without = plant(
        noise(rng) + shift(1.5),
        contextless=noise(rng),
        shuffled=[noise(rng) for _ in range(LEAST_SHUFFLES - 1)],
        model="m1",
    )
    found = analyse([*with_controls, *without])
    assert {row.model: row.verdict for row in headline(found)} == {
        "m0": "beyond_words",
        "m1": "inconclusive",
    }
    (finding,) = (each for each in found.findings if each.code == "controls_missing")
    assert finding.where == "m1"
    assert "19 of 20 shuffles" in finding.message
    assert "emoact analyze --controls" in finding.remedy
    assert "controls are missing" in sentences_of(found)["m1"]


def test_pooling_without_controls_is_named_where_a_verdict_lacks_them() -> None:
    units = [
        dataclasses.replace(
            unit, configuration=dataclasses.replace(unit.configuration, pooling="mean_typical")
        )
        for unit in plant(noise(np.random.default_rng(5)) + shift(1.5))
    ]
    found = analyse(units, pooling="mean_typical")
    assert {row.verdict for row in headline(found)} == {"inconclusive"}
    (finding,) = (each for each in found.findings if each.code == "controls_missing")
    assert "there are none for the pooling mean_typical" in finding.message
    assert "--pooling mean_content" in finding.remedy


def test_control_that_is_not_finite_is_found_and_gives_no_verdict() -> None:
    rng = np.random.default_rng(6)
    broken = noise(rng)
    broken[3, 2, 1] = np.nan
    found = analyse(
        plant(
            noise(rng) + shift(1.5),
            contextless=broken,
            shuffled=[noise(rng) for _ in range(LEAST_SHUFFLES)],
        )
    )
    (row,) = headline(found)
    assert row.verdict == "inconclusive"
    assert np.isnan(row.contextless_difference)
    (finding,) = (each for each in found.findings if each.code == "nonfinite_control")
    assert f"{SITE}: values of contextless" in finding.message
    assert "no verdict on words for anger" in finding.message


def test_controls_that_are_noisier_than_the_prompts_give_no_verdict_beyond_words() -> None:
    rng = np.random.default_rng(31)
    effect = shift(1.0)
    for factor, verdicts in ((1.0, {"words_suffice", "inconclusive"}), (3.0, {"inconclusive"})):
        found = analyse(
            plant_beside(noise(rng) + effect, [factor * noise(rng) + effect for _ in CONTROLS])
        )
        (row,) = headline(found)
        assert row.verdict in verdicts
        noisy = [each for each in found.findings if each.code == "noisy_controls"]
        assert len(noisy) == (factor > 1)
    # The accuracies alone would have said beyond_words.
    assert row.p_beyond <= 0.05
    ratios = [float(each) for each in re.findall(r"\d\.\d", noisy[0].message)]
    assert ratios == pytest.approx([3, 3], abs=0.15)


def test_threshold_that_does_not_carry_over_is_found_and_no_proof_that_words_suffice() -> None:
    rng = np.random.default_rng(32)
    is_emotion, is_implicit = np.arange(2 * N) < N, np.arange(2 * N) % 2 == 1
    vectors = noise(rng)
    # Prompts of either kind are told apart without an error, at another threshold.
    vectors[:, 1:, 0] += (4.0 * np.where(is_emotion, 1, -1) - 4.5 * is_implicit)[:, None]
    known = np.where(rng.random(2 * N) < 0.9, is_emotion, ~is_emotion)
    controls = [noise(rng) for _ in CONTROLS]
    for control in controls:
        control[:, 1:, 3] += 3 * np.where(known, 1, -1)[:, None]
    found = analyse(half_implicit(plant_beside(vectors, controls)))
    (row,) = (row for row in headline(found) if row.evaluation == "explicit_to_implicit")
    assert (row.one_sided, row.verdict) == ("probe", "inconclusive")
    # The accuracies alone would have said words_suffice.
    assert max(row.p_chance, row.p_words) <= 0.05
    (finding,) = (each for each in found.findings if each.code == "one_sided_probe")
    assert "explicit_to_implicit" in finding.message
    assert "anger (resid_pre): probe" in finding.message
    said = sentences_of(found)["m0"]
    assert "more than 75 % of prompts one class" in said
    assert "whether it orders them (AUROC 1.00 [" in said


@pytest.mark.parametrize("effect", [3.0, 0.0])
def test_order_that_carries_over_without_its_threshold_is_never_no_separation(
    effect: float,
) -> None:
    rng = np.random.default_rng(33)
    emotions = ("anger", "joy", "neutral")
    is_implicit = np.arange(3 * N) % 2 == 1
    vectors = noise(rng, 3)
    for dimension, own in enumerate(np.repeat(np.eye(3), N, axis=0).T):
        # The classes of implicit prompts may be the same; all of them lie far from the others.
        vectors[:, 1:, dimension] += (
            np.where(is_implicit, effect, 3.0) * own + 30.0 * is_implicit * (dimension - 1)
        )[:, None]
    found = analyse(half_implicit(plant(vectors, emotions=emotions)))
    for name in ("headline", "pairs"):
        table = found.tables[name]
        row = table[table["evaluation"] == "explicit_to_implicit"].iloc[0]
        # Balanced accuracy is at chance, as nearly all prompts are called one class.
        assert row.p_chance > 0.05
        assert not 0.05 <= row.called <= 0.95
        assert row.verdict == ("order_only" if effect else "threshold_moved")
        assert (row.p_order <= 0.05) == bool(effect)
        assert row.auroc_low <= row.auroc <= row.auroc_high
        assert (row.auroc > 0.95) == bool(effect)
        assert table[table["evaluation"] == "cross_validated"]["auroc"].isna().all()
    assert ("the order carries over (AUROC " in sentences_of(found)["m0"]) == bool(effect)


def test_verdicts_are_corrected_for_one_another_by_holm() -> None:
    rng = np.random.default_rng(7)
    emotions = ("anger", "joy", "pride", "neutral")
    units = plant(
        noise(rng, 4) + np.roll(shift(0.7, 4), N, axis=0),
        contextless=noise(rng, 4),
        shuffled=[noise(rng, 4)] * LEAST_SHUFFLES,
        emotions=emotions,
    )
    found = analyse(units).tables["headline"].set_index("emotion")
    alone = analyse([units[1], units[3]]).tables["headline"].set_index("emotion")
    for name in ("p_beyond", "detectable", "scenarios_needed"):
        assert found.loc["joy", name] > alone.loc["joy", name], name
    assert (found["detectable"] > 0).all()
    expected = np.ceil(found["n_scenarios"] * (found["detectable"] / 0.1) ** 2)
    assert found["scenarios_needed"].tolist() == expected.tolist()


def test_emotions_that_differ_from_neutral_alike_do_not_differ_from_each_other() -> None:
    rng = np.random.default_rng(8)
    emotions = ("anger", "joy", "pride", "neutral")
    moved = shift(2.0, 4) + np.roll(shift(2.0, 4), N, axis=0)
    moved[2 * N : 3 * N, 1:, 10:16] = 2.0
    pairs = analyse(plant(noise(rng, 4) + moved, emotions=emotions)).tables["pairs"]
    found = {(row.emotion_a, row.emotion_b): row for row in pairs.itertuples()}
    assert found["anger", "joy"].p_holm > 0.05
    assert found["anger", "pride"].balanced_accuracy > 0.9
    assert found["joy", "pride"].p_holm < 0.05


def told(**fields: Any) -> dict[str, Any]:
    """A row of the table `headline`, of which the other columns are missing."""
    known = {
        "emotion": "anger",
        "site": "resid_pre",
        "evaluation": "cross_validated",
        "probe": "logistic",
        "accuracy": 0.91,
    }
    return dict.fromkeys(catalogue.table_named("headline").columns, np.nan) | known | fields


def test_each_emotion_is_told_with_its_own_number_of_prompts() -> None:
    row = told(
        balanced_accuracy=0.91,
        layer_first=1,
        layer_last=2,
        verdict="undecided",
        n_prompts=100,
        n_scenarios=50,
    )
    (alike,) = probe_sentences([row, {**row, "emotion": "joy"}])
    assert alike.startswith("On held-out scenarios (100 prompts of 50 scenarios), balanced")
    (other,) = probe_sentences([row, {**row, "emotion": "joy", "n_prompts": 7, "n_scenarios": 3}])
    assert "(100 prompts of 50 scenarios): undecided" in other
    assert "(7 prompts of 3 scenarios): undecided" in other
    assert other.startswith("On held-out scenarios, balanced")


def test_headline_of_an_earlier_version_can_still_be_told() -> None:
    (sentence,) = probe_sentences([told(verdict="lexical_suffices")])
    assert "anger 91 %: no evidence beyond words" in sentence
