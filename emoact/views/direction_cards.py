"""Cards of the page Directions: the answer about each emotion, and layers with wide intervals."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from emoact.numbers import percent, signed, two
from emoact.stats.findings.finding import span
from emoact.views.analysed import Analysed, of, site_words
from emoact.views.direction_answer import VERDICTS
from emoact.views.text import Card
from emoact.views.theme import by_emotion
from emoact.views.view import Choice

_N_LAYERS = 3
_WIDE = 3.0
"""Interval over that of the median layer from which a layer is called wide."""
_WORDS = {
    "text": "text baseline",
    "contextless": "tokens without context",
    "shuffled_words": "shuffled words",
}


BEST = (
    "Best layers have the largest separation of held-out prompts among significant layers; layer 0 "
    "holds words. They were chosen by these figures, which are therefore likely too large."
)
"""Meaning of best layers on the cards."""


def cards(source: Analysed, choice: Choice) -> list[Card]:
    """One card for each emotion, of the chosen model and the first chosen site."""
    where = {"model": choice["model"], "site": choice["site"][0]}
    strength, stability = (source.rows(name, **where) for name in ("strength", "stability"))
    headline = source.rows("headline", evaluation="cross_validated", **where)
    found = []
    for emotion, rows in by_emotion(strength):
        told = of(headline, emotion=emotion).to_dict("records")
        verdict = str(told[0]["verdict"]) if told else "undecided"
        best = best_layers(rows)
        lines = [_layers_line(best, where["site"])]
        if len(best):
            own = of(stability, emotion=emotion, layer=int(best["layer"].iloc[0]))
            lines += [_stability_line(row) for row in own.to_dict("records")]
        lines += [_words_line(row) for row in told]
        found.append(
            Card(
                title=emotion,
                verdict=VERDICTS.get(verdict, verdict),
                shown=verdict == "beyond_words",
                lines=tuple(filter(None, lines)),
            )
        )
    return found


def wide_layers(source: Analysed, choice: Choice) -> tuple[int, ...]:
    """Layers whose intervals of the relative strength are much wider than at the median layer.

    Of the chosen model and the first chosen site, mean over emotions.
    """
    rows = source.rows("strength", model=choice["model"], site=choice["site"][0])
    width = ((rows["cv_high"] - rows["cv_low"]) / rows["scale"]).groupby(rows["layer"]).mean()
    wide = width[width > _WIDE * width.median()]
    return tuple(int(layer) for layer in wide.index)


def wide_sentence(layers: tuple[int, ...], site: str, tokens: str) -> str:
    """Reason for wide intervals; `tokens` names massive tokens at these layers."""
    said = (
        f"At {span(layers)} of the {site_words(site)} the intervals are more than {_WIDE:g} times "
        "as wide as at the median layer."
    )
    return f"{said} {tokens}" if tokens else f"{said} No massive token was found there."


def best_layers(rows: pd.DataFrame) -> pd.DataFrame:
    """Layers after layer 0 with the largest separation, of those that are significant."""
    able = rows[(rows["layer"] > 0) & rows["significant"].astype(bool) & rows["auroc"].notna()]
    return able.sort_values("auroc", ascending=False, kind="stable").head(_N_LAYERS)


def _layers_line(best: pd.DataFrame, site: str) -> str:
    if not len(best):
        return f"No layer of the {site_words(site)} after layer 0 is significant."
    first, *others = best.to_dict("records")
    also = "".join(f", {int(row['layer'])} ({two(row['auroc'])})" for row in others)
    return (
        f"Best layers after layer 0: **{int(first['layer'])}** (AUROC {two(first['auroc'])} "
        f"[{two(first['auroc_low'])}, {two(first['auroc_high'])}]){also}."
    )


def _stability_line(row: dict[Any, Any]) -> str:
    if not math.isfinite(row["split_half"]):
        return ""
    null = row["split_half_null_high"]
    noise = f"; 97.5 % of relabelled data are below {two(null)}" if math.isfinite(null) else ""
    return (
        f"Stability at layer {int(row['layer'])}: cosine of halves {two(row['split_half'])} "
        f"(95 % of splits {two(row['split_half_low'])} to {two(row['split_half_high'])}{noise})."
    )


def _which(row: dict[Any, Any], name: str) -> str:
    """The text baseline that was chosen on the training prompts, in brackets."""
    kind = row.get("baseline") if name == "text" else None
    return f" ({kind.replace('_', ' ')})" if isinstance(kind, str) and kind else ""


def _words_line(row: dict[Any, Any]) -> str:
    if not math.isfinite(row["balanced_accuracy"]):
        return ""
    others = [
        f"{words}{_which(row, name)} {percent(row[f'{name}_balanced_accuracy'])}"
        for name, words in _WORDS.items()
        if math.isfinite(row[f"{name}_balanced_accuracy"])
    ]
    gains = {
        name: row[f"{name}_difference"]
        for name in _WORDS
        if math.isfinite(row.get(f"{name}_difference", math.nan))
    }
    least = min(gains, key=lambda name: gains[name], default="")
    gain = (
        f" Smallest gain: {signed(100 * gains[least], '.0f')} points "
        f"[{signed(100 * row[f'{least}_difference_low'], '.0f')}, "
        f"{signed(100 * row[f'{least}_difference_high'], '.0f')}] over {_WORDS[least]}"
        + (", without control extractions." if len(gains) < len(_WORDS) else ".")
        if least
        else ""
    )
    return (
        f"Probe of layers {int(row['layer_first'])} to {int(row['layer_last'])}: balanced accuracy "
        f"{percent(row['balanced_accuracy'])} [{percent(row['balanced_low'])}, "
        f"{percent(row['balanced_high'])}]; {', '.join(others)}.{gain}"
    )
