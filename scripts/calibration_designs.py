"""Planted data of `calibrate_analysis.py`, and what the analysis says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from emoact.stats.comparable import Configuration
from emoact.stats.design import Design, contrast_against, design_of
from emoact.stats.directions.contrast import make_contrast
from emoact.stats.directions.separation import held_out_scores, measure_separation
from emoact.stats.directions.strength import measure_strength
from emoact.stats.features import Controls, PromptInfo, UnitFeatures
from emoact.stats.full import analyse_grid
from emoact.stats.null.permutation import permuted_statistics
from emoact.stats.null.significance import judge_families
from emoact.stats.null.splits import scenario_folds
from emoact.stats.probes.grid import scatter_ratio
from emoact.stats.probes.headline import NOISY, WORDS
from emoact.stats.products import share_vectors
from emoact.stats.settings import AnalysisSettings

Seed = tuple[int, ...]

EMOTIONS = ("gratitude", "anger", "apology")
LABELS = (*EMOTIONS, "neutral")
MODELS, LAYERS, WIDTH, PERMUTATIONS = 3, 6, 48, 1000
SETTINGS = AnalysisSettings(
    sites=("resid_pre",),
    n_permutations=PERMUTATIONS,
    n_bootstrap=300,
    n_splits=10,
    n_pairings=10,
    n_rotations=10,
    n_shuffles=1,
    probes=("logistic",),
)

LAYOUTS = ("matched", "unmatched, 30 against 30", "unmatched, 12 against 48, sd 3 : 1")
SPECTRA = ("isotropic", "steep", "steep, rotated", "rogue dimensions", "two blocks")
FAMILIES = {"none": True, "one layer": False, "one emotion": True, "one model": True}
"""Kinds of effect; True where emotions without an effect remain."""
PARTS = tuple(FAMILIES)


@dataclass(frozen=True, kw_only=True)
class Levels:
    """False alarms of one data set at the three levels.

    Attributes:
        alone: Share of layers without an effect that are significant alone.
        anywhere: An emotion without an effect is significant.
        strong: A layer without an effect is significant among all.
    """

    alone: float
    anywhere: bool
    strong: bool


@dataclass(frozen=True, kw_only=True)
class Verdicts:
    """Verdict on one data set.

    Attributes:
        verdict: The word.
        gains: Balanced accuracy of the probe minus that of each classifier of words.
    """

    verdict: str
    gains: tuple[float, float, float]


def spread_of(spectrum: str, rng: np.random.Generator) -> np.ndarray:
    """Matrix that white noise is multiplied by, `[d_model, d_model]`, of mean variance 1."""
    sd: np.ndarray = np.ones(WIDTH)
    if spectrum.startswith("steep"):
        sd = np.arange(1, WIDTH + 1) ** -0.75
    elif spectrum == "rogue dimensions":
        sd[:3] = 30.0
    elif spectrum == "two blocks":
        sd[: WIDTH // 4] = 4.0
    matrix = np.diag(sd / np.sqrt((sd**2).mean()))
    if spectrum.endswith("rotated"):
        matrix = matrix @ np.linalg.qr(rng.standard_normal((WIDTH, WIDTH)))[0]
    return np.asarray(matrix)


def design_with(layout: str, n_scenarios: int = 40) -> Design:
    """Classes and scenarios of a layout."""
    if layout == "matched":
        scenarios = [str(scenario) for scenario in range(n_scenarios)]
        return design_of([label for label in LABELS for _ in scenarios], scenarios * len(LABELS))
    sizes = (30, 30) if "30" in layout else (12, 48)
    labels = [label for emotion in EMOTIONS for label in [emotion] * sizes[0]]
    return design_of([*labels, *["neutral"] * sizes[1]])


def noise(design: Design, layout: str, spread: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Vectors `[prompt, layer, d_model]` without an effect; neighbouring layers correlate."""
    shape = (design.n_prompts, WIDTH)
    shared = rng.standard_normal((design.n_scenarios, WIDTH))[design.scenario_of]
    if layout != "matched":
        shared = np.zeros(shape)
    width = np.ones((design.n_prompts, 1))
    if "sd 3" in layout:
        width[design.label_of != design.index("neutral")] = 3.0
    state, layers = rng.standard_normal(shape), []
    for layer in range(LAYERS):
        state = 0.8 * state + 0.6 * rng.standard_normal(shape)
        layers.append((width * state + shared) @ spread * (1 + layer))
    return np.stack(layers, axis=1)


def has_effect(part: str, model: int, emotion: int) -> np.ndarray:
    """True for the layers at which an emotion of a model has an effect."""
    layers = np.zeros(LAYERS, dtype=bool)
    if part == "one layer":
        layers[LAYERS // 2] = True
    elif (part == "one emotion" and emotion == 0) or (part == "one model" and model == 0):
        layers[:] = True
    return layers


def judge_grid(layout: str, part: str, spectrum: str, seed: Seed) -> Levels:
    """The three levels of significance in one data set."""
    rng = np.random.default_rng(seed)
    design = design_with(layout)
    spread = spread_of(spectrum, rng)
    families, planted = [], []
    for model in range(MODELS):
        vectors = noise(design, layout, spread, rng)
        for emotion in range(len(EMOTIONS)):
            real = has_effect(part, model, emotion)
            direction = 1.5 * rng.standard_normal(WIDTH) @ spread
            depth = (1 + np.arange(LAYERS))[:, None]
            vectors[design.label_of == emotion] += real[:, None] * depth * direction
            planted.append(real)
        families += statistics_of(design, vectors, int(rng.integers(2**31)))
    judged = judge_families(families)
    null = ~np.array(planted)
    alone = np.array([each.test.p for each in judged])
    strong = np.array([each.p_strong for each in judged])
    whole = np.array([each.p_holm for each in judged])
    return Levels(
        alone=float((alone[null] <= SETTINGS.alpha).mean()),
        anywhere=bool((whole[null.all(axis=1)] <= SETTINGS.alpha).any()),
        strong=bool((strong[null] <= SETTINGS.alpha).any()),
    )


def statistics_of(design: Design, vectors: np.ndarray, seed: int) -> list[dict[Any, np.ndarray]]:
    """Statistics of every emotion of a model under relabelling, by site."""
    settings = AnalysisSettings(**{**vars(SETTINGS), "seed": seed})
    shared = share_vectors(design, vectors)
    return [
        {
            "resid_pre": permuted_statistics(
                make_contrast(design, emotion, settings).plan, shared.vectors, shared.inverse_sd
            )
        }
        for emotion in EMOTIONS
    ]


def power_of_test(n_scenarios: int, seed: Seed) -> bool:
    """True where the one emotion with an effect is found."""
    rng = np.random.default_rng(seed)
    design = design_with("matched", n_scenarios)
    spread = spread_of("steep", rng)
    families = []
    for model in range(MODELS):
        vectors = noise(design, "matched", spread, rng)
        if model == 0:
            direction = 0.25 * rng.standard_normal(WIDTH) @ spread
            depth = 1 + np.arange(LAYERS // 2, LAYERS)[:, None]
            vectors[design.label_of == 0, LAYERS // 2 :] += depth * direction
        families += statistics_of(design, vectors, int(rng.integers(2**31)))
    return bool(judge_families(families)[0].p_holm <= SETTINGS.alpha)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One figure with its interval, and what it estimates."""

    truth: float
    low: float
    high: float


EFFECTS = {
    "steep": (0.0, 5.0, 15.0),
    "isotropic": (0.0, 2.0, 5.0),
    "rogue dimensions": (0.0, 10.0, 30.0),
}
"""Lengths of the planted direction in units of noise, by spectrum."""


def covered(
    layout: str, spectrum: str, n_scenarios: int, effect: float, seed: Seed
) -> list[Estimate]:
    """Squared strength, d' and AUROC at one layer.

    What d' and AUROC estimate is those of many new prompts that are scored as the held-out ones
    are, each by the direction and midpoint of one of the folds. In matched scenarios their
    covariance is twice that of the noise, because scenarios have as much. Unmatched prompts are
    scenarios of their own, of which the layout says the number; emotion and neutral may spread
    differently.
    """
    rng = np.random.default_rng(seed)
    design = design_with(layout, n_scenarios)
    spread = spread_of(spectrum, np.random.default_rng(0))
    vectors = noise(design, layout, spread, rng)[:, :1]
    # Variance of a prompt of the emotion, and of a neutral one, in units of the noise.
    of_classes = (2.0, 2.0) if layout == "matched" else (9.0 if "sd 3" in layout else 1.0, 1.0)
    direction = np.random.default_rng(1).standard_normal(WIDTH)
    delta = (effect * direction / np.linalg.norm(direction)) @ spread
    vectors[design.label_of == 0] += delta
    contrast, folds = contrast_against(design, EMOTIONS[0], "neutral"), scenario_folds(design)
    shared = share_vectors(design, vectors)
    strength = measure_strength(shared, design, contrast)
    scores = held_out_scores(design, shared.vectors, contrast, folds)
    found = measure_separation(scores, shared.vectors, design, contrast, folds)
    here, there, along = [], [], []
    for fold in np.unique(folds):
        kept = folds != fold
        emotion, neutral = design.label_of == 0, design.label_of == design.index("neutral")
        mean_e, mean_n = (vectors[kept & side, 0].mean(axis=0) for side in (emotion, neutral))
        unit = (mean_e - mean_n) / np.linalg.norm(mean_e - mean_n)
        there.append(-unit @ (mean_e + mean_n) / 2)
        here.append(there[-1] + unit @ delta)
        along.append(np.linalg.norm(unit @ spread.T) ** 2)
    of_emotion, of_neutral = (share * np.array(along) for share in of_classes)
    pooled = (of_emotion.mean() + of_neutral.mean() + np.var(here) + np.var(there)) / 2
    truth = float((np.mean(here) - np.mean(there)) / np.sqrt(pooled))
    apart = np.subtract.outer(here, there) / np.sqrt(np.add.outer(of_emotion, of_neutral))
    area = float(norm.cdf(apart).mean())
    low, high = strength.squared_interval[:, 0]
    (d_low, d_high), (a_low, a_high) = found.d_prime_interval[:, 0], found.auroc_interval[:, 0]
    return [
        Estimate(truth=float(delta @ delta), low=float(low), high=float(high)),
        Estimate(truth=truth, low=float(d_low), high=float(d_high)),
        Estimate(truth=area, low=float(a_low), high=float(a_high)),
    ]


NOISE_SIZES = (6, 12, 25, 50)
"""Scenarios of `excluded`, with one prompt of either class each."""


def excluded(spectrum: str, n_scenarios: int, ratio: float, seed: Seed) -> bool:
    """True where a control counts as noisier than the prompts.

    Controls are drawn like the prompts, and independently of them, which varies their scatter more
    than the same words do.

    Args:
        spectrum: Of prompts and controls.
        n_scenarios: Prompts of either class.
        ratio: True scatter of the control over that of the prompts.
        seed: Of the data.
    """
    rng = np.random.default_rng(seed)
    spread = spread_of(spectrum, rng)
    real, control = (
        (rng.standard_normal((2 * n_scenarios, LAYERS, WIDTH)) @ spread).astype(np.float32)
        for _ in range(2)
    )
    is_emotion = np.arange(2 * n_scenarios) < n_scenarios
    found = scatter_ratio(real, [np.float32(ratio) * control], (is_emotion, ~is_emotion))
    return bool(found > NOISY)


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
