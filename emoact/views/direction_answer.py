"""The answer of the page Directions: whether an emotion has a direction, and what words explain."""

from __future__ import annotations

import math

import pandas as pd

from emoact.numbers import significant
from emoact.views.analysed import Analysed, names, site_words
from emoact.views.text import md
from emoact.views.theme import emotion_order
from emoact.views.view import Choice, Shown

CROSS_VALIDATED = "cross_validated"
TRANSFER = "explicit_to_implicit"


def answer(source: Analysed, choice: Choice, _: Shown) -> list[str]:
    """Presence, the probe beside words alone, and the correlation with length."""
    site, settings = choice["site"][0], source.saved.settings
    headline = source.rows("headline", model=choice["model"])
    strength = source.rows("strength", model=choice["model"], site=site)
    own = headline[headline["site"] == site]
    reference = settings.neutral if settings.reference == "neutral" else "the mean of all classes"
    return [
        presence_sentence(headline, strength, reference),
        words_sentence(own, CROSS_VALIDATED),
        words_sentence(own, TRANSFER),
        length_sentence(strength),
    ]


def presence_sentence(headline: pd.DataFrame, strength: pd.DataFrame, reference: str) -> str:
    """Emotions that lie away from the reference by more than relabelled data, and the strongest.

    Args:
        headline: Rows of one model.
        strength: Rows of one model and site.
        reference: What directions are measured from, in words.
    """
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
            f"**None of {len(order)} emotions lies away from {md(reference)}** by more than "
            f"relabelled data do (smallest p {_p(each['p_holm'].min())}, {where}).{left}"
        )
    if found == order:
        subject = f"All {len(order)} emotions lie"
    else:
        subject = f"{names(found)} {'lies' if len(found) == 1 else 'lie'}"
    return (
        f"**{subject} away from {md(reference)}** by more than relabelled data do "
        f"(p ≤ {_p(each.loc[found, 'p_holm'].max())}, {where})"
        f"{_strongest(strength[strength['emotion'].isin(found)])}.{left}"
    )


def words_sentence(headline: pd.DataFrame, evaluation: str) -> str:
    """Gain of a probe over the best classifier of words alone, in the terms of the verdicts.

    Args:
        headline: Rows of one model and site.
        evaluation: `CROSS_VALIDATED` or `TRANSFER`.
    """
    rows = headline[headline["evaluation"] == evaluation].set_index("emotion")
    if not len(rows):
        return ""
    order = emotion_order(rows.index)
    figures = ", ".join(
        f"{md(name)} {_share(rows.loc[name, 'accuracy'])} "
        f"(words {_share(rows.loc[name, 'baseline_accuracy'])})"
        for name in order
    )
    start = (
        "On held-out scenarios the probe is right on "
        if evaluation == CROSS_VALIDATED
        else "Trained on explicit prompts and tested on implicit ones: "
    )
    verdicts = [
        _verdict(kind, [name for name in order if rows.loc[name, "verdict"] == kind], rows)
        for kind in ("beyond_words", "lexical_suffices", "no_separation", "undecided")
    ]
    return f"{start}{figures}. {' '.join(verdict for verdict in verdicts if verdict)}"


def length_sentence(strength: pd.DataFrame) -> str:
    """Largest correlation of projections with the length of the prompt, a possible confound.

    Args:
        strength: Rows of one model and site.
    """
    known = strength[strength["length_corr"].notna()]
    if not len(known):
        return ""
    row = known.loc[known["length_corr"].abs().idxmax()]
    return (
        "Held-out projections correlate with prompt length by at most "
        f"{float(row['length_corr']):+.2f} ({md(str(row['emotion']))}, layer {int(row['layer'])}, "
        "Spearman)."
    )


def _verdict(kind: str, labels: list[str], rows: pd.DataFrame) -> str:
    if not labels:
        return ""
    who = names(labels)
    if kind == "beyond_words":
        gains = [
            f"{_points(rows.loc[name, 'difference'])} "
            f"[{_points(rows.loc[name, 'difference_low'])}, "
            f"{_points(rows.loc[name, 'difference_high'])}]"
            for name in labels
        ]
        return f"**Beyond words for {who}** ({', '.join(gains)} points, 95 % interval)."
    if kind == "lexical_suffices":
        return f"**Lexical information suffices for {who}; no evidence beyond words.**"
    if kind == "no_separation":
        return f"**No separation for {who}**: always naming the larger class may do as well."
    return (
        f"Undecided for {who}: too few held-out prompts, or classes that do not differ by more "
        "than chance."
    )


def _strongest(strength: pd.DataFrame) -> str:
    known = strength[strength["cv_relative"].notna()]
    if not len(known):
        return ""
    row = known.loc[known["cv_relative"].idxmax()]
    words_only = int(row["layer"]) == 0 and row["site"] == "resid_pre"
    caution = (
        " (layer 0 holds token embeddings and positions, that is, words)" if words_only else ""
    )
    return (
        f"; the strongest is {md(str(row['emotion']))} at layer {int(row['layer'])} of the "
        f"{site_words(str(row['site']))}, {significant(row['cv_relative'])} of the median norm, "
        f"cross-validated{caution}"
    )


def _p(value: float) -> str:
    return significant(value, 2)


def _share(value: float) -> str:
    return "–" if not math.isfinite(value) else f"{100 * value:.0f} %"


def _points(value: float) -> str:
    return "–" if not math.isfinite(value) else f"{100 * value:+.0f}"
