"""The answer of the page Directions: whether an emotion has a direction, and what words explain."""

from __future__ import annotations

import pandas as pd

from emoact.analysis.sentences import TRANSFER, p_text, pair_sentences, probe_sentences
from emoact.numbers import significant
from emoact.views.analysed import Analysed, names, site_words
from emoact.views.text import md
from emoact.views.theme import emotion_order
from emoact.views.view import Choice, Shown

CROSS_VALIDATED = "cross_validated"


def answer(source: Analysed, choice: Choice, _: Shown) -> list[str]:
    """Presence, the probes beside words alone, emotions among themselves, and length."""
    site, settings = choice["site"][0], source.saved.settings
    headline = source.rows("headline", model=choice["model"])
    strength = source.rows("strength", model=choice["model"], site=site)
    own = headline[headline["site"].isin(list(choice["site"]))].to_dict("records")
    # An analysis of an earlier version has no such table.
    known = "pairs" in source.saved.tables
    pairs = source.of_choice("pairs", choice).to_dict("records") if known else []
    reference = settings.neutral if settings.reference == "neutral" else "the mean of all classes"
    return [
        presence_sentence(headline, strength, reference),
        *probe_sentences(own, md, CROSS_VALIDATED),
        *probe_sentences(own, md, TRANSFER),
        *pair_sentences(pairs, md),
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
            f"relabelled data do (smallest {p_text(each['p_holm'].min())}, {where}).{left}"
        )
    if found == order:
        subject = f"All {len(order)} emotions lie"
    else:
        subject = f"{names(found)} {'lies' if len(found) == 1 else 'lie'}"
    return (
        f"**{subject} away from {md(reference)}** by more than relabelled data do "
        f"(largest {p_text(each.loc[found, 'p_holm'].max())}, {where})"
        f"{_strongest(strength[strength['emotion'].isin(found)])}.{left}"
    )


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


def _strongest(strength: pd.DataFrame) -> str:
    known = strength[strength["cv_relative"].notna() & strength["significant"].astype(bool)]
    if not len(known):
        return "; no single layer is significant among all layers"
    row = known.loc[known["cv_relative"].idxmax()]
    words_only = int(row["layer"]) == 0 and row["site"] == "resid_pre"
    caution = (
        " (layer 0 holds token embeddings and positions, that is, words)" if words_only else ""
    )
    return (
        "; of the layers that are significant among all, the strongest is "
        f"{md(str(row['emotion']))} at layer {int(row['layer'])} of the "
        f"{site_words(str(row['site']))}, {significant(row['cv_relative'])} of the median norm, "
        f"cross-validated{caution}"
    )
