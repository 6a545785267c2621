"""What the Directions page says first: whether there is a direction, and whether words suffice."""

from __future__ import annotations

import math

import pandas as pd

from emoact import sites
from emoact.numbers import significant
from emoact.views.plots.theme import emotion_order
from emoact.views.text import listed, md

CROSS_VALIDATED = "cross_validated"
TRANSFER = "explicit_to_implicit"


def presence_sentence(headline: pd.DataFrame, strength: pd.DataFrame, reference: str) -> str:
    """Which emotions lie away from the reference by more than relabelling allows, and how far.

    Args:
        headline: Rows of one model.
        strength: Rows of one model and site.
        reference: What directions are measured from, in words.
    """
    each = headline.drop_duplicates("emotion").set_index("emotion")
    if not len(each) or not each["p_holm"].notna().any():
        return "Nothing can be held out here, so that no direction can be told from noise."
    untested = emotion_order(each.index[each["p_holm"].isna()])
    each = each[each["p_holm"].notna()]
    left = f" Nothing can be held out for {_names(untested)}." if untested else ""
    order = emotion_order(each.index)
    found = [name for name in order if bool(each.loc[name, "significant"])]
    if not found:
        return (
            f"**None of {len(order)} emotions lies away from {md(reference)}** by more than "
            f"relabelled data do (smallest p {_p(each['p_holm'].min())}, over every layer, site, "
            f"emotion and model).{left}"
        )
    who = f"All {len(order)} emotions lie" if found == order else f"{_names(found)} "
    who += "" if found == order else ("lies" if len(found) == 1 else "lie")
    sentence = (
        f"**{who} away from {md(reference)}** by more than relabelled data do "
        f"(p ≤ {_p(each.loc[found, 'p_holm'].max())}, over every layer, site, emotion and model)"
    )
    return f"{sentence}{_furthest(strength[strength['emotion'].isin(found)])}.{left}"


def words_sentence(headline: pd.DataFrame, evaluation: str) -> str:
    """What a probe adds to the best classifier of words alone, in the verdicts' own terms.

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
    """How far projections follow the length of the prompt, the plainest of confounds.

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


def site_words(site: str) -> str:
    """`residual stream` for `resid_pre`."""
    return sites.words(site)


def _verdict(kind: str, names: list[str], rows: pd.DataFrame) -> str:
    if not names:
        return ""
    who = _names(names)
    if kind == "beyond_words":
        gains = [
            f"{_points(rows.loc[name, 'difference'])} "
            f"[{_points(rows.loc[name, 'difference_low'])}, "
            f"{_points(rows.loc[name, 'difference_high'])}]"
            for name in names
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


def _furthest(strength: pd.DataFrame) -> str:
    known = strength[strength["cv_relative"].notna()]
    if not len(known):
        return ""
    row = known.loc[known["cv_relative"].idxmax()]
    return (
        f"; the strongest is {md(str(row['emotion']))} at layer {int(row['layer'])} of the "
        f"{site_words(str(row['site']))}, {significant(row['cv_relative'])} of the median norm, "
        f"cross-validated{_caution(row)}"
    )


def _caution(row: pd.Series) -> str:
    words_only = int(row["layer"]) == 0 and row["site"] == "resid_pre"
    return " (layer 0 holds token embeddings and positions, that is, words)" if words_only else ""


def _names(names: list[str]) -> str:
    return listed([md(name) for name in names])


def _p(value: float) -> str:
    return significant(value, 2)


def _share(value: float) -> str:
    return "–" if not math.isfinite(value) else f"{100 * value:.0f} %"


def _points(value: float) -> str:
    return "–" if not math.isfinite(value) else f"{100 * value:+.0f}"
