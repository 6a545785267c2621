"""Held-out separation of two classes by their direction."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int

from emoact.measures import Measure, ends
from emoact.stats.design import Design, class_weights, contrast_prompt_weights
from emoact.stats.null.uncertainty import percentile_interval
from emoact.stats.products import Gram


@dataclass(frozen=True, kw_only=True, eq=False)
class Separation:
    """Held-out separation of two classes at every layer.

    Attributes:
        d_prime: (mean(emotion) - mean(reference)) / sqrt((var(emotion) + var(reference)) / 2).
        auroc: Probability that a prompt of the emotion scores above one of the reference.
        d_prime_interval: 95 % percentile bootstrap over scenarios, lower and upper.
        auroc_interval: The same for the AUROC.
    """

    d_prime: Float64[np.ndarray, " layer"]
    auroc: Float64[np.ndarray, " layer"]
    d_prime_interval: Float64[np.ndarray, "2 layer"]
    auroc_interval: Float64[np.ndarray, "2 layer"]


def held_out_scores(
    design: Design,
    gram: Gram,
    contrast: Float[np.ndarray, " label"],
    folds: Int[np.ndarray, " prompt"],
) -> Float64[np.ndarray, "layer prompt"]:
    """Projection of each prompt on the unit direction of the other folds, from their midpoint.

    Positive is towards the emotion. NaN for classes that the contrast leaves out, and in folds
    whose training prompts lack a class or whose direction is zero.
    """
    scores = np.full((len(gram), design.n_prompts), np.nan)
    in_contrast = contrast[design.label_of] != 0
    for fold in np.unique(folds):
        train_scenarios = np.ones(design.n_scenarios, dtype=bool)
        train_scenarios[design.scenario_of[folds == fold]] = False
        test = np.flatnonzero((folds == fold) & in_contrast)
        scores[:, test] = projected_scores(
            gram,
            class_weights(design, train_scenarios),
            contrast,
            test,
        )
    return scores


def projected_scores(
    gram: Gram,
    weights: Float64[np.ndarray, "*draw label prompt"],
    contrast: Float[np.ndarray, " label"],
    test: Int[np.ndarray, " test"],
) -> Float64[np.ndarray, "*draw layer test"]:
    """(x - midpoint) . d / |d| of the test prompts, for directions made with class weights.

    NaN where a class of the contrast is empty or the direction is zero.
    """
    direction = contrast_prompt_weights(weights, contrast)
    positive, negative = np.maximum(contrast, 0.0), np.maximum(-contrast, 0.0)
    middle = (
        contrast_prompt_weights(weights, positive / positive.sum())
        + contrast_prompt_weights(weights, negative / negative.sum())
    ) / 2
    # One product for all draws: [layer, prompt, prompt] x [prompt, draw].
    flat = direction.reshape(-1, direction.shape[-1])
    projections = np.moveaxis(gram @ flat.T, -1, 0)
    squares = np.einsum("dlp,dp->dl", projections, flat)
    floor = 1e-13 * np.einsum("lpp->lp", gram).max(axis=1, initial=0.0)
    length = np.sqrt(np.where(squares > floor, squares, np.nan))
    centre = np.einsum("dlp,dp->dl", projections, middle.reshape(flat.shape))
    scores = (projections[..., test] - centre[..., None]) / length[..., None]
    return np.asarray(scores.reshape(*direction.shape[:-1], *scores.shape[1:]))


def measure_separation(
    scores: Float[np.ndarray, "layer prompt"],
    design: Design,
    contrast: Float[np.ndarray, " label"],
    draws: Int[np.ndarray, "draw scenario"],
) -> Separation:
    """The d' and AUROC of held-out scores, with intervals from bootstrap draws of scenarios.

    The bootstrap keeps the scores: it tells how the prompts at hand vary, not the training.
    """
    emotion = np.flatnonzero(contrast[design.label_of] > 0)
    reference = np.flatnonzero(contrast[design.label_of] < 0)
    here, there = scores[:, emotion], scores[:, reference]
    once = np.ones((1, design.n_prompts))
    often = draws[:, design.scenario_of].astype(np.float64)

    def both(
        weights: Float64[np.ndarray, "draw prompt"],
    ) -> tuple[Float64[np.ndarray, "draw layer"], Float64[np.ndarray, "draw layer"]]:
        on_emotion, on_reference = weights[:, emotion], weights[:, reference]
        return (
            _weighted_d_prime(here, there, on_emotion, on_reference),
            _weighted_auroc(here, there, on_emotion, on_reference),
        )

    (d_prime, auroc), (d_prime_draws, auroc_draws) = both(once), both(often)
    return Separation(
        d_prime=d_prime[0],
        auroc=auroc[0],
        d_prime_interval=percentile_interval(d_prime_draws),
        auroc_interval=percentile_interval(auroc_draws),
    )


def _weighted_d_prime(
    here: Float64[np.ndarray, "layer emotion"],
    there: Float64[np.ndarray, "layer reference"],
    on_here: Float64[np.ndarray, "draw emotion"],
    on_there: Float64[np.ndarray, "draw reference"],
) -> Float64[np.ndarray, "draw layer"]:
    mean_here, var_here = _weighted_moments(here, on_here)
    mean_there, var_there = _weighted_moments(there, on_there)
    pooled = (var_here + var_there) / 2
    return np.asarray(
        (mean_here - mean_there) / np.sqrt(np.where(pooled > 0, pooled, np.nan)), dtype=np.float64
    )


def _weighted_moments(
    values: Float64[np.ndarray, "layer prompt"], weights: Float64[np.ndarray, "draw prompt"]
) -> tuple[Float64[np.ndarray, "draw layer"], Float64[np.ndarray, "draw layer"]]:
    """Means and unbiased variances; the values are centred first so that squares stay exact."""
    total = weights.sum(axis=1, keepdims=True)
    total = np.where(total > 1, total, np.nan)
    shift = values.mean(axis=1)
    centred = values - shift[:, None]
    mean = weights @ centred.T / total
    variance = (weights @ (centred**2).T / total - mean**2) * total / (total - 1)
    return mean + shift, np.maximum(variance, 0.0)


def _weighted_auroc(
    here: Float64[np.ndarray, "layer emotion"],
    there: Float64[np.ndarray, "layer reference"],
    on_here: Float64[np.ndarray, "draw emotion"],
    on_there: Float64[np.ndarray, "draw reference"],
) -> Float64[np.ndarray, "draw layer"]:
    """Mann-Whitney with ties counting one half; prompts weigh as often as they were drawn."""
    pairs = on_here.sum(axis=1) * on_there.sum(axis=1)
    auroc = np.empty((len(on_here), len(here)))
    for layer, (up, down) in enumerate(zip(here, there, strict=True)):
        wins = (up[:, None] > down) + 0.5 * (up[:, None] == down)
        if not (np.isfinite(up).all() and np.isfinite(down).all()):
            wins = np.full(wins.shape, np.nan)
        auroc[:, layer] = ((on_here @ wins) * on_there).sum(axis=1)
    return np.asarray(auroc / np.where(pairs > 0, pairs, np.nan)[:, None])


MEASURES = (
    Measure(
        name="d_prime",
        table="strength",
        definition="Held-out separation of emotion and reference along the direction",
        label="held-out d′",
        axis="d′",
        unit="standard deviations",
        formula="(mean − mean) / √((var + var)/2) of held-out projections, variances over n − 1",
        interval=("d_prime_low", "d_prime_high"),
        chance=0.0,
        no_effect="no separation",
        compute=lambda cell: cell.separation.d_prime,
    ),
    *ends(
        "d_prime_low",
        "d_prime_high",
        table="strength",
        of="the 95 % bootstrap interval of d_prime over scenarios",
        compute=lambda cell: cell.separation.d_prime_interval,
    ),
    Measure(
        name="auroc",
        table="strength",
        definition="Probability that a held-out prompt of the emotion projects higher than one of "
        "the reference; ties count one half",
        label="held-out AUROC",
        axis="AUROC",
        interval=("auroc_low", "auroc_high"),
        chance=0.5,
        no_effect="no separation",
        compute=lambda cell: cell.separation.auroc,
    ),
    *ends(
        "auroc_low",
        "auroc_high",
        table="strength",
        of="the 95 % bootstrap interval of auroc over scenarios",
        compute=lambda cell: cell.separation.auroc_interval,
    ),
)
