"""Whether scenarios, subsets and languages are spread over the emotions alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emoact.stats.audit.association import associate
from emoact.stats.audit.outcome import Check, Outcome, Test
from emoact.stats.audit.phrases import p_value, some
from emoact.stats.audit.relabelling import exchange
from emoact.stats.audit.text import Texts
from emoact.stats.audit.verdict import severity
from emoact.stats.audit.view import category_view

_REMEDIES = {
    "scenario_id": "Write every scenario once in each emotion, so that topics cannot stand for "
    "emotions.",
    "subset": "Give every emotion the same share of each subset.",
    "lang": "Give every emotion the same share of each language.",
}
_TITLES = {"scenario_id": "Scenarios", "subset": "Subsets", "lang": "Languages"}


@dataclass(frozen=True, kw_only=True)
class Balance:
    """How one field of the data set is spread over the emotions.

    Attributes:
        field: `scenario_id`, `subset` or `lang`.
        uneven: Values that some emotion lacks, or has more often than another one.
        values: Number of different values.
        test: Chi-squared-like test against labels permuted over all prompts; None where the
            spread is perfectly even, or the field says nothing.
    """

    field: str
    uneven: tuple[str, ...]
    values: int
    test: Test | None


def balance_of(texts: Texts, field: str, *, seed: int, permutations: int) -> Balance:
    """The spread of a field, tested where it is not even."""
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
    """The check of a field, its test corrected."""
    title = _TITLES[balance.field]
    outcome: Outcome = "ok" if test is None else severity(test)
    noun = title.lower()
    if balance.values == 0:
        verdict = f"No prompt has a {balance.field}."
        if balance.field == "scenario_id":
            verdict += " Every prompt counts as a scenario of its own."
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
