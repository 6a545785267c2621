"""The answer of the page Directions: whether an emotion has a direction, and what words explain."""

from __future__ import annotations

import pandas as pd

from emoact.analysis.sentences import TRANSFER, p_text, probe_sentences
from emoact.numbers import signed, significant
from emoact.views.analysed import Analysed, names, site_words
from emoact.views.text import md
from emoact.views.theme import emotion_order
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
