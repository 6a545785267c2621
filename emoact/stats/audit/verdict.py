"""Judged checks of aspects and of the balance of scenarios, subsets and languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emoact.stats.audit.aspects import Measured, View, category_view
from emoact.stats.audit.outcome import Check, Figure, Outcome, Test
from emoact.stats.audit.separation import associate, exchange
from emoact.stats.audit.text import Texts, listed, means_by_emotion, p_value, percent, some

ALPHA = 0.05
_LEAST_ETA_SQUARED = 0.01
_LEAST_GAIN = 0.02
"""Smaller effects are notes, even when they are significant in a large data set."""


def raw_tests(measured: Measured) -> list[Test]:
    """Permutation tests of an aspect, without correction."""
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
    """Check of an aspect, from its corrected tests."""
    aspect, view = measured.aspect, measured.view
    if not tests:
        return Check(
            aspect=aspect.name,
            title=aspect.title,
            outcome="ok",
            verdict=f"{aspect.title}: no feature differs between prompts and recurs.",
        )
    outcome = worst([severity(test) for test in tests])
    parts = [_phrase(test, measured, texts) for test in tests]
    chance = _chance_remark(tests) if outcome == "ok" else ""
    lead = {
        "ok": "does not separate the emotions",
        "note": "differs between emotions by a negligible amount",
    }.get(outcome, "separates the emotions")
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
    """Severity of one corrected test."""
    if test.p_adjusted is None or test.p_adjusted > ALPHA:
        return "ok"
    if test.kind == "association":
        return "warning" if test.value >= _LEAST_ETA_SQUARED else "note"
    gain = test.value - (test.chance if test.chance is not None else 0.0)
    return "warning" if gain >= _LEAST_GAIN else "note"


def worst(outcomes: list[Outcome]) -> Outcome:
    """Most severe of several outcomes."""
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
        f" The smallest p is {smallest.p_adjusted:.2f} after correction for all tests of the audit."
    )


def _plural(lead: str) -> str:
    return (
        lead.replace("does not", "do not")
        .replace("differs", "differ")
        .replace("separates", "separate")
    )


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
    """Prompts with the largest values of the strongest feature."""
    values = view.features[:, strongest]
    rows = np.argsort(-values, kind="stable")[:5]
    return tuple(texts.prompts[row].id for row in rows if values[row] > 0)


_REMEDIES = {
    "scenario_id": "Write every scenario once in each emotion, so that topics cannot stand for "
    "emotions.",
    "subset": "Give every emotion the same share of each subset.",
    "lang": "Give every emotion the same share of each language.",
}
_TITLES = {"scenario_id": "Scenarios", "subset": "Subsets", "lang": "Languages"}


@dataclass(frozen=True, kw_only=True)
class Balance:
    """Distribution of one field of the data set over the emotions.

    Attributes:
        field: `scenario_id`, `subset` or `lang`.
        uneven: Values whose share differs between emotions.
        values: Number of different values.
        test: Chi-squared-like test against labels permuted over all prompts; None where the
            field is balanced exactly, or has no recurring value.
    """

    field: str
    uneven: tuple[str, ...]
    values: int
    test: Test | None


def balance_of(texts: Texts, field: str, *, seed: int, permutations: int) -> Balance:
    """Distribution of a field, tested where it is not balanced."""
    values: Sequence[str | None] = [getattr(prompt, field) for prompt in texts.prompts]
    sizes = Counter(prompt.emotion for prompt in texts.prompts)
    cells = Counter(
        (value, prompt.emotion) for value, prompt in zip(values, texts.prompts, strict=True)
    )
    different = [value for value in dict.fromkeys(values) if value is not None]
    uneven = tuple(
        value
        for value in different
        if len({cells[value, emotion] / sizes[emotion] for emotion in sizes}) > 1
    )
    test = None
    recurring = len(different) < sum(value is not None for value in values)
    if uneven and recurring and (len(different) > 1 or None in values):
        test = _test(texts, values, seed=seed, permutations=permutations)
    return Balance(field=field, uneven=uneven, values=len(different), test=test)


def judged_balance(balance: Balance, test: Test | None) -> Check:
    """Check of a field, from its corrected test."""
    title = _TITLES[balance.field]
    outcome: Outcome = "ok" if test is None else severity(test)
    noun = title.lower()
    if balance.values == 0:
        verdict = f"No prompt has a {balance.field}."
        if balance.field == "scenario_id":
            verdict += " Every prompt counts as one scenario."
    elif not balance.uneven:
        verdict = f"All {balance.values} {noun} are spread evenly over the emotions."
    else:
        count = len(balance.uneven)
        verdict = f"{count} of {balance.values} {noun} are not spread evenly over the emotions"
        verdict += f" ({some(balance.uneven)})"
        if test is not None:
            verdict += f"; {'more' if outcome != 'ok' else 'not more'} than by chance"
            verdict += f" ({p_value(test.p)})"
        verdict += "."
    return Check(
        aspect={"scenario_id": "scenarios", "subset": "subsets", "lang": "languages"}[
            balance.field
        ],
        title=title,
        outcome=outcome,
        verdict=verdict,
        remedy=_REMEDIES[balance.field] if outcome != "ok" else "",
        tests=() if test is None else (test,),
        examples=balance.uneven[:10],
    )


def _test(
    texts: Texts, values: Sequence[str | None], *, seed: int, permutations: int
) -> Test | None:
    labels = exchange([prompt.emotion for prompt in texts.prompts], [None] * len(values))
    draws = labels.relabelled(np.random.default_rng(seed), permutations=permutations)
    view = category_view(values, "{}", rare=1)
    found = associate(view.features, labels.block, draws, over="sum")
    if found is None:
        return None
    return Test(
        kind="association",
        feature=view.names[found.strongest],
        value=found.eta_squared,
        p=found.p,
    )
