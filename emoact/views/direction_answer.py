"""Answer and cards of the page Directions: emotions with a direction, and what words explain."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from emoact.analysis.sentences import (
    TRANSFER,
    p_text,
    presence_sentence,
    probe_sentences,
    verdict_words,
)
from emoact.numbers import percent, signed, significant, two
from emoact.stats.findings.finding import span
from emoact.stats.settings import AnalysisSettings
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
    "separated": "separate",
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
    site = choice["site"][0]
    headline = source.rows("headline", model=choice["model"])
    strength = source.rows("strength", model=choice["model"], site=site)
    told = verdict_sentence(headline[headline["site"].isin(_told_sites(choice))])
    return [
        _presence(headline, strength, source.saved.settings),
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


def _presence(headline: pd.DataFrame, strength: pd.DataFrame, settings: AnalysisSettings) -> str:
    """Emotions that differ from the reference by more than relabelled data, and the strongest."""
    rows = [own.iloc[0].to_dict() for _, own in by_emotion(headline)]
    tested = [row for row in rows if math.isfinite(row["p_holm"])]
    if not tested:
        return "No prompt can be held out, so no direction can be distinguished from noise."
    reference = (
        md(settings.neutral) if settings.reference == "neutral" else "the mean of all classes"
    )
    floor = 1 / (1 + settings.n_permutations)
    said = [presence_sentence(tested, reference, settings.sites, floor, md)]
    found = [row["emotion"] for row in tested if row["significant"]]
    if found:
        said.append(_strongest(strength[strength["emotion"].isin(found)]))
    untested = [row["emotion"] for row in rows if row not in tested]
    if untested:
        said.append(f"No prompt can be held out for {names(untested)}.")
    return " ".join(said)


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
        return "No single layer of this site is significant among all layers."
    row = known.loc[known["cv_relative"].idxmax()]
    words_only = int(row["layer"]) == 0 and row["site"] == "resid_pre"
    caution = (
        " (layer 0 holds token embeddings and positions, that is, words)" if words_only else ""
    )
    return (
        "Of the layers of this site that are significant among all, the largest estimate, and so "
        f"likely too large, is {md(str(row['emotion']))} at layer {int(row['layer'])} of the "
        f"{site_words(str(row['site']))}, {significant(row['cv_relative'])} of the median norm, "
        f"cross-validated{caution}."
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


def _words_line(row: dict[Any, Any]) -> str:
    if not math.isfinite(row["balanced_accuracy"]):
        return ""
    said = (
        f"Probe of layers {int(row['layer_first'])} to {int(row['layer_last'])}: balanced accuracy "
        f"{percent(row['balanced_accuracy'])} [{percent(row['balanced_low'])}, "
        f"{percent(row['balanced_high'])}]; {verdict_words(row, power=False)}"
    )
    # The interval of one difference says less than the test of all; earlier versions had no such p.
    if row["verdict"] == "inconclusive" and math.isfinite(row.get("p_beyond", math.nan)):
        said += f"; for all three {p_text(row['p_beyond'])}, corrected for all verdicts"
    return f"{said}."
