"""Texts and activations that words made, for `calibrate_analysis.py`, and the verdicts on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emoact.stats.comparable import Configuration
from emoact.stats.features import Controls, PromptInfo, UnitFeatures
from emoact.stats.full import analyse_grid
from emoact.stats.probes.headline import WORDS
from scripts.calibration_designs import SETTINGS, Seed


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """Verdict on one data set.

    Attributes:
        verdict: The word.
        gains: Balanced accuracy of the probe minus that of each classifier of words.
    """

    verdict: str
    gains: tuple[float, float, float]


WORD_MODELS = (
    "random word vectors",
    "words through a nonlinearity",
    "pairs of words in any order",
    "length only",
)
GAINS = {
    "nothing": dict.fromkeys((25, 50, 100, 200), 0.0),
    "an effect": {25: 0.3, 50: 0.3, 100: 0.3, 200: 0.35},
}
"""Size of what no word knows, by number of scenarios.

Words are right more often with more scenarios; at 200 more is planted, so that about 10 points
stay.
"""

_D, _DEPTH, _SHUFFLES, _VOCABULARY, _TELLING = 24, 4, 20, 120, 12
"""Width, layers, shuffles, words, and words that one of the classes prefers."""

Words = list[int]

_CONFIGURATION = Configuration(model="planted", pooling="mean_content")


def make_words(emotional: bool, design: str, rng: np.random.Generator) -> Words:
    """Words of one prompt; the first words of the vocabulary tell the classes in part."""
    n_words = int(rng.integers(8, 13))
    if design == "length only":
        return list(rng.integers(0, _VOCABULARY, n_words + (0 if emotional else 4)))
    words = list(rng.integers(_TELLING, _VOCABULARY, n_words))
    if design == "pairs of words in any order":
        # Two words of each of two kinds: equal kinds are the emotion, unequal ones are not.
        first = int(rng.integers(2))
        second = first if emotional else 1 - first
        words[:2] = [first, 2 + second]
        rng.shuffle(words)
    elif rng.random() < 0.9:
        half = _TELLING // 2
        own = rng.integers(0, half) + (0 if emotional == (rng.random() < 0.9) else half)
        words[int(rng.integers(n_words))] = int(own)
    return words


def vectors_of(
    texts: Sequence[Words], design: str, weights: dict[str, np.ndarray], *, alone: bool = False
) -> np.ndarray:
    """Vectors of prompts at each layer, `[prompt, layer, d_model]`, by words and neighbours alone.

    Args:
        texts: Words of each prompt in their order.
        design: One of `WORD_MODELS`.
        weights: Random vectors of words and of pairs.
        alone: Without context: every word by itself.
    """
    share = np.stack([np.bincount(words, minlength=_VOCABULARY) / len(words) for words in texts])
    beside = np.zeros((len(texts), _D))
    if not alone:
        for row, words in enumerate(texts):
            neighbours = np.array(words[:-1]) * 7 + np.array(words[1:]) * 13
            beside[row] = 0.5 * weights["pair"][neighbours % len(weights["pair"])].mean(axis=0)
            if design == "pairs of words in any order":
                code = [words.count(kind) for kind in range(4)]
                beside[row] += (code[0] * code[2] + code[1] * code[3]) * weights["meaning"]
            if design == "length only":
                beside[row] += 0.2 * len(words) * weights["meaning"]
    layers = [share @ weights["word"]]
    for layer in range(1, _DEPTH):
        mixed = weights["word"] @ weights["mix"][layer]
        if design == "words through a nonlinearity":
            mixed = np.tanh(2 * mixed)
        layers.append(share @ mixed + beside)
    return np.stack(layers, axis=1)


def say_verdict(design: str, n_scenarios: int, effect: float, seed: Seed) -> Verdicts:
    """Verdict on one emotion.

    Args:
        design: One of `WORD_MODELS`.
        n_scenarios: Scenarios, each with a version of either class.
        effect: Size of what the activations know and no word does.
        seed: Of the data.
    """
    rng = np.random.default_rng(seed)
    weights = {
        "word": rng.standard_normal((_VOCABULARY, _D)),
        "pair": rng.standard_normal((997, _D)),
        "mix": rng.standard_normal((_DEPTH, _D, _D)) / np.sqrt(_D),
        "meaning": rng.standard_normal(_D) / np.sqrt(_D),
    }
    # Words that tell the classes stand out, as a model's would; the probe then finds them.
    weights["word"][:_TELLING] *= 3
    units = []
    for label in ("gratitude", "neutral"):
        emotional = label == "gratitude"
        texts = [make_words(emotional, design, rng) for _ in range(n_scenarios)]
        real = vectors_of(texts, design, weights)
        real[:, 1:] += (1 if emotional else -1) * effect * weights["meaning"]
        shuffles = []
        for _ in range(_SHUFFLES):
            moved = [list(rng.permutation(words)) for words in texts]
            shuffles.append(vectors_of(moved, design, weights))
        lone = vectors_of(texts, design, weights, alone=True)
        units.append(
            UnitFeatures(
                model="planted",
                emotion=label,
                prompts=tuple(
                    PromptInfo(
                        id=f"{label}{number}",
                        scenario_id=str(number),
                        subset=None,
                        text=" ".join(f"word{word}" for word in words),
                        n_tokens=len(words),
                    )
                    for number, words in enumerate(texts)
                ),
                sites={"resid_pre": real.astype(np.float32)},
                configuration=_CONFIGURATION,
                controls=Controls(
                    contextless={"resid_pre": lone.astype(np.float32)},
                    shuffled=tuple({"resid_pre": each.astype(np.float32)} for each in shuffles),
                ),
            )
        )
    result = analyse_grid(units, SETTINGS, workers=1)
    row = result.tables["headline"].iloc[0]
    text, contextless, shuffled = (float(row[f"{name}_difference"]) for name in WORDS)
    return Verdicts(verdict=str(row["verdict"]), gains=(text, contextless, shuffled))


def true_gain(found: Sequence[Verdicts]) -> float:
    """Mean gain over the best of words, which is best in the mean over data sets."""
    return float(np.nanmean([each.gains for each in found], axis=0).min())
