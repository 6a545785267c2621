"""Verdicts on planted changes and directions, and on noise."""

import dataclasses

import numpy as np
import pytest

from emoact.causes.settings import SteerSettings
from emoact.causes.steering import directions_of
from emoact.causes.verdict import Cell, effects_of, largest_of_all
from emoact.stats.design import design_of

LABELS = ("anger", "apology", "neutral")


def cell(rng: np.random.Generator, *, layer: int, dose: float = 1.0, **changes: float) -> Cell:
    noise = {label: float(rng.normal()) for label in LABELS}
    return Cell(
        emotion="anger",
        layer=layer,
        dose=dose,
        by_class={**noise, **changes},
        other_directions=0.0,
        random=rng.normal(size=(100, 2)),
        shuffled=rng.normal(size=(20, 2)),
        exchanged=np.empty((0, 2)),
        prompt_only=0.0,
        prompt_neutral=0.0,
        intervals={},
        splits=np.empty(0),
    )


def rows(cells: list[Cell], *doses: float) -> list[dict[str, object]]:
    return effects_of(cells, neutral="neutral", control_doses=doses or (1.0,), alpha=0.05)


def test_the_p_value_is_the_share_of_draws_whose_largest_cell_reaches_the_effect() -> None:
    effects = np.array([3.0, 0.0])
    controls = np.array([[0.0, 1.0, 4.0], [9.0, 0.0, 0.0]])
    found = largest_of_all(effects, controls, np.ones(2))

    together = np.concatenate([effects[:, None], controls], axis=1)
    units = (together - together.mean(axis=1, keepdims=True)) / together.std(axis=1, keepdims=True)
    largest = units[:, 1:].max(axis=0)
    for at, one in enumerate(found):
        assert one.p == pytest.approx((1 + (largest >= units[at, 0]).sum()) / 4)
    assert found[0].bound == 4.0


def test_a_negative_dose_is_judged_on_its_own_side() -> None:
    rng = np.random.default_rng(0)
    up, down = cell(rng, layer=0, anger=30.0), cell(rng, layer=0, dose=-1.0, anger=-30.0)
    wrong = cell(rng, layer=1, dose=-1.0, anger=30.0)
    found = rows([up, down, wrong], 1.0, -1.0)
    assert [row["verdict"] for row in found] == ["causal", "causal", "nothing"]
    assert float(str(found[0]["random_95"])) > 0 > float(str(found[1]["random_95"]))


def test_what_changes_neutral_text_as_much_is_not_causal() -> None:
    rng = np.random.default_rng(1)
    (row,) = rows([cell(rng, layer=0, anger=30.0, neutral=30.0)])
    assert row["verdict"] == "nothing"


def test_what_an_interval_does_not_hold_away_from_zero_is_not_causal() -> None:
    rng = np.random.default_rng(1)
    plain = cell(rng, layer=0, anger=30.0)
    for ends, word in (((10.0, 50.0), "causal"), ((-1.0, 50.0), "nothing")):
        for name in ("own", "delta"):
            intervals = {"own": (10.0, 50.0), "delta": (10.0, 50.0), name: ends}
            (row,) = rows([dataclasses.replace(plain, intervals=intervals)])
            assert row["verdict"] == word


def test_an_effect_is_specific_only_where_both_differences_are_beyond_exchanged_emotions() -> None:
    rng = np.random.default_rng(2)
    plain = cell(rng, layer=0, anger=30.0, apology=25.0)
    assert rows([plain])[0]["specific"] == "not tested"
    noise = rng.normal(size=(20, 2)) / 10
    for of_sentences, of_directions, other_directions, word in (
        (0.0, 0.0, 25.0, "specific"),
        # Sentences of apology are raised nearly as much, which any direction of emotion does.
        (6.0, 0.0, 25.0, "not specific"),
        # The direction of apology raises sentences of anger more than that of anger does.
        (0.0, 0.0, 31.0, "not specific"),
        (0.0, 6.0, 25.0, "not specific"),
    ):
        known = dataclasses.replace(
            plain,
            exchanged=noise + np.array([of_sentences, of_directions]),
            other_directions=other_directions,
        )
        (row,) = rows([known])
        assert row["specific"] == word
        assert row["specificity"] == 5.0
        assert row["specificity_directions"] == 30.0 - other_directions
        assert (float(str(row["specificity_p"])) <= 0.05) == (word == "specific")


def test_doses_without_controls_and_values_that_are_not_finite_get_no_verdict() -> None:
    rng = np.random.default_rng(3)
    broken = cell(rng, layer=2)
    broken.random[3, 1] = np.inf
    cells = [cell(rng, layer=0, dose=2.0), cell(rng, layer=0, anger=float("nan")), broken]
    assert [row["verdict"] for row in rows(cells)] == ["not tested", "not finite", "not finite"]


def test_noise_is_called_causal_no_more_often_than_stated() -> None:
    def alarm(seed: int) -> bool:
        rng = np.random.default_rng(seed)
        found = rows([cell(rng, layer=layer) for layer in range(5)])
        return any(row["verdict"] == "causal" for row in found)

    assert sum(alarm(seed) for seed in range(100)) <= 5


EMOTIONS = ("anger", "apology", "gratitude")
CLASSES = (*EMOTIONS, "neutral")
N_SCENARIOS, WIDTH = 15, 12
DESIGN = design_of(
    [label for label in CLASSES for _ in range(N_SCENARIOS)],
    [f"s{number}" for number in range(N_SCENARIOS)] * len(CLASSES),
)
OWN = 2 * np.eye(3)
SETTINGS = SteerSettings(emotions=EMOTIONS, layers=(0,), doses=(1.0,), control_doses=(1.0,))


def words(seed: int, *, apart: float, reads: np.ndarray) -> list[str]:
    """Whether the direction of each emotion is called specific, where all are causal.

    Prompts of an emotion lie `apart` along an axis of its own; `reads` says how much more probable
    each axis makes the sentences of each emotion.
    """
    rng = np.random.default_rng(seed)
    axes = np.eye(WIDTH)
    pooled = rng.normal(size=(len(CLASSES), N_SCENARIOS, WIDTH)) + rng.normal(
        size=(N_SCENARIOS, WIDTH)
    )
    pooled[:3] += 3 * axes[3]
    pooled[:3] += apart * axes[:3, None]
    pooled = pooled.reshape(-1, WIDTH)
    # Sentences of one emotion may be raised by any direction more than those of another.
    readouts = {
        label: rng.uniform(0.5, 2) * axes[3] + own @ axes[:3] + rng.normal(size=WIDTH) / 3
        for label, own in zip(EMOTIONS, reads, strict=True)
    }
    cells = []
    for emotion in EMOTIONS:
        found = directions_of(pooled, DESIGN, emotion, SETTINGS)
        rest = [label for label in EMOTIONS if label != emotion]
        own = found.exchanged[emotion] @ readouts[emotion]
        exchanged = [
            own - np.mean([found.exchanged[emotion] @ readouts[each] for each in rest], axis=0),
            own - np.mean([found.exchanged[each] @ readouts[emotion] for each in rest], axis=0),
        ]
        directions = [found.others[each] @ readouts[emotion] for each in rest]
        cells.append(
            Cell(
                emotion=emotion,
                layer=0,
                dose=1.0,
                by_class={
                    "neutral": 0.0,
                    **{label: float(found.own @ readouts[label]) for label in EMOTIONS},
                },
                other_directions=float(np.mean(directions)),
                random=np.zeros((100, 2)),
                shuffled=np.zeros((20, 2)),
                exchanged=np.stack(exchanged, axis=1),
                prompt_only=0.0,
                prompt_neutral=0.0,
                intervals={},
                splits=np.empty(0),
            )
        )
    rows = effects_of(cells, neutral="neutral", control_doses=(1.0,), alpha=0.05)
    return [str(row["specific"]) for row in rows]


def test_a_direction_of_no_certain_emotion_is_called_specific_no_more_often_than_stated() -> None:
    found = [words(seed, apart=0.0, reads=OWN) for seed in range(100)]
    assert sum("specific" in each for each in found) <= 5


def test_a_direction_of_its_own_emotion_is_called_specific() -> None:
    found = [words(seed, apart=3.0, reads=OWN) for seed in range(20)]
    assert sum(each.count("specific") for each in found) >= 52


def test_a_direction_that_raises_another_emotion_more_is_not_called_specific() -> None:
    # Gratitude is raised less by it, so that the mean of the other emotions lies far below.
    reads = np.array([[6.0, 0.0, 0.0], [9.0, 6.0, 0.0], [-9.0, 0.0, 6.0]])
    found = [words(seed, apart=3.0, reads=reads)[0] for seed in range(20)]
    assert found.count("specific") <= 1


def test_a_direction_that_does_less_than_that_of_another_emotion_is_not_called_specific() -> None:
    # The direction of anger raises its own sentences most, but that of apology raises them more.
    reads = np.array([[2.0, 6.0, 0.0], [0.0, 6.0, 0.0], [0.0, 0.0, 6.0]])
    found = [words(seed, apart=3.0, reads=reads)[0] for seed in range(20)]
    assert found == ["not specific"] * 20
