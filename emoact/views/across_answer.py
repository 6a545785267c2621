"""Answer of the page Across models: shared emotion first, then words, then shared prompts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from emoact.numbers import plural, significant, two
from emoact.stats.across.agreement import MAX_MATCHINGS
from emoact.stats.across.between import CREDIBLE
from emoact.stats.across.geometry import HEADLINE
from emoact.views.analysed import site_words
from emoact.views.text import Card, md, mono
from emoact.views.theme import by_emotion
from emoact.views.view import Carded, Remark

TERMS: Mapping[str, str] = {
    "emotion_geometry": r"$\sum_b K_A[e,b]\,K_B[e,b]$ over the root of the models' own products, "
    "$K$ the centred, cross-validated, noise-normalised products of class means; both factors of a "
    "product come from disjoint halves of the scenarios, so that noise of a prompt cannot "
    "correlate; words and marks that go with a class can. "
    "1 is the same geometry, and a copy of a model reads 1; unrelated geometries reach .9 where "
    "classes lie about equally far apart. Its null exchanges the labels within "
    "scenarios, so that its p-values say whether a model without emotion can give the agreement; "
    "that the same classes lie alike is for the wrong matchings to say. Blank where either model "
    "does not show the emotion (Diedrichsen et al. 2021; Walther et al. 2016).",
    "classes matched wrongly": "the same agreement with the classes of one model matched with "
    "other classes of the other, mean over all wrong matchings: what unlike classes give. Whether "
    "the true matching is better than these is one test over all layers and sites, times the "
    "number of pairs of models.",
    "random words": "the same agreement with a model of random word vectors, which knows the words "
    "and marks that occur and nothing of what they mean.",
    "without words and length": "the same agreement of what a ridge regression of other scenarios "
    "on random word vectors and length does not predict.",
    "score_corr": "Spearman correlation of the two models' held-out projections of the same "
    r"prompts, class labels partialled out, divided by $\sqrt{rel_A\,rel_B}$, the reliability "
    "ceiling. It is about shared prompts: models that share prompts and no emotion read 0.6 to "
    "0.8. Beyond 1 it is a cross at 1, beyond 1.5 the ceiling is too low to divide by, and the "
    "value is in the table only. Its null pairs prompts at random within classes.",
    "procrustes": "principal components (at most 50) and a rotation fitted on training prompts, "
    r"then $\cos(R d_A, d_B)$ on the others. Its null re-pairs prompts within classes; what the "
    "prompts share is not in it.",
    "cka": "linear CKA with the unbiased HSIC estimator ([Kornblith et al. "
    "1905.00414](https://arxiv.org/abs/1905.00414); [Nguyen et al. "
    "2010.15327](https://arxiv.org/abs/2010.15327)); the biased one gives 0.79 for independent "
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


def geometry_sentences(across: pd.DataFrame, tried: Matchings) -> list[str]:
    """Places of the emotions among the classes in both models, and the same from words alone."""
    first, second = (mono(str(across[name].iloc[0])) for name in ("model_a", "model_b"))
    lead = f"**{first} and {second}, {site_words(str(across['site'].iloc[0]))}:**"
    if tried.n_classes < 3:
        return [f"{lead} no figure about emotion: a geometry needs three classes, here are two."]
    tested = across[across[f"{HEADLINE}_p_max"].notna()]
    if not len(tested):
        return [
            f"{lead} no figure about emotion: no emotion is significant in both models at layers "
            "of the same relative depth."
        ]
    said: list[str] = [
        Carded(
            f"{lead} agreement on where each emotion lies among the classes, each model on other "
            "scenarios; unrelated geometries reach .9 where classes lie about equally far apart. "
            "What random word vectors reach is what knowing the words and marks gives, without "
            "their meaning or order."
        ),
        *(Carded(card.sentence) for card in cards(across, tried)),
    ]
    if (tested[f"{HEADLINE}_p_max"] <= tried.alpha).any():
        said.append(_matching_sentence(tried))
    return [*said, *_beyond_words(tested, tried.alpha)]


def cards(across: pd.DataFrame, tried: Matchings) -> list[Card]:
    """One card for each emotion of two models."""
    return [_card(emotion, rows, tried) for emotion, rows in by_emotion(across)]


def _card(emotion: str, rows: pd.DataFrame, tried: Matchings) -> Card:
    tested = rows[rows[f"{HEADLINE}_p_max"].notna()]
    if not len(tested):
        lines = ("No layer at which both models show it.",)
        return Card(title=emotion, verdict="no figure", shown=False, lines=lines)
    p = tested[f"{HEADLINE}_p_max"]
    reached = int((p <= tried.alpha).sum())
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
        shown=2 * reached > len(tested) and tried.shown,
        lines=(
            f"Agreement **{two(middle[HEADLINE])}** [{two(middle[f'{HEADLINE}_low'])}, "
            f"{two(middle[f'{HEADLINE}_high'])}] (medians over layers; 1 is the same geometry, "
            "unrelated ones reach .9, and noise may carry it beyond).",
            f"Corrected p ≤ {tried.alpha:g} at {reached} of {plural(len(tested), 'layer')} where "
            f"both models show it, smallest {significant(p.min(), 2)}{blank}.",
            f"{'; '.join(words)}.".capitalize() if words else "",
        ),
    )


class Matchings(NamedTuple):
    """How the true matching of the classes of two models stands among all of them.

    Attributes:
        p: Share of all that agree at least as well, times the pairs of models; NaN if unknown.
        least: Smallest p that any two models could have.
        ways: Ways to match the classes that are tried.
        wrong: Median agreement with classes matched wrongly.
    """

    p: float
    least: float
    ways: int
    n_classes: int
    n_pairs: int
    wrong: float
    alpha: float

    @property
    def shown(self) -> bool:
        """True if it is shown that the same classes lie alike."""
        return self.p <= self.alpha

    @property
    def possible(self) -> bool:
        """True if any two models of this analysis could show it."""
        return self.least <= self.alpha


def matchings(across: pd.DataFrame, *, alpha: float, n_classes: int, n_pairs: int) -> Matchings:
    """The test of the true matching of the classes of two models."""
    tested = across[across[f"{HEADLINE}_p_max"].notna()]
    ways = min(math.factorial(n_classes), MAX_MATCHINGS)
    return Matchings(
        p=float(across[f"{HEADLINE}_p_match"].max()),
        least=min(n_pairs / ways, 1.0),
        ways=ways,
        n_classes=n_classes,
        n_pairs=n_pairs,
        wrong=float(tested[f"{HEADLINE}_other"].median()),
        alpha=alpha,
    )


def _matching_sentence(found: Matchings) -> str:
    """The other matchings of the classes: whether it is these classes that lie alike."""
    wrong = f"{_TESTED} With the classes of one model matched wrongly it is {two(found.wrong)}"
    if not math.isfinite(found.p):
        return f"{wrong}."
    counted = f"{plural(found.n_classes, 'class', 'classes')} and {plural(found.n_pairs, 'pair')}"
    if not found.possible:
        return (
            f"{wrong}. That the same classes lie near one another cannot be shown with {counted} "
            f"of models: the smallest p is {found.n_pairs}/{found.ways}."
        )
    p = f"p = {significant(found.p, 2)}, one test over all layers and sites, times the pairs"
    if found.shown:
        return (
            f"{wrong}; of the {found.ways} matchings the true one agrees better than chance "
            f"({p}). One class alone, such as the neutral one, may be the reason."
        )
    return (
        f"{wrong}: both models tell the classes apart, but it is not shown that the same classes "
        f"lie near one another ({p})."
    )


def _beyond_words(tested: pd.DataFrame, alpha: float) -> list[str]:
    """What is left of the agreement without words and length; nothing where it was not tested."""
    p = tested[f"{HEADLINE}_partial_p_max"].dropna()
    if not len(p):
        return []
    reached, value = int((p <= alpha).sum()), two(tested[f"{HEADLINE}_partial"].median())
    return [
        f"Without what words and length predict linearly, {reached} of {len(p)} figures stay "
        f"beyond relabelled data (median agreement {value})."
        if reached
        else "Without what words and length predict linearly, nothing is beyond relabelled data "
        f"(corrected p at least {significant(p.min(), 2)}): no emotion is shown to be shared "
        "beyond words."
    ]


def prompts_sentence(across: pd.DataFrame, similarity: pd.DataFrame) -> str:
    """Agreement of the models on the prompts: as wholes, and by the score correlation."""
    medians = similarity.groupby("measure")["value"].median()
    if not len(medians) or "cka" not in medians:
        return ""
    parts = [
        f"{two(medians['cka'])} unbiased CKA, {two(medians.get('cka_within', math.nan))} once "
        f"class means are removed, {two(medians.get('rsa', math.nan))} RSA"
    ]
    for emotion, rows in by_emotion(across) if len(across) else []:
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
    if abs(median) > CREDIBLE:
        return "without a value, its reliability is near 0"
    return "above 1, its reliability is uncertain" if median > 1 else two(median)
