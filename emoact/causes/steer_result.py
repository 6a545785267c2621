"""Result of steering: its document, its table, and what it says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emoact import numbers
from emoact.causes.form import ADDED_TO_EFFECTS
from emoact.causes.saved import SavedCause

if TYPE_CHECKING:
    import pandas as pd


def table_of(saved: SavedCause) -> pd.DataFrame:
    """Its effects, one row for each emotion, layer and dose."""
    import pandas as pd

    table = pd.DataFrame(_effects(saved)).drop(columns="by_class")
    return table[[*_FIRST, *(name for name in table if name not in _FIRST)]]


_FIRST = ("emotion", "layer", "dose", "own", "own_low", "own_high", "p", "verdict", "specific")
"""Columns that are seen without scrolling."""


def _effects(saved: SavedCause) -> list[dict[str, Any]]:
    rows = saved.found["effects"]
    return [{**row, **{name: row.get(name) for name in ADDED_TO_EFFECTS}} for row in rows]


def sentences_of(saved: SavedCause) -> list[str]:
    """Answer of a result in sentences, each with its figures."""
    rows, prefixes = strongest_of_each(saved), saved.found["prefixes"]
    said = [_sentence(saved, row) for row in rows]
    if rows:
        said.insert(
            0,
            "An effect is called causal in {causal} of {cells} cells (emotions × layers × doses "
            "with controls), and specific to its emotion in {specific}.".format(**counts(saved)),
        )
    said += [_prompted(saved.found, row) for row in rows if row["emotion"] in prefixes]
    said += [basis_of(saved)] if rows else []
    return [*said, *warnings_of(saved), *saved.cautions]


def _prompted(found: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    said = (
        f'Without steering, the sentence "{found["prefixes"][row["emotion"]]}" before the text '
        f"changes {row['emotion']} sentences by {numbers.signed(row['prompt_only'])} nats a token"
    )
    if not found.get("neutral_prefixes"):
        return f"{said}."
    first, *rest = found["neutral_prefixes"]
    others = f" or {numbers.plural(len(rest), 'other')} (mean)" if rest else ""
    before = numbers.signed(row["prompt_neutral"])
    return f'{said}, and a sentence of no emotion, "{first}"{others}, by {before}.'


def basis_of(saved: SavedCause) -> str:
    """Basis of intervals, bounds and p-values, and what they leave out."""
    n_shuffled = saved.found["settings"]["n_shuffled"]
    n_scenarios = numbers.plural(len(saved.found["test_scenarios"]), "test scenario")
    return (
        f"Intervals (95 %) draw the {n_scenarios} with replacement and hold the split, which "
        "the seed decides; bounds of random and shuffled directions are those of one cell; p is "
        f"corrected over {numbers.plural(n_cells(saved), 'cell')} and, with {n_shuffled} shuffled "
        f"directions, never below {numbers.significant(1 / (1 + n_shuffled), 2)}."
    )


def broken_doses(saved: SavedCause) -> str:
    """Doses at which the sentences, or those under a control, are not finite; empty without."""
    rows = saved.found["effects"]
    doses = sorted({row["dose"] for row in rows if row["verdict"] == "not finite"})
    return ", ".join(map(numbers.short, doses))


def missing_columns(saved: SavedCause) -> str:
    """Columns that this result of an earlier version lacks; empty without."""
    return ", ".join(name for name in ADDED_TO_EFFECTS if name not in saved.found["effects"][0])


def warnings_of(saved: SavedCause) -> list[str]:
    """Warnings of doses that are not finite, and of columns that are missing."""
    said = []
    if doses := broken_doses(saved):
        said.append(
            f"At dose {doses} some log-probabilities are not finite; nothing is said of them."
        )
    if columns := missing_columns(saved):
        said.append(
            f"An earlier version made this result: it has no {columns}, and its word specific "
            "compares sentences only and no directions of other emotions."
        )
    return said


def strongest(saved: SavedCause) -> Mapping[str, Any]:
    """The row with the smallest p-value; the first one where none has a p-value."""
    rows = strongest_of_each(saved)
    return min(rows, key=lambda row: float(row["p"])) if rows else _effects(saved)[0]


def strongest_of_each(saved: SavedCause) -> list[Mapping[str, Any]]:
    """Of each emotion the row with the smallest p-value, where there is one."""
    best: dict[str, Mapping[str, Any]] = {}
    for row in _effects(saved):
        if row["p"] is None:
            continue
        before = best.get(row["emotion"])
        if before is None or (row["p"], -abs(row["delta"])) < (before["p"], -abs(before["delta"])):
            best[row["emotion"]] = row
    return list(best.values())


def n_cells(saved: SavedCause) -> int:
    """Number of cells that verdicts are corrected over: emotions, layers, control doses."""
    settings = saved.found["settings"]
    return math.prod(len(settings[name]) for name in ("emotions", "layers", "control_doses"))


def counts(saved: SavedCause) -> dict[str, int]:
    """Number of `cells` with controls, and of those that are `causal` and `specific`."""
    causal = [row for row in _effects(saved) if row["verdict"] == "causal"]
    specific = sum(row["specific"] == "specific" for row in causal)
    return {"cells": n_cells(saved), "causal": len(causal), "specific": specific}


def perplexity(row: Mapping[str, Any]) -> str:
    """Factor of the perplexity of neutral sentences: the exponential of what they lose a token."""
    if row["neutral"] is None:
        return numbers.MISSING
    # A dose that breaks the model loses hundreds of nats, whose exponential is no float any more.
    return numbers.significant(math.exp(min(-row["neutral"], 700.0)))


def interval(row: Mapping[str, Any]) -> str:
    """` [+0.01, +0.03]`, behind `own`; empty in results of earlier versions."""
    if row["own_low"] is None or row["own_high"] is None:
        return ""
    return f" [{numbers.signed(row['own_low'])}, {numbers.signed(row['own_high'])}]"


def others_words(saved: SavedCause, row: Mapping[str, Any]) -> str:
    """`+0.107 (most: anger +0.166)`: change of the sentences of other emotions."""
    without = (row["emotion"], saved.found["settings"]["neutral"])
    by_class = {k: v for k, v in row["by_class"].items() if k not in without and v is not None}
    said = numbers.signed(row["others"])
    if len(by_class) < 2:
        return said
    most = max(by_class, key=lambda label: by_class[label] * row["dose"])
    return f"{said} (most: {most} {numbers.signed(by_class[most])})"


def splits_words(saved: SavedCause, row: Mapping[str, Any]) -> str:
    """Range of `own` over other splits, in a sentence; empty where they were not measured."""
    if not saved.found.get("n_splits") or row["own_splits_low"] is None:
        return ""
    low, high = (numbers.signed(row[f"own_splits_{end}"]) for end in ("low", "high"))
    others = numbers.plural(saved.found["n_splits"], "other split")
    said = f"With {others} of the scenarios own sentences change by {low} to {high}"
    if not beyond_splits(row):
        return f"{said}."
    return (
        f"{said}: {numbers.signed(row['own'])} is beyond all of them, was chosen as the most "
        "significant of its emotion, and is likely too large."
    )


def beyond_splits(row: Mapping[str, Any]) -> bool:
    """True where a causal effect is larger than with every other split of the scenarios."""
    ends = [row["own_splits_low"], row["own_splits_high"]]
    if row["verdict"] != "causal" or None in ends:
        return False
    return bool(abs(row["own"]) > max(abs(end) for end in ends))


def _sentence(saved: SavedCause, row: Mapping[str, Any]) -> str:
    side, emotion = ("below" if row["dose"] > 0 else "above"), row["emotion"]
    shown = ("own", "random_95", "shuffled_95", "neutral", "other_directions")
    own, random, shuffled, neutral, directions = (numbers.signed(row[name]) for name in shown)
    said = (
        f"Adding {numbers.short(row['dose'])} times the direction of {emotion} at layer "
        f"{row['layer']} changes the log-probability of held-out {emotion} sentences by "
        f"{own}{interval(row)} nats a token; 95 % of {row['n_random']} random directions of the "
        f"same norm stay {side} {random}, and of {row['n_shuffled']} directions "
        f"of shuffled labels {side} {shuffled}. Neutral sentences change by {neutral}, which "
        f"multiplies their perplexity by {perplexity(row)}. "
    )
    if splits := splits_words(saved, row):
        said += f"{splits} "
    said += (
        "The effect is called causal"
        if row["verdict"] == "causal"
        else "The effect is not shown to be causal"
    )
    cells = numbers.plural(n_cells(saved), "cell")
    said += f" (p = {numbers.significant(row['p'])}, corrected over {cells})."
    if row["others"] is None:
        return said
    said += f" Sentences of other emotions change by {others_words(saved, row)}"
    if row["other_directions"] is not None:
        said += f", and directions of other emotions change {emotion} sentences by {directions}"
    if row["specific"] == "not tested":
        return f"{said}."
    p = row["specificity_p"]
    return (
        f"{said}: the effect is {row['specific']} to {emotion}, which asks that both differences "
        f"to its own {own} are beyond those of directions of exchanged emotions"
        + (f" (p = {numbers.significant(p)})" if p is not None else "")
        + " and that the sentences of no other emotion change as much."
    )
