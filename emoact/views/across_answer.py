"""Answer of the page Across models: shared emotion first, then words, then shared prompts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from emoact.numbers import plural, significant, two
from emoact.stats.across.between import CREDIBLE
from emoact.stats.across.geometry import HEADLINE
from emoact.views.analysed import site_words
from emoact.views.text import listed, md, mono
from emoact.views.theme import emotion_order
from emoact.views.view import Carded, Remark

TERMS: Mapping[str, str] = {
    "emotion_geometry": r"$\sum_b K_A[e,b]\,K_B[e,b]$ over the root of the models' own products, "
    "$K$ the centred, cross-validated, noise-normalised products of class means; both factors of a "
    "product come from disjoint halves of the scenarios, so that noise of a prompt cannot "
    "correlate; words and marks that go with a class can. "
    "1 is the same geometry, and a copy of a model reads 1. Its null exchanges the labels within "
    "scenarios, so that its p-values say whether a model without emotion can give the agreement; "
    "that the same classes lie alike is for the wrong matchings to say. Blank where either model "
    "does not show the emotion (Diedrichsen et al. 2021; Walther et al. 2016).",
    "classes matched wrongly": "the same agreement with the classes of one model matched with "
    "other classes of the other, mean over all wrong matchings: what unlike classes give.",
    "random words": "the same agreement with a model of random word vectors, which knows the words "
    "and marks that occur and nothing of what they mean.",
    "without words and length": "the same agreement of what a ridge regression of other scenarios "
    "on random word vectors and length does not predict.",
    "score_corr": "Spearman correlation of the two models' held-out projections of the same "
    r"prompts, class labels partialled out, divided by $\sqrt{rel_A\,rel_B}$, the reliability "
    "ceiling. It is about shared prompts: models that share prompts and no emotion read .6 to .8. "
    "Beyond 1 it is a cross at 1, beyond 1.5 the ceiling is too low to divide by, and the value is "
    "in the table only. Its null pairs prompts at random within classes.",
    "procrustes": "principal components (at most 50) and a rotation fitted on training prompts, "
    r"then $\cos(R d_A, d_B)$ on the others. Its null re-pairs prompts within classes; what the "
    "prompts share is not in it.",
    "cka": "linear CKA with the unbiased HSIC estimator ([Kornblith et al. "
    "1905.00414](https://arxiv.org/abs/1905.00414); [Nguyen et al. "
    "2010.15327](https://arxiv.org/abs/2010.15327)); the biased one gives .79 for independent "
    "noise of 200 prompts. `cka_within` removes class means first. About shared prompts.",
    "rsa": "Spearman correlation of the two models' dissimilarities between prompts (Kriegeskorte "
    "2008). About shared prompts.",
    "raw_cos": "the cosine between the directions of two models; a negative control, which has no "
    "common basis, and only where d_model is equal. The grey band holds 95 % under shuffled "
    "labels; isotropic noise would give the narrower $1.96/\\sqrt{d}$.",
    "matched layers": "layer *l* of the first model is compared with the layer of the second at "
    "the same relative depth.",
}


_TESTED = (
    "The p-values say that a model without differences between classes seldom agrees so well, and "
    "not that both models arrange the classes alike."
)


def geometry_sentences(across: pd.DataFrame, *, alpha: float, n_classes: int) -> list[str]:
    """Places of the emotions among the classes in both models, and the same from words alone."""
    first, second = (mono(str(across[name].iloc[0])) for name in ("model_a", "model_b"))
    lead = f"**{first} and {second}, {site_words(str(across['site'].iloc[0]))}:**"
    if n_classes < 3:
        return [f"{lead} no figure about emotion: a geometry needs three classes, here are two."]
    tested = across[across[f"{HEADLINE}_p_max"].notna()]
    if not len(tested):
        return [
            f"{lead} no figure about emotion: no emotion is significant in both models at layers "
            "of the same relative depth."
        ]
    parts = [
        _emotion(across[across["emotion"] == emotion], emotion, alpha)
        for emotion in emotion_order(across["emotion"])
    ]
    said: list[str] = [
        Carded(
            f"{lead} agreement on where each emotion lies among the classes, each model on other "
            f"scenarios (1 is the same geometry; medians over layers of the value and of "
            f"the ends of its interval): {'; '.join(parts)}."
        )
    ]
    if (tested[f"{HEADLINE}_p_max"] <= alpha).any():
        said.append(_matching_sentence(matchings(across, n_classes)))
    return [*said, *_word_sentences(tested, first, second, alpha)]


def _emotion(rows: pd.DataFrame, emotion: str, alpha: float) -> str:
    tested = rows[rows[f"{HEADLINE}_p_max"].notna()]
    if not len(tested):
        return f"{md(emotion)} no figure, not both models show it"
    p = tested[f"{HEADLINE}_p_max"]
    reached = int((p <= alpha).sum())
    beyond = (
        f"corrected p ≤ {alpha:g} at {reached} of "
        f"{plural(len(tested), 'layer')} where both show it, smallest {significant(p.min(), 2)}"
        if reached
        else f"not beyond relabelled data, corrected p at least {significant(p.min(), 2)}"
    )
    middle = tested[[HEADLINE, f"{HEADLINE}_low", f"{HEADLINE}_high"]].median()
    value, low, high = (two(each) for each in middle)
    figure = f"{value} [{low}, {high}]" if math.isfinite(middle[HEADLINE]) else "too noisy a value"
    return f"{md(emotion)} {figure} ({beyond})"


class Matchings(NamedTuple):
    """Rank of the true matching of the classes of two models among all matchings.

    Attributes:
        best: Layers at which none agrees better than the true one; 0 of 0 where not ranked.
        layers: Layers that have a rank.
        ways: Ways to match the classes.
        wrong: Median agreement with classes matched wrongly.
    """

    best: int
    layers: int
    ways: int
    wrong: float

    @property
    def shown(self) -> bool:
        """True if the true matching is the best at more than half of the layers."""
        return self.best > self.layers / 2


def matchings(across: pd.DataFrame, n_classes: int) -> Matchings:
    """Ranks of the true matching of the classes, over the layers at which it was tested.

    Of more than 5 classes not all matchings are tried.
    """
    tested = across[across[f"{HEADLINE}_p_max"].notna()]
    ranked = tested.dropna(subset=[f"{HEADLINE}_rank"]).drop_duplicates("layer_a")
    ranked = ranked if n_classes <= 5 else ranked[:0]
    count = math.factorial(n_classes)
    return Matchings(
        best=int((ranked[f"{HEADLINE}_rank"] <= 1.5 / count).sum()),
        layers=len(ranked),
        ways=count,
        wrong=float(tested[f"{HEADLINE}_other"].median()),
    )


def _matching_sentence(found: Matchings) -> str:
    """The other matchings of the classes: whether it is these classes that lie alike."""
    wrong = f"{_TESTED} With the classes of one model matched wrongly it is {two(found.wrong)}"
    where = f"at {found.best} of {plural(found.layers, 'layer')}"
    if not found.layers:
        return f"{wrong}."
    if found.shown:
        return (
            f"{wrong}; {where} none of the {found.ways} matchings agrees better than the true "
            f"one. By accident the true one is the best at one layer with a chance of 1 in "
            f"{found.ways}; layers are not independent."
        )
    return (
        f"{wrong}, and only {where} is the true matching the best of {found.ways}: both models "
        "tell the classes apart, but it is not shown that the same classes lie near one another."
    )


def _word_sentences(tested: pd.DataFrame, first: str, second: str, alpha: float) -> list[str]:
    """Random words in place of either model, and both models without words and length."""
    words = [
        f"{who} {two(value)}"
        for who, value in (
            (first, tested[f"{HEADLINE}_words_a"].median()),
            (second, tested[f"{HEADLINE}_words_b"].median()),
        )
        if math.isfinite(value)
    ]
    said = []
    if words:
        said.append(
            f"A model of random word vectors agrees with {listed(words)} (medians): so much does "
            "knowing which words and marks occur give, without their meaning or order."
        )
    p = tested[f"{HEADLINE}_partial_p_max"].dropna()
    if len(p):
        reached = int((p <= alpha).sum())
        value = two(tested[f"{HEADLINE}_partial"].median())
        figures = f"{reached} of {len(p)} figures"
        said.append(
            f"Without what words and length predict linearly, {figures} stay beyond relabelled "
            f"data (median agreement {value})."
            if reached
            else "Without what words and length predict linearly, nothing is beyond relabelled "
            f"data (corrected p at least {significant(p.min(), 2)}): no emotion is shown to be "
            "shared beyond words."
        )
    return said


def prompts_sentence(across: pd.DataFrame, similarity: pd.DataFrame) -> str:
    """Agreement of the models on the prompts: as wholes, and by the score correlation."""
    medians = similarity.groupby("measure")["value"].median()
    if not len(medians) or "cka" not in medians:
        return ""
    parts = [
        f"{two(medians['cka'])} unbiased CKA, {two(medians.get('cka_within', math.nan))} once "
        f"class means are removed, {two(medians.get('rsa', math.nan))} RSA"
    ]
    for emotion in emotion_order(across["emotion"]) if len(across) else []:
        rows = across[across["emotion"] == emotion]
        parts.append(f"score correlation {_corrected(rows['score_corr'].median())} ({md(emotion)})")
    return (
        "What the same prompts have in common in both models, which need not be about emotion "
        f"(medians over layers): {', '.join(parts)}."
    )


def control_sentence(across: pd.DataFrame) -> Remark | None:
    """The raw cosine as a negative control; None where it is refused, which is said above."""
    known = across[across["raw_cos"].notna()]
    if not len(known):
        return None
    inside = known["raw_cos"].between(known["raw_low"], known["raw_high"])
    return Remark(
        "The raw cosine is a negative control, because the models have no basis in common: "
        f"{int(inside.sum())} of {len(known)} values lie inside the chance band "
        f"(largest {known['raw_cos'].abs().max():.2f})."
    )


def _corrected(median: float) -> str:
    return "without a value, its reliability is near 0" if abs(median) > CREDIBLE else two(median)
