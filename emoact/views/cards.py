"""Answer cards: one for each pair, emotion or direction, before the charts of a page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from emoact.analysis.sentences import p_text
from emoact.causes import steer_result
from emoact.causes.heads import clear_of, name_of, sums_words, table_of
from emoact.numbers import listed, percent, plural, short, signed, significant, two
from emoact.stats.across.geometry import HEADLINE
from emoact.views import by_layer, cosines
from emoact.views.across_answer import matchings
from emoact.views.analysed import Analysed, of
from emoact.views.causes import Causes
from emoact.views.heads import Heads
from emoact.views.text import Card, md
from emoact.views.theme import by_emotion, emotion_order
from emoact.views.view import Choice

_N_PARTS = 3


_APART = {
    "separated": "separate",
    "order_only": "order carries over",
    "threshold_moved": "threshold does not carry over",
    "no_separation": "not shown to be separate",
    "undecided": "too few scenarios",
}
"""Verdicts of the table `pairs`."""


def of_distances(source: Analysed, choice: Choice) -> list[Card]:
    """One card for each two emotions, of the chosen model and the first chosen site."""
    where = {"model": choice["model"], "site": choice["site"][0]}
    rows = source.rows("distances", **where)
    told = {
        frozenset((row["emotion_a"], row["emotion_b"])): row
        for row in source.rows("pairs", evaluation="cross_validated", **where).to_dict("records")
    }
    return [
        _pair([a, b], of(rows, emotion_a=a, emotion_b=b), told.get(frozenset((a, b)), {}))
        for a, b in cosines.pairs(rows)
    ]


def _pair(emotions: list[str], rows: pd.DataFrame, told: Mapping[Any, Any]) -> Card:
    """Card of two emotions; `told` is their row of the table `pairs`, or empty."""
    lines = []
    if math.isfinite(told.get("balanced_accuracy", math.nan)):
        lines.append(
            f"Probe of one against the other: balanced accuracy "
            f"{percent(told['balanced_accuracy'])} [{percent(told['balanced_low'])}, "
            f"{percent(told['balanced_high'])}], permutation {p_text(told['p_permutation'])}."
        )
    known = rows[rows["cv_cosine"].notna()]
    if len(known):
        reach, value = 1.96 * known["cv_se"], known["cv_cosine"]
        below, above = int((value + reach < 1).sum()), int((value - reach > 0).sum())
        lines.append(
            f"Cross-validated cosine **{two(value.median())}** (median; {two(value.min())} to "
            f"{two(value.max())}) at {len(known)} of {plural(len(rows), 'layer')}; its 95 % "
            f"interval lies below 1 at {below} and above 0 at {above} of them."
            + cosines.too_large(rows)
            * f" {cosines.SELECTED}."
        )
    else:
        lines.append(
            "No cosine: at no layer are both directions significant and far enough from 0 for it "
            "to have an interval."
        )
    plain = rows[rows["null_low"].notna()]
    outside = int((~plain["cosine"].between(plain["null_low"], plain["null_high"])).sum())
    few = int(rows["twin_differs"].astype(bool).sum())
    lines.append(
        f"Plain cosine outside of relabelled data at {outside} of {plural(len(plain), 'layer')}"
        + (f"; few dimensions decide it at {few}." if few else ".")
    )
    verdict = str(told.get("verdict", "undecided"))
    return Card(
        title=" – ".join(emotion_order(emotions)),
        verdict=_APART.get(verdict, verdict),
        shown=verdict == "separated",
        lines=tuple(lines),
    )


def of_across(source: Analysed, choice: Choice) -> list[Card]:
    """One card for each emotion of the chosen pair of models and site."""
    rows = by_layer.rows_of(source, choice, "across")
    if not len(rows):
        return []
    alpha, named = source.saved.settings.alpha, by_layer.pairs(source)
    classes = source.n_shared_classes(*named[choice["pair"]])
    tried = matchings(rows, alpha=alpha, n_classes=classes, n_pairs=len(named))
    return [_shared(emotion, own, alpha, tried.shown) for emotion, own in by_emotion(rows)]


def _shared(emotion: str, rows: pd.DataFrame, alpha: float, matched: bool) -> Card:
    """Card of one emotion; `matched` where the same classes are shown to lie alike."""
    tested = rows[rows[f"{HEADLINE}_p_max"].notna()]
    if not len(tested):
        lines = ("No layer at which both models show it.",)
        return Card(title=emotion, verdict="no figure", shown=False, lines=lines)
    reached = int((tested[f"{HEADLINE}_p_max"] <= alpha).sum())
    middle = tested.median(numeric_only=True)
    noisy = int(tested[HEADLINE].isna().sum())
    blank = f"; at {noisy} of them the agreement is too noisy for a value" if noisy else ""
    verdict = f"beyond chance at {reached} of {len(tested)}" if reached else "not beyond chance"
    words = [
        f"{said} {two(middle[f'{HEADLINE}_{name}'])}"
        for name, said in (
            ("other", "classes matched wrongly"),
            ("words_a", "random words for the first model"),
            ("words_b", "for the second"),
            ("partial", "without words and length"),
        )
        if math.isfinite(middle[f"{HEADLINE}_{name}"])
    ]
    return Card(
        title=emotion,
        verdict=verdict,
        shown=2 * reached > len(tested) and matched,
        lines=(
            f"Agreement **{two(middle[HEADLINE])}** [{two(middle[f'{HEADLINE}_low'])}, "
            f"{two(middle[f'{HEADLINE}_high'])}] (medians over layers; 1 is the same geometry, "
            "unrelated ones reach .9, and noise may carry it beyond).",
            f"Corrected p ≤ {alpha:g} at {reached} of {plural(len(tested), 'layer')} where both "
            f"models show it{blank}.",
            f"{'; '.join(words)}.".capitalize() if words else "",
        ),
    )


def of_heads(source: Heads, choice: Choice) -> list[Card]:
    """One card for each emotion of the chosen model, of its chosen or newest direction."""
    chosen = source.chosen(choice)
    newest = {chosen.found["emotion"]: chosen}
    for saved in source.saved:
        if saved.found["model"] == chosen.found["model"]:
            newest.setdefault(saved.found["emotion"], saved)
    cards = []
    for emotion, saved in newest.items():
        (above, below), n_all = clear_of(saved), len(table_of(saved))
        parts = [
            f"{name_of(row)} {significant(row['contrast'])} [{significant(row['low'])}, "
            f"{significant(row['high'])}]"
            for row in above.head(_N_PARTS).to_dict("records")
        ]
        n, random = len(above), saved.found["random_weights"]
        target = saved.found["target"]
        cards.append(
            Card(
                title=emotion,
                verdict="random weights" if random else f"{n} of {n_all} add more",
                shown=n > 0 and not random,
                lines=(
                    f"Layer {target['layer']} ({target['site']}, {target['pooling']}), norm "
                    f"{significant(saved.found['direction_norm'])}: {sums_words(saved)}.",
                    f"Significantly more than relabelled prompts add {listed(parts)}"
                    + (" (the largest)." if n > _N_PARTS else ".")
                    if parts
                    else "No component adds significantly more than relabelled prompts.",
                    f"{plural(len(below), 'component adds', 'components add')} less."
                    if len(below)
                    else "",
                ),
            )
        )
    return cards


def _caution(row: Mapping[str, Any]) -> str:
    # An earlier version gave no interval.
    ends = [row[name] for name in ("own_low", "own_high") if row.get(name) is not None]
    return ", interval includes 0" if ends and min(ends) <= 0 <= max(ends) else ""


_EFFECTS = {True: "causal, specific", False: "causal, not shown specific"}


def of_causes(source: Causes, choice: Choice) -> list[Card]:
    """One card for each emotion of the chosen result of steering, at its smallest p-value."""
    saved = source.steering(choice)
    if saved is None:
        return []
    cards, n_cells = [], steer_result.n_cells(saved)
    best = {row["emotion"]: row for row in steer_result.strongest_of_each(saved)}
    for row in map(best.__getitem__, emotion_order(best)):
        causal, random = row["verdict"] == "causal", saved.found["random_weights"]
        side = "below" if row["dose"] > 0 else "above"
        cards.append(
            Card(
                title=row["emotion"],
                verdict="random weights"
                if random
                else _EFFECTS[row["specific"] == "specific"] + _caution(row)
                if causal
                else "no effect shown",
                shown=causal and not random,
                lines=(
                    f"Layer {row['layer']}, dose {short(row['dose'])}: own sentences "
                    f"**{signed(row['own'])}**{steer_result.interval(row)} nats a token; 95 % of "
                    f"{row['n_random']} random directions stay {side} {signed(row['random_95'])}, "
                    f"of {row['n_shuffled']} shuffled ones {side} {signed(row['shuffled_95'])}. "
                    f"{steer_result.splits_words(saved, row)}",
                    f"Other emotions {md(steer_result.others_words(saved, row))}, own sentences "
                    "under directions of "
                    f"other emotions {signed(row['other_directions'])}, neutral "
                    f"{signed(row['neutral'])} (perplexity × {steer_result.perplexity(row)}); p = "
                    f"{significant(row['p'], 2)}, corrected over {plural(n_cells, 'cell')}.",
                    f"Without steering, behind “{md(prefix)}”: {signed(row['prompt_only'])}, "
                    f"behind neutral sentences {signed(row['prompt_neutral'])}."
                    if (prefix := saved.found["prefixes"].get(row["emotion"]))
                    else "",
                ),
            )
        )
    return cards
