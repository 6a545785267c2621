"""Prompts with unusual norms, and classes whose prompts differ in length."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from emoact import numbers
from emoact.stats.findings.finding import ActivationFinding, span
from emoact.stats.findings.pool import SitePool, where
from emoact.stats.null.permutation import permutation_p
from emoact.store.summaries.measures import UnitMeasures

_FACTOR = 2.0
"""A prompt at twice the median, or half of it, counts for two in a mean of its class."""

_SCORE = 6.0
"""Robust standard deviations on a log scale: one in 10⁹ Gaussian prompts, so that ten thousand
prompts at a hundred layers give no false alarm, and the edges of a wide class are no outliers."""

_ENOUGH_PROMPTS = 8
_ENOUGH_CONTENT = 4
"""The norm of a prompt with fewer content tokens depends on its words alone."""

_LONGER = 1.1
"""A difference of less than a tenth in tokens changes a mean over positions little."""

_ALPHA = 0.001
_PERMUTATIONS = 1999
_SEED = 20260131


def outlier_prompts(pool: SitePool) -> list[ActivationFinding]:
    """Prompts of at least twice or at most half the median norm that are also rare."""
    ratios, scores = outlier_scores(pool)
    away = np.abs(np.log(ratios))
    found = (away >= np.log(_FACTOR)) & (np.abs(scores) >= _SCORE)
    if not found.any():
        return []
    layers, n_outliers = where(found), int(found.any(axis=0).sum())
    worst, index = (
        int(n) for n in np.unravel_index(np.argmax(found * np.nan_to_num(away)), found.shape)
    )
    number, prompt = pool.prompts[index]
    unit = pool.units[number]
    named = f"prompt {unit.prompt_id(prompt)} ({unit.emotion})"
    return pool.finding(
        "outlier_prompts",
        "warning",
        emotion=unit.emotion if n_outliers == 1 else None,
        layers=layers,
        sentence=(
            f"{named[0].upper()}{named[1:]} is an outlier at {span(layers)}: it"
            if n_outliers == 1
            else f"{n_outliers:,} prompts are outliers at {span(layers)}: {named}"
        )
        + f" has {numbers.significant(ratios[worst, index])} times the {pool.words} norm of the "
        f"median prompt at layer {worst}.",
        meaning="All tokens of such a prompt have other norms than usual. Likely causes: another "
        "language, a template, damaged text, or a damaged file.",
        matters=True,
        phase3="Yes: it shifts its class mean. Read the prompt, and repeat the analysis without "
        "it.",
        figures={
            "prompt": unit.prompt_id(prompt),
            "prompt_emotion": unit.emotion,
            "ratio": float(ratios[worst, index]),
            "score": float(min(abs(scores[worst, index]), 1e9)),
            "layer": worst,
            "n_prompts": n_outliers,
        },
        view=pool.prompt_view(number, prompt),
    )


def outlier_scores(pool: SitePool) -> tuple[np.ndarray, np.ndarray]:
    """Median norm of each prompt over that of the median prompt, and its robust z score.

    Returns:
        `[layer, prompt]` ratios, and robust z scores of their logarithms; NaN for prompts with too
        little content.
    """
    content = np.concatenate([unit.content_lengths for unit in pool.units])
    sizes = np.where(content >= _ENOUGH_CONTENT, pool.prompt_medians, np.nan)
    sizes = np.where(np.isfinite(sizes) & (sizes > 0), sizes, np.nan)
    ratios, scores = np.full(sizes.shape, np.nan), np.full(sizes.shape, np.nan)
    for layer, row in enumerate(sizes):
        known = np.isfinite(row)
        if known.sum() < _ENOUGH_PROMPTS:
            continue
        logs = np.log(row[known])
        away = logs - np.median(logs)
        spread = 1.4826 * float(np.median(np.abs(away)))
        ratios[layer, known] = np.exp(away)
        scores[layer, known] = away / max(spread, np.finfo(float).tiny)
    return ratios, scores


def unequal_lengths(units: Sequence[UnitMeasures]) -> list[ActivationFinding]:
    """Content lengths that differ by a tenth between classes, and by more than chance."""
    held = [unit for unit in units if unit.n_samples]
    lengths = [unit.content_lengths.astype(np.float64) for unit in held]
    means = [float(own.mean()) for own in lengths]
    if len(held) < 2 or max(means) < _LONGER * min(means):
        return []
    p = length_p(lengths)
    if p > _ALPHA:
        return []
    long, short = int(np.argmax(means)), int(np.argmin(means))
    more = numbers.percent(means[long] / max(means[short], 1e-9) - 1)
    return [
        ActivationFinding(
            kind="unequal_lengths",
            severity="warning",
            model=held[0].folder,
            sentence=f"Prompts of {held[long].emotion} have {numbers.significant(means[long])} "
            f"content tokens on average and those of {held[short].emotion} "
            f"{numbers.significant(means[short])} ({more} more; "
            f"p = {numbers.significant(p, 2)}).",
            meaning="A direction may encode the length of the texts instead of the emotion.",
            matters=True,
            phase3="Yes: norms and positions change with length. Match the lengths, or report the "
            "correlation of length and projection.",
            figures={
                "long_emotion": held[long].emotion,
                "long_mean": means[long],
                "short_emotion": held[short].emotion,
                "short_mean": means[short],
                "p": p,
            },
            view={"view": "distribution", "model": held[0].folder, "of": "lengths"},
        )
    ]


def length_p(groups: Sequence[np.ndarray]) -> float:
    """p-value of the Kruskal-Wallis statistic under 1,999 seeded permutations.

    Not `scipy.stats.kruskal`: a page that shows findings would load scipy.
    """
    owner = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    sizes = np.bincount(owner).astype(np.float64)
    ranks = pd.Series(np.concatenate(groups)).rank().to_numpy()
    rng = np.random.default_rng(_SEED)

    def statistic(shuffled: np.ndarray) -> float:
        sums = np.bincount(owner, weights=shuffled)
        return float((sums**2 / sizes).sum())

    observed = statistic(ranks) * (1 - 1e-12)
    null = np.array([statistic(rng.permutation(ranks)) for _ in range(_PERMUTATIONS)])
    return float(permutation_p(null, observed))
