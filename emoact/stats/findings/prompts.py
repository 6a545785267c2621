"""Prompts whose activations have another size than everybody else's."""

from __future__ import annotations

import numpy as np

from emoact import numbers
from emoact.stats.findings.finding import SITE_WORDS, ActivationFinding, span
from emoact.stats.findings.pool import SitePool

_FACTOR = 2.0
"""A prompt at twice the median, or half of it, counts for two in a mean of its class."""

_SCORE = 6.0
"""Robust standard deviations on a log scale: one in 10⁹ Gaussian prompts, so that even ten thousand
prompts at a hundred layers raise no false alarm, and wide classes do not accuse their edges."""

_ENOUGH_PROMPTS = 8
_ENOUGH_CONTENT = 4
"""A prompt of fewer content tokens has the size of its words; that is no outlier."""


def outlier_scores(pool: SitePool) -> tuple[np.ndarray, np.ndarray]:
    """Each prompt's median norm over that of the median prompt, and how unusual that is.

    Returns:
        `[layer, prompt]` ratios, and robust z scores of their logarithms; NaN for prompts with too
        little content.
    """
    content = np.array(
        [pool.units[number].lengths[prompt] for number, prompt in pool.prompts]
    ) - np.array([pool.units[number].content_start for number, _ in pool.prompts])
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


def outlier_prompts(pool: SitePool) -> list[ActivationFinding]:
    """Prompts of at least twice or at most half the median size that are also rare."""
    ratios, scores = outlier_scores(pool)
    away = np.abs(np.log(ratios))
    found = (away >= np.log(_FACTOR)) & (np.abs(scores) >= _SCORE)
    if not found.any():
        return []
    layers = tuple(int(layer) for layer in np.flatnonzero(found.any(axis=1)))
    outliers = np.flatnonzero(found.any(axis=0))
    worst, index = (
        int(n) for n in np.unravel_index(np.argmax(found * np.nan_to_num(away)), found.shape)
    )
    number, prompt = pool.prompts[index]
    unit = pool.units[number]
    more = len(outliers) - 1
    return [
        ActivationFinding(
            kind="outlier_prompts",
            severity="warning",
            model=pool.folder,
            emotion=unit.emotion if not more else None,
            site=pool.site,
            layers=layers,
            sentence=f"Prompt {unit.prompt_id(prompt)} ({unit.emotion}) has "
            f"{numbers.significant(ratios[worst, index])} times the {SITE_WORDS[pool.site]} norm "
            f"of the median prompt at layer {worst}"
            + (f", and {numbers.plural(more, 'other prompt')} stand out" if more > 1 else "")
            + (", and 1 other prompt stands out" if more == 1 else "")
            + f", at {span(layers)}.",
            meaning="Its tokens are of another size throughout: another language, a template, "
            "broken text, or a broken save.",
            matters=True,
            phase3="Yes: it pulls its class mean towards itself; read it, and repeat the analysis "
            "without it.",
            figures={
                "prompt": unit.prompt_id(prompt),
                "prompt_emotion": unit.emotion,
                "ratio": float(ratios[worst, index]),
                "score": float(min(abs(scores[worst, index]), 1e9)),
                "layer": worst,
                "n_prompts": len(outliers),
            },
            view={
                "view": "prompt",
                "model": pool.folder,
                "site": pool.site,
                "emotion": unit.emotion,
                "prompt": unit.prompt_id(prompt),
            },
        )
    ]
