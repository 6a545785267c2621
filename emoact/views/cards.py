"""Answer cards about causes: one for each emotion, before the charts of a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emoact.causes import steer_result
from emoact.causes.heads import clear_of, name_of, sums_words, table_of
from emoact.numbers import listed, plural, short, signed, significant
from emoact.views.causes import Causes
from emoact.views.heads import Heads
from emoact.views.text import Card, md
from emoact.views.theme import emotion_order
from emoact.views.view import Choice

_N_PARTS = 3


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
