"""Judged checks: aspects and bag of words."""

from __future__ import annotations

from collections import Counter

import numpy as np

from emoact.stats.audit.aspects import REGISTER, WORDS, Measured, word_view
from emoact.stats.audit.outcome import Check, Figure, Outcome, Test
from emoact.stats.audit.register import FUNCTION_WORDS
from emoact.stats.audit.separation import (
    ALPHA,
    LEAST_UNITS,
    folds_of,
    guess,
    relabelled,
    unit_rows,
)
from emoact.stats.audit.text import Texts, listed, means_by_emotion, p_value, percent

_LEAST_ETA_SQUARED = 0.01
_LEAST_GAIN = 0.02
"""Smaller effects are notes, even when they are significant in a large data set."""
_MOST_WORDS = 8


def judged(measured: Measured, texts: Texts, tests: tuple[Test, ...], n_tests: int) -> Check:
    """Check of an aspect, from its corrected tests and the number of tests of the audit."""
    aspect = measured.aspect
    if not tests:
        return Check(
            aspect=aspect.name,
            title=aspect.title,
            outcome="ok",
            verdict=f"{aspect.title}: nothing recurs that varies where labels are exchanged.",
        )
    outcome = max(map(severity, tests), key=("ok", "note", "warning").index)
    found = measured.association
    columns = [] if found is None else [found.strongest]
    if aspect is WORDS and found is not None and outcome != "ok":
        columns = list(found.separating)
        telling = {measured.view.names[column].strip('"') for column in columns}
        outcome = "warning" if telling & FUNCTION_WORDS else "note"
    if aspect is WORDS or aspect in REGISTER:
        verdict = _occurrences(measured, texts, columns, tests[0], n_tests)
    else:
        verdict = "; ".join(_phrase(test, measured, texts) for test in tests) + "."
        verdict += _chance_remark(tests) if outcome == "ok" else ""
    if outcome == "ok" or not (aspect is WORDS or aspect in REGISTER):
        verdict = f"{_lead(aspect.title, outcome)}: {verdict}"
    return Check(
        aspect=aspect.name,
        title=aspect.title,
        outcome=outcome,
        verdict=verdict,
        remedy=aspect.remedy if outcome != "ok" else "",
        tests=tests,
        by_emotion=_table(measured, texts, columns),
        examples=_examples(measured, texts, columns) if outcome != "ok" else (),
    )


def severity(test: Test) -> Outcome:
    """Severity of one corrected test."""
    if test.p_adjusted is None or test.p_adjusted > ALPHA:
        return "ok"
    if test.kind == "association":
        return "warning" if test.value >= _LEAST_ETA_SQUARED else "note"
    gain = test.value - (test.chance if test.chance is not None else 0.0)
    return "warning" if gain >= _LEAST_GAIN else "note"


def _lead(title: str, outcome: Outcome) -> str:
    plural = title.endswith("s")
    if outcome == "ok":
        return f"{title} {'are' if plural else 'is'} not shown to separate the emotions"
    if outcome == "note":
        return f"{title} differ{'' if plural else 's'} between emotions by a negligible amount"
    return f"{title} separate{'' if plural else 's'} the emotions"


def _occurrences(
    measured: Measured, texts: Texts, columns: list[int], test: Test, n_tests: int
) -> str:
    """Prompts with each feature, in the emotions with the largest and the smallest share."""
    sizes = Counter(prompt.emotion for prompt in texts.prompts)
    parts = []
    for column in columns[:_MOST_WORDS]:
        shares = means_by_emotion(texts, measured.view.features[:, column])
        ordered = sorted(shares, key=lambda emotion: -shares[emotion])
        counts = [
            f"{shares[emotion] * sizes[emotion]:.0f} of {sizes[emotion]} {emotion} prompts"
            for emotion in (ordered[0], ordered[-1])
        ]
        verb = "occurs" if measured.aspect is WORDS else "occur"
        parts.append(f"{measured.view.names[column]} {verb} in {counts[0]} and {counts[1]}")
    sentence = "; ".join(parts)
    if len(columns) > _MOST_WORDS:
        sentence += f"; and {len(columns) - _MOST_WORDS} more"
    family = f"{n_tests} tests"
    if measured.aspect is WORDS and measured.association is not None:
        family = f"{measured.association.n_features:,} words and {family}"
    p = test.p if test.p_adjusted is None else test.p_adjusted
    first = " for the first" if len(columns) > 1 else ""
    sentence += f" ({p_value(p)}{first}, corrected over {family})."
    if severity(test) == "ok":
        return sentence
    return f"{sentence[0].upper()}{sentence[1:]} A probe can tell the classes by this."


def _phrase(test: Test, measured: Measured, texts: Texts) -> str:
    if test.kind == "classifier":
        return (
            f"a classifier that sees only {measured.aspect.sees} is right in {percent(test.value)} "
            f"of cases, by chance in {percent(test.chance or 0.0)} ({p_value(test.p)})"
        )
    values = measured.view.features[:, measured.view.names.index(test.feature)]
    as_share = bool(np.isin(values, (0.0, 1.0)).all())
    means = listed(means_by_emotion(texts, values), as_share=as_share)
    label = f"{'prompts with' if as_share else 'mean number of'} {test.feature}"
    return f"{label}: {means} ({p_value(test.p)})"


def _chance_remark(tests: tuple[Test, ...]) -> str:
    smallest = min(tests, key=lambda test: test.p)
    if smallest.p > ALPHA or smallest.p_adjusted is None:
        return ""
    return (
        f" The smallest p is {smallest.p_adjusted:.2f} after correction for all tests of the audit."
    )


def _table(measured: Measured, texts: Texts, columns: list[int]) -> dict[str, dict[str, Figure]]:
    """Means of the most frequent features and of the separating ones, by emotion."""
    shown = dict.fromkeys([*range(min(6, len(measured.view.names))), *columns[:_MOST_WORDS]])
    table: dict[str, dict[str, Figure]] = {emotion: {} for emotion in texts.emotions}
    for column in shown:
        name = measured.view.names[column]
        for emotion, mean in means_by_emotion(texts, measured.view.features[:, column]).items():
            table[emotion][name] = round(mean, 4)
    return table


def _examples(measured: Measured, texts: Texts, columns: list[int]) -> tuple[str, ...]:
    """Prompts with the largest values of the strongest feature."""
    if not columns:
        return ()
    values = measured.view.features[:, columns[0]]
    rows = np.argsort(-values, kind="stable")[:5]
    return tuple(texts.prompts[row].id for row in rows if values[row] > 0)


def lexical_check(texts: Texts, *, where: str, seed: int, permutations: int) -> Check | None:
    """Accuracy of a bag of words; None with too few emotions or scenarios."""
    labels = relabelled(texts.prompts, permutations, seed=seed)
    view = word_view(texts, rare=2)
    if len(texts.emotions) < 2 or int(labels.unit.max()) + 1 < LEAST_UNITS or not view.names:
        return None
    # Each word weighs by its inverse document frequency.
    weighted = unit_rows(view.features * -np.log(view.features.mean(axis=0)))
    test = guess(weighted, folds_of(labels.unit, np.random.default_rng(seed)), labels.draws)
    telling = test.p <= ALPHA
    verdict = (
        f"A classifier that sees only which words occur is right in {percent(test.value)} of "
        f"cases, by chance in {percent(test.chance or 0.0)} ({p_value(test.p)})."
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
    )
