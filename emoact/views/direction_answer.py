"""Answer and cards of the page Directions: emotions with a direction, and what words explain."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from emoact.analysis.sentences import BASELINE_WORDS, TRANSFER, p_text, probe_sentences
from emoact.numbers import percent, signed, significant, two
from emoact.stats.findings.finding import span
from emoact.views.analysed import Analysed, names, of, site_words
from emoact.views.text import Card, md
from emoact.views.theme import by_emotion, emotion_order
from emoact.views.view import Caution, Choice, Shown

EVALUATIONS = {
    "cross_validated": "on held-out scenarios",
    TRANSFER: "trained on explicit prompts and tested on implicit ones",
}

_FIGURES = "The tab *separation* has the figures."
_LONG = 0.7
"""Correlation with length from which a direction may be one of length."""

VERDICTS = {
    "beyond_words": "beyond words",
    "words_suffice": "words suffice within 5 points",
    "inconclusive": "inconclusive",
    "order_only": "order carries over, accuracy not shown",
    "threshold_moved": "threshold does not carry over",
    "no_separation": "no separation shown",
    "undecided": "too few scenarios",
}
_N_LAYERS = 3
_WIDE = 3.0
"""Interval over that of the median layer from which a layer is called wide."""
BEST = (
    "Best layers have the largest separation of held-out prompts among significant layers; layer 0 "
    "holds words. They were chosen by these figures, which are therefore likely too large."
)
"""Meaning of best layers on the cards."""


def answer(source: Analysed, choice: Choice, _: Shown) -> list[str]:
    """Presence, the verdicts on words, and length."""
    site, settings = choice["site"][0], source.saved.settings
    headline = source.rows("headline", model=choice["model"])
    strength = source.rows("strength", model=choice["model"], site=site)
    reference = settings.neutral if settings.reference == "neutral" else "the mean of all classes"
    told = verdict_sentence(headline[headline["site"].isin(_told_sites(choice))])
    return [
        presence_sentence(headline, strength, reference, 1 / (1 + settings.n_permutations)),
        f"{told} {_FIGURES}" if told else "",
        length_sentence(strength),
    ]


def separation_answer(source: Analysed, choice: Choice, _: Shown) -> list[str]:
    """The probes of the chosen evaluation beside words alone, with their figures."""
    headline = source.rows("headline", model=choice["model"])
    own = headline[headline["site"].isin(_told_sites(choice))].to_dict("records")
    return probe_sentences(own, md, choice["evaluation"], power=False)


def _told_sites(choice: Choice) -> list[str]:
    """Sites of which sentences tell: beside another model the first; chart and table have all."""
    sites = list(choice["site"])
    return sites if choice.get("beside", "none") == "none" else sites[:1]


def verdict_sentence(headline: pd.DataFrame) -> str:
    """Verdicts of every evaluation and site."""
    parts = []
    for (evaluation, site), rows in headline.groupby(["evaluation", "site"], sort=False):
        said = [
            f"{VERDICTS.get(verdict, md(verdict))} for {names(emotion_order(own['emotion']))}"
            for verdict, own in rows.groupby("verdict", sort=False)
        ]
        parts.append((EVALUATIONS[evaluation], f"{'; '.join(said)} ({site_words(site)})"))
    told = [
        f"{how}: {' · '.join(text for other, text in parts if other == how)}."
        for how in dict.fromkeys(how for how, _ in parts)
    ]
    if not told:
        return ""
    sentences = " ".join(each[:1].upper() + each[1:] for each in told)
    return f"Does a probe know more than words? {sentences}"


def presence_sentence(
    headline: pd.DataFrame, strength: pd.DataFrame, reference: str, floor: float
) -> str:
    """Emotions that lie away from the reference by more than relabelled data, and the strongest."""
    each = headline.drop_duplicates("emotion").set_index("emotion")
    if not len(each) or not each["p_holm"].notna().any():
        return "No prompt can be held out, so no direction can be distinguished from noise."
    untested = emotion_order(each.index[each["p_holm"].isna()])
    each = each[each["p_holm"].notna()]
    left = f" No prompt can be held out for {names(untested)}." if untested else ""
    order = emotion_order(each.index)
    found = [name for name in order if bool(each.loc[name, "significant"])]
    where = "over every layer, site, emotion and model"
    if not found:
        return (
            f"**None of {len(order)} emotions is shown to lie away from {md(reference)}** by more "
            f"than relabelled data do (smallest {p_text(each['p_holm'].min())}, {where}).{left}"
        )
    if found == order:
        subject = f"All {len(order)} emotions lie"
    else:
        subject = f"{names(found)} {'lies' if len(found) == 1 else 'lie'}"
    last = each.loc[each.loc[found, "p_holm"].idxmax()]
    largest = p_text(last["p_holm"], at_floor=bool(last["p_family"] <= floor))
    return (
        f"**{subject} away from {md(reference)}** by more than relabelled data do "
        f"(largest {largest}, {where})"
        f"{_strongest(strength[strength['emotion'].isin(found)])}.{left}"
    )


def length_sentence(strength: pd.DataFrame) -> str:
    """Largest correlation of projections with the length of the prompt, a possible confound."""
    known = strength[strength["length_corr"].notna()]
    if not len(known):
        return ""
    row = known.loc[known["length_corr"].abs().idxmax()]
    said = (
        "Of the correlations of held-out projections with prompt length at this site, the largest "
        "in size is "
        f"{signed(float(row['length_corr']), '.2f')} ({md(str(row['emotion']))}, layer "
        f"{int(row['layer'])}, Spearman)"
    )
    if abs(row["length_corr"]) < _LONG:
        return f"{said}."
    return Caution(f"{said}: this direction may be one of length.")


def _strongest(strength: pd.DataFrame) -> str:
    known = strength[strength["cv_relative"].notna() & strength["significant"].astype(bool)]
    if not len(known):
        return "; no single layer of this site is significant among all layers"
    row = known.loc[known["cv_relative"].idxmax()]
    words_only = int(row["layer"]) == 0 and row["site"] == "resid_pre"
    caution = (
        " (layer 0 holds token embeddings and positions, that is, words)" if words_only else ""
    )
    return (
        "; of the layers of this site that are significant among all, the largest estimate, "
        "and so likely too large, is "
        f"{md(str(row['emotion']))} at layer {int(row['layer'])} of the "
        f"{site_words(str(row['site']))}, {significant(row['cv_relative'])} of the median norm, "
        f"cross-validated{caution}"
    )


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


def _corrected(row: dict[Any, Any]) -> str:
    """The p-value that the verdict is about; the intervals are those of single differences."""
    # A table of an earlier version has no such column.
    if not math.isfinite(row.get("p_beyond", math.nan)):
        return "."
    return f"; for all three {p_text(row['p_beyond'])}, corrected for all verdicts of the analysis."


def _words_line(row: dict[Any, Any]) -> str:
    if not math.isfinite(row["balanced_accuracy"]):
        return ""
    others = [
        f"{words}{_which(row, name)} {percent(row[f'{name}_balanced_accuracy'])}"
        for name, words in BASELINE_WORDS.items()
        if math.isfinite(row[f"{name}_balanced_accuracy"])
    ]
    gains = {
        name: row[f"{name}_difference"]
        for name in BASELINE_WORDS
        if math.isfinite(row.get(f"{name}_difference", math.nan))
    }
    least = min(gains, key=lambda name: gains[name], default="")
    gain = (
        f" Smallest gain: {signed(100 * gains[least], '.0f')} points "
        f"[{signed(100 * row[f'{least}_difference_low'], '.0f')}, "
        f"{signed(100 * row[f'{least}_difference_high'], '.0f')}] over {BASELINE_WORDS[least]}"
        + (
            ", without control extractions."
            if len(gains) < len(BASELINE_WORDS)
            else _corrected(row)
        )
        if least
        else ""
    )
    return (
        f"Probe of layers {int(row['layer_first'])} to {int(row['layer_last'])}: balanced accuracy "
        f"{percent(row['balanced_accuracy'])} [{percent(row['balanced_low'])}, "
        f"{percent(row['balanced_high'])}]; {', '.join(others)}.{gain}"
    )
