"""Result of steering: its document, its table, and what it says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emoact import numbers
from emoact.causes.saved import SavedCause

if TYPE_CHECKING:
    import pandas as pd


def table_of(saved: SavedCause) -> pd.DataFrame:
    """Its effects, one row for each emotion, layer and dose."""
    import pandas as pd

    table = pd.DataFrame(saved.found["effects"])
    return table.drop(columns="by_class")


def sentences_of(saved: SavedCause) -> list[str]:
    """What a result says, each sentence with its figures."""
    found = saved.found
    rows = strongest_of_each(saved)
    said = [_sentence(row, n_cells(saved)) for row in rows]
    said += [
        f'Without steering, the sentence "{prefix}" before the text changes {row["emotion"]} '
        f"sentences by {numbers.signed(row['prompt_only'])} nats a token."
        for row in rows
        for prefix in [found["prefixes"].get(row["emotion"])]
        if prefix is not None
    ]
    said += broken_words(saved)
    return said + saved.cautions


def broken_words(saved: SavedCause) -> list[str]:
    """Warning of doses that make log-probabilities infinite; nothing where there are none."""
    rows = saved.found["effects"]
    doses = sorted({row["dose"] for row in rows if row["verdict"] == "not finite"})
    if not doses:
        return []
    named = numbers.listed(f"{dose:g}" for dose in doses)
    return [f"At the doses {named} some log-probabilities are not finite; nothing is said of them."]


def strongest(saved: SavedCause) -> Mapping[str, Any]:
    """The row with the smallest p-value; the first one where none has a p-value."""
    rows = strongest_of_each(saved)
    return min(rows, key=lambda row: float(row["p"])) if rows else saved.found["effects"][0]


def strongest_of_each(saved: SavedCause) -> list[Mapping[str, Any]]:
    """Of each emotion the row with the smallest p-value, where there is one."""
    best: dict[str, Mapping[str, Any]] = {}
    for row in saved.found["effects"]:
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


def perplexity(row: Mapping[str, Any]) -> str:
    """Factor of the perplexity of neutral sentences: the exponential of what they lose a token."""
    if row["neutral"] is None:
        return numbers.MISSING
    # A dose that breaks the model loses hundreds of nats, whose exponential is no float any more.
    return numbers.significant(math.exp(min(-row["neutral"], 700.0)))


def _sentence(row: Mapping[str, Any], cells: int) -> str:
    side = "below" if row["dose"] > 0 else "above"
    own, random, shuffled, others, neutral = (
        numbers.signed(row[name])
        for name in ("own", "random_95", "shuffled_95", "others", "neutral")
    )
    begin = (
        f"Adding {row['dose']:g} times the direction of {row['emotion']} at layer {row['layer']} "
        f"changes the log-probability of held-out {row['emotion']} sentences by "
        f"{own} nats a token; 95 % of {row['n_random']} random directions of the "
        f"same norm stay {side} {random}, and of {row['n_shuffled']} directions "
        f"of shuffled labels {side} {shuffled}. Neutral sentences change by {neutral}, which "
        f"multiplies their perplexity by {perplexity(row)}."
    )
    p = f"p = {numbers.significant(row['p'])}, corrected over {numbers.plural(cells, 'cell')}"
    if row["verdict"] == "causal":
        said = f"{begin} The effect is called causal ({p})"
    else:
        said = f"{begin} This is no evidence of a causal effect ({p})"
    if row["specific"] == "not tested":
        return f"{said}."
    less = "more than" if row["specific"] == "specific" else "no more than"
    return (
        f"{said}; sentences of other emotions change by {others}, so that it is "
        f"{row['specific']} to {row['emotion']}: own and other sentences differ {less} under "
        "directions of exchanged emotions."
    )
