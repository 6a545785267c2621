"""Accuracy of a bag-of-words classifier: a baseline to report, and no confound."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np

from emoact.stats.audit.aspects import lexical_view
from emoact.stats.audit.outcome import Check, Test
from emoact.stats.audit.separation import exchange, folds_of, guess, unit_rows
from emoact.stats.audit.text import Texts, p_value, percent

_ALPHA = 0.05
_LEAST_UNITS = 5
_TYPICAL = 5
_SMOOTHING = 0.5


def lexical_check(texts: Texts, *, where: str, seed: int, permutations: int) -> Check | None:
    """Accuracy of a bag of words, with typical words; None with too few emotions or scenarios."""
    labels = exchange(
        [prompt.emotion for prompt in texts.prompts],
        [prompt.scenario_id for prompt in texts.prompts],
    )
    view = lexical_view(texts)
    if len(texts.emotions) < 2 or int(labels.unit.max()) + 1 < _LEAST_UNITS or not view.names:
        return None
    rng = np.random.default_rng(seed)
    draws = labels.relabelled(rng, permutations=permutations)
    found = guess(unit_rows(view.features), folds_of(labels.unit, rng), draws)
    test = Test(kind="classifier", value=found.accuracy, chance=found.chance, p=found.p)
    telling = found.p <= _ALPHA
    typical = _typical_words(texts)
    verdict = (
        f"A classifier that sees only which words occur is right in {percent(found.accuracy)} of "
        f"cases, by chance in {percent(found.chance)} ({p_value(found.p)}); two emotions share "
        f"{percent(_shared_vocabulary(texts))} of their words on average."
    )
    if telling:
        verdict += " This is the baseline of every probe: only a higher held-out accuracy shows "
        verdict += "more than words."
    return Check(
        aspect="lexis",
        title="Words" if where == "dataset" else f"Words, subset {where}",
        outcome="note" if telling else "ok",
        verdict=verdict,
        remedy="Report this accuracy beside every probe, and test the probe on prompts that do not "
        "name the emotion."
        if telling
        else "",
        where=where,
        tests=(test,),
        by_emotion={emotion: {"typical words": words} for emotion, words in typical.items()},
    )


def _shared_vocabulary(texts: Texts) -> float:
    """Mean Jaccard index of the vocabularies of two emotions."""
    vocabularies = [
        {word for row in texts.of(emotion) for word in texts.words[row]}
        for emotion in texts.emotions
    ]
    shares = [
        len(one & other) / max(1, len(one | other))
        for one, other in itertools.combinations(vocabularies, 2)
    ]
    return float(np.mean(shares))


def _typical_words(texts: Texts) -> dict[str, str]:
    """Most typical words of each emotion, by log odds ratio over its standard error.

    Source: Monroe, Colaresi & Quinn 2008, with a flat prior.
    """
    having = {
        emotion: Counter(word for row in texts.of(emotion) for word in set(texts.words[row]))
        for emotion in texts.emotions
    }
    sizes = {emotion: len(texts.of(emotion)) for emotion in texts.emotions}
    overall = sum(having.values(), Counter[str]())
    typical = {}
    for emotion, counts in having.items():
        scores: dict[str, float] = {}
        for word, count in counts.items():
            inside = count + _SMOOTHING, sizes[emotion] - count + _SMOOTHING
            others = overall[word] - count
            rest = len(texts.prompts) - sizes[emotion] - others
            outside = others + _SMOOTHING, rest + _SMOOTHING
            odds = np.log(inside[0] / inside[1]) - np.log(outside[0] / outside[1])
            scores[word] = float(odds / np.sqrt(sum(1 / n for n in (*inside, *outside))))
        best = sorted(scores, key=lambda word: (-scores[word], word))[:_TYPICAL]
        typical[emotion] = ", ".join(best)
    return typical
