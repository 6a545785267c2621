"""The word *specific* on planted directions: of no certain emotion, of one, and of another one."""

from __future__ import annotations

import numpy as np

from emoact.causes.steering import SteerSettings, directions_of
from emoact.causes.verdict import Cell, effects_of
from emoact.stats.design import design_of

EMOTIONS = ("anger", "apology", "gratitude")
LABELS = (*EMOTIONS, "neutral")
N_SCENARIOS, WIDTH = 15, 12
DESIGN = design_of(
    [label for label in LABELS for _ in range(N_SCENARIOS)],
    [f"s{number}" for number in range(N_SCENARIOS)] * len(LABELS),
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
    pooled = rng.normal(size=(len(LABELS), N_SCENARIOS, WIDTH)) + rng.normal(
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
