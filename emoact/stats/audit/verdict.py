"""From measurements to a judged check in plain words."""

from __future__ import annotations

import numpy as np

from emoact.stats.audit.aspects import Measured
from emoact.stats.audit.outcome import Check, Figure, Outcome, Test
from emoact.stats.audit.phrases import listed, means_by_emotion, p_value, percent
from emoact.stats.audit.text import Texts
from emoact.stats.audit.view import View

ALPHA = 0.05
_LEAST_ETA_SQUARED = 0.01
_LEAST_GAIN = 0.02
"""Below these a difference is real in a large data set and still too small to mislead."""


def raw_tests(measured: Measured) -> list[Test]:
    """The permutation tests of an aspect, not yet corrected."""
    tests = []
    if measured.association is not None:
        tests.append(
            Test(
                kind="association",
                feature=measured.view.names[measured.association.strongest],
                value=measured.association.eta_squared,
                p=measured.association.p,
            )
        )
    if measured.guessing is not None:
        tests.append(
            Test(
                kind="classifier",
                value=measured.guessing.accuracy,
                chance=measured.guessing.chance,
                p=measured.guessing.p,
            )
        )
    return tests


def judged(measured: Measured, tests: tuple[Test, ...], texts: Texts) -> Check:
    """The check of an aspect, its tests corrected."""
    aspect, view = measured.aspect, measured.view
    if not tests:
        return Check(
            aspect=aspect.name,
            title=aspect.title,
            outcome="ok",
            verdict=f"{aspect.title}: all prompts are alike, or nothing recurs that could differ.",
        )
    outcome = worst([severity(test) for test in tests])
    parts = [_phrase(test, measured, texts) for test in tests]
    chance = _chance_remark(tests) if outcome == "ok" else ""
    lead = {
        "ok": "does not tell the emotions apart",
        "note": "differs between emotions by too little to matter",
    }.get(outcome, "tells the emotions apart")
    verb = lead if aspect.name not in ("capitals", "pronouns", "opening") else _plural(lead)
    strongest = measured.association.strongest if measured.association else None
    return Check(
        aspect=aspect.name,
        title=aspect.title,
        outcome=outcome,
        verdict=f"{aspect.title} {verb}: {'; '.join(parts)}.{chance}",
        remedy=aspect.remedy if outcome != "ok" else "",
        tests=tests,
        by_emotion=_table(measured, texts, strongest),
        examples=() if outcome == "ok" or strongest is None else _examples(view, texts, strongest),
    )


def severity(test: Test) -> Outcome:
    """How bad one corrected test is."""
    if test.p_adjusted is None or test.p_adjusted > ALPHA:
        return "ok"
    if test.kind == "association":
        return "warning" if test.value >= _LEAST_ETA_SQUARED else "note"
    gain = test.value - (test.chance if test.chance is not None else 0.0)
    return "warning" if gain >= _LEAST_GAIN else "note"


def worst(outcomes: list[Outcome]) -> Outcome:
    """The most severe of several outcomes."""
    order: tuple[Outcome, ...] = ("ok", "note", "warning", "error")
    return max(outcomes, key=order.index, default="ok")


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
        f" The smallest p is {smallest.p_adjusted:.2f} once corrected for all tests of this audit."
    )


def _plural(lead: str) -> str:
    return lead.replace("does not", "do not").replace("differs", "differ").replace("tells", "tell")


def _table(measured: Measured, texts: Texts, strongest: int | None) -> dict[str, dict[str, Figure]]:
    """Means of the most frequent features and of the strongest, by emotion."""
    columns = list(range(min(6, len(measured.view.names))))
    if strongest is not None and strongest not in columns:
        columns.append(strongest)
    table: dict[str, dict[str, Figure]] = {emotion: {} for emotion in texts.emotions}
    for column in columns:
        name = measured.view.names[column]
        for emotion, mean in means_by_emotion(texts, measured.view.features[:, column]).items():
            table[emotion][name] = round(mean, 4)
    return table


def _examples(view: View, texts: Texts, strongest: int) -> tuple[str, ...]:
    """Prompts with most of the strongest feature."""
    values = view.features[:, strongest]
    rows = np.argsort(-values, kind="stable")[:5]
    return tuple(texts.prompts[row].id for row in rows if values[row] > 0)
