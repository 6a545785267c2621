"""Scenarios that nearly repeat others, for `calibrate_analysis.py`, and what is said of them."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from emoact.data import read_prompts
from emoact.stats.audit.counts import similar_pairs
from emoact.stats.audit.text import words_of
from emoact.stats.null.permutation import (
    max_statistic_test,
    permuted_statistics,
    prepare_relabellings,
)
from emoact.stats.null.relabelling import relabellings
from emoact.stats.vectors import centre, inverse_sd
from scripts.calibration_designs import SETTINGS, Seed, spread_of
from scripts.calibration_probes import pairs_of

SCENARIOS, CHANGED = 100, 0.3
COPIES = (0, 1, 2, 3, 4, 5, 10, 20)
"""Of so many scenarios the last ones repeat the first, changed by noise of this size."""

KINDS = ("isotropic", "steep, rotated")
WIDE, FEW = 100, (0, 1, 2)
"""Dimensions about as many as those in effect of shipped prompts, and copies in them."""

_RELABELLINGS = 500


def significant(spectrum: str, n_copies: int, width: int, seed: Seed) -> bool:
    """True where classes without a difference have p ≤ .05."""
    rng, design = np.random.default_rng(seed), pairs_of(SCENARIOS)
    vectors = rng.normal(size=(2, SCENARIOS, 1, width)) + rng.normal(size=(SCENARIOS, 1, width))
    copies = vectors[:, :n_copies] + CHANGED * rng.normal(size=(2, n_copies, 1, width))
    vectors[:, SCENARIOS - n_copies :] = copies
    vectors = vectors.reshape(design.n_prompts, 1, width)
    if spectrum != KINDS[0]:
        vectors = vectors @ spread_of(spectrum, rng)
    centred = centre(vectors)
    draws = relabellings(design, "a", ("n",), _RELABELLINGS, seed=int(rng.integers(2**31)))
    plan = prepare_relabellings(design, draws, np.ones(design.n_prompts, dtype=bool))
    found = permuted_statistics(plan, centred, inverse_sd(centred.std(axis=0)))
    return bool(max_statistic_test(found).p_family <= SETTINGS.alpha)


def missed(n_words: int) -> float:
    """Share of shipped prompts that do not count as copies with so many words exchanged."""
    files = (Path(__file__).parents[1] / "data" / f"{name}.jsonl" for name in _SHIPPED)
    texts = [words_of(prompt.text) for file in files for prompt in read_prompts(file).prompts]
    words, rng, found = sorted({word for text in texts for word in text}), random.Random(1), []
    for text in texts * 10:
        changed = list(text)
        for place in rng.sample(range(len(text)), n_words):
            changed[place] = rng.choice(words)
        found.append(tuple(changed) != tuple(text) and not similar_pairs([text, changed])[0])
    return float(np.mean(found))


_SHIPPED = ("prompts", "contrast")
