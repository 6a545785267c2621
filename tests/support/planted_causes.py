"""Saved steering and ablations with known figures."""

from pathlib import Path

import numpy as np

from emoact.causes.saved import SavedCause, save_cause
from emoact.causes.settings import AblateSettings, SteerSettings
from emoact.causes.verdict import Cell, effects_of
from emoact.decode import encode
from emoact.store.layout import ResultsRoot

DOSES = (-1.0, 1.0, 2.0)

LATER = ("own_low", "own_high", "own_splits_low", "prompt_neutral", "specificity_directions")
"""Columns that results did not have at first."""


def plant_steering(
    results: Path, *, random_weights: bool = False, earlier: bool = False
) -> SavedCause:
    """Anger is causal at layer 1 and nothing at layer 0; gratitude is nothing at both."""
    rng = np.random.default_rng(0)
    cells = [
        Cell(
            emotion=emotion,
            layer=layer,
            dose=dose,
            by_class={
                "anger": 0.5 * dose if (emotion, layer) == ("anger", 1) else 0.0,
                "gratitude": 0.0,
                "neutral": -0.1,
            },
            other_directions=0.1,
            random=rng.normal(size=(100, 2)) / 100,
            shuffled=rng.normal(size=(20, 2)) / 100,
            exchanged=rng.normal(size=(20, 2)) / 100
            if (emotion, layer, dose) == ("anger", 1, 1.0)
            else np.empty((0, 2)),
            prompt_only=0.7,
            prompt_neutral=0.6,
            intervals={"own": (0.2, 0.6), "delta": (0.3, 0.7)},
            splits=np.array([0.1, 0.3]),
        )
        for emotion in ("anger", "gratitude")
        for layer in (0, 1)
        for dose in DOSES
    ]
    settings = encode(
        SteerSettings(
            emotions=("anger", "gratitude"), layers=(0, 1), doses=DOSES, control_doses=(1.0,)
        )
    )
    effects = effects_of(cells, neutral="neutral", control_doses=(1.0,), alpha=0.05)
    if earlier:
        effects = [{k: v for k, v in row.items() if k not in LATER} for row in effects]
    found = {
        "model": "gpt2",
        "settings": settings,
        "train_scenarios": ["s1", "s2", "s3"],
        "test_scenarios": ["s4", "s5"],
        "n_tokens": {"anger": 20, "gratitude": 20, "neutral": 20},
        "prefixes": {"anger": "I am so angry."},
        **({} if earlier else {"neutral_prefixes": ["The train has left.", "It rained."]}),
        "n_splits": 2,
        "random_weights": random_weights,
        "effects": effects,
    }
    return save_cause(ResultsRoot(results), "steer", {"settings": settings}, found)


def plant_ablations(results: Path) -> SavedCause:
    """MLP 1 removes most of the distance, half of it directly; two heads change nothing.

    Without MLP 0 the distance changes more, as the model is broken.
    """
    rows = [
        ("mlp", 0, "", -9.0, -1.0),
        ("mlp", 1, "", -2.0, -1.0),
        ("direction", 1, "", -1.0, -1.0),
        ("head", 0, "0", 0.0, 0.0),
        ("head", 0, "1", 0.0, 0.0),
    ]
    settings = encode(AblateSettings(emotion="anger", layer=2, parts=("direction", "mlp", "head")))
    found = {
        "model": "gpt2",
        "settings": settings,
        "train_scenarios": ["s1", "s2", "s3"],
        "test_scenarios": ["s4", "s5"],
        "contrast": 3.0,
        "words": ["anger"],
        "random_weights": False,
        "ablations": [
            {
                "part": part,
                "layer": layer,
                "heads": heads,
                "total": total,
                "low": total - 0.1,
                "high": total + 0.1,
                "direct": direct,
                "repair": total - direct,
                "log_prob": -0.1,
                "log_prob_neutral": -3.0 if (part, layer) == ("mlp", 0) else 0.0,
                "log_odds": total / 4,
                "log_odds_neutral": 0.25,
                "tied": part == "head",
            }
            for part, layer, heads, total, direct in rows
        ],
    }
    return save_cause(ResultsRoot(results), "ablate", {"settings": settings}, found)
