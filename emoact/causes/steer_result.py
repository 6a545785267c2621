"""Result of steering: its document, its table, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emoact import numbers
from emoact.causes.saved import SavedCause

if TYPE_CHECKING:
    import pandas as pd


def document(saved: SavedCause) -> Mapping[str, Any]:
    """The JSON document of a result."""
    return {"id": saved.id, "path": str(saved.path), **saved.found}


def table_of(saved: SavedCause) -> pd.DataFrame:
    """Its effects, one row for each emotion, layer and dose."""
    import pandas as pd

    table = pd.DataFrame(saved.found["effects"])
    return table.drop(columns="by_class")


def sentences_of(saved: SavedCause) -> list[str]:
    """What a result says, each sentence with its figures."""
    found = saved.found
    rows = strongest_of_each(saved)
    said = [_sentence(row, found) for row in rows]
    said += [
        f'Without steering, the sentence "{prefix}" before the text changes {row["emotion"]} '
        f"sentences by {numbers.signed(row['prompt_only'])} nats a token."
        for row in rows
        for prefix in [found["prefixes"].get(row["emotion"])]
        if prefix is not None
    ]
    broken = [row for row in found["effects"] if row["verdict"] == "not finite"]
    if broken:
        doses = sorted({row["dose"] for row in broken})
        said.append(
            f"At the doses {numbers.listed([f'{dose:g}' for dose in doses])} some "
            "log-probabilities are not finite; nothing is said of them."
        )
    if found["random_weights"]:
        said.append("The weights are random; this says nothing about emotion.")
    return said


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


def _sentence(row: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    settings = found["settings"]
    n_cells = len(settings["emotions"]) * len(settings["layers"]) * len(settings["control_doses"])
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
        f"of shuffled labels {side} {shuffled}. Neutral sentences change by "
        f"{neutral}."
    )
    p = f"p = {numbers.significant(row['p'])}, corrected over {numbers.plural(n_cells, 'cell')}"
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
