"""Planted data of `calibrate_analysis.py`, and what the analysis says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm

from emoact.stats.design import Design, contrast_against, design_of
from emoact.stats.directions.contrast import make_contrast
from emoact.stats.directions.separation import held_out_scores, measure_separation
from emoact.stats.directions.strength import measure_strength
from emoact.stats.null.permutation import permuted_statistics
from emoact.stats.null.significance import judge_families
from emoact.stats.null.splits import scenario_folds
from emoact.stats.probes.grid import scatter_ratio
from emoact.stats.probes.headline import NOISY
from emoact.stats.products import share_vectors
from emoact.stats.settings import AnalysisSettings

Seed = tuple[int, ...]

EMOTIONS = ("gratitude", "anger", "apology")
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


def design_with(layout: str, n_scenarios: int = 40, emotions: tuple[str, ...] = EMOTIONS) -> Design:
    """Classes and scenarios of a layout."""
    if layout == "matched":
        scenarios, classes = [str(scenario) for scenario in range(n_scenarios)], len(emotions) + 1
        labels = [label for label in (*emotions, "neutral") for _ in scenarios]
        return design_of(labels, scenarios * classes)
    sizes = (30, 30) if "30" in layout else (12, 48)
    labels = [label for emotion in emotions for label in [emotion] * sizes[0]]
    return design_of([*labels, *["neutral"] * sizes[1]])


def noise(
    design: Design,
    layout: str,
    spread: np.ndarray,
    rng: np.random.Generator,
    n_layers: int = LAYERS,
) -> np.ndarray:
    """Vectors `[prompt, layer, d_model]` without an effect; neighbouring layers correlate."""
    shape = (design.n_prompts, WIDTH)
    shared = rng.standard_normal((design.n_scenarios, WIDTH))[design.scenario_of]
    if layout != "matched":
        shared = np.zeros(shape)
    width = np.ones((design.n_prompts, 1))
    if "sd 3" in layout:
        width[design.label_of != design.index("neutral")] = 3.0
    state, layers = rng.standard_normal(shape), []
    for layer in range(n_layers):
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


COVERED = (
    "Share of intervals that hold what they estimate: the square of the planted direction, and "
    "the d′ and AUROC of new prompts that are scored as the held-out ones are. 93 to 97 % is "
    "asked for; **outside** marks a rate that is more than two standard errors beyond either. "
    "Matched scenarios vary as much as prompts; unmatched prompts are scenarios of their own."
    "\n\nThe rule was chosen on 4,000 other data sets of each design. There the rule before was "
    "outside in 15 of 135 rates: too wide without an effect on isotropic noise (up to 98.2 %), "
    "because 0 was tried on both sides although d′ in other scenarios is never below it (for "
    "symmetric noise), and because t had the degrees of freedom of scenarios where the variance "
    "is that of products of many dimensions; too narrow (91.8 %) in the AUROC of 12 wide prompts "
    "against 48 narrow ones, of which often less than one is out of order. The present one is "
    "outside in none (93.1 to 97.0 %). In 96 further designs that had no part in the choice (14, "
    "18, 35 and 80 matched scenarios, four unmatched layouts, five spectra, other effects; 4,000 "
    "data sets each, by hand) 4 of 288 rates are above 97 % and none is below 93.1 %: d′ 93.1 to "
    "97.0, AUROC 93.1 to 97.2, squares 93.8 to 97.4 %; with the rule before 15 were. Both were "
    "counted before AUROCs off the normal curve of d′ were left to themselves; the table was not."
)
"""What the section on coverage says, by hand in its second paragraph."""


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
    design = design_with(layout, n_scenarios, EMOTIONS[:1])
    spread = spread_of(spectrum, np.random.default_rng(0))
    vectors = noise(design, layout, spread, rng, 1)
    # Variance of a prompt of the emotion, and of a neutral one, in units of the noise.
    of_classes = (2.0, 2.0) if layout == "matched" else (9.0 if "sd 3" in layout else 1.0, 1.0)
    direction = np.random.default_rng(1).standard_normal(WIDTH)
    delta = (effect * direction / np.linalg.norm(direction)) @ spread
    vectors[design.label_of == 0] += delta
    contrast, folds = contrast_against(design, EMOTIONS[0], "neutral"), scenario_folds(design)
    shared = share_vectors(design, vectors)
    strength = measure_strength(shared, design, contrast)
    scores = held_out_scores(design, shared.vectors, contrast, folds)
    found = measure_separation(scores, shared.vectors, design, contrast, folds, strength.dimensions)
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
