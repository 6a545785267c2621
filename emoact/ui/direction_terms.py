"""The terms of the Directions page, each with its formula, its hook and its source."""

from __future__ import annotations

from collections.abc import Sequence

from emoact.analysis.saved import SavedAnalysis
from emoact.sites import site
from emoact.views.text import md

POOLINGS = {
    "mean_content": "the mean over all positions but the BOS",
    "last": "the last token; at layer 0 that is its embedding only, so whatever layer 0 shows is "
    "lexical or positional",
    "mean_all": "the mean over all positions, the BOS included: a diagnostic",
}


def common(saved: SavedAnalysis, sites: Sequence[str]) -> dict[str, str]:
    """Where the vectors come from, and what a direction is."""
    settings = saved.settings
    reference = (
        f"minus that of {md(settings.neutral)}"
        if settings.reference == "neutral"
        else "minus the mean of all class means"
    )
    return {
        "vectors": "; ".join(site(name).explained() for name in sites)
        + f". One vector for each prompt: {POOLINGS[settings.pooling]}.",
        "direction": f"$d_l$ = mean of the emotion's prompts {reference}, at each layer; positive "
        "towards the emotion ([Marks & Tegmark 2310.06824](https://arxiv.org/abs/2310.06824)).",
    }


def terms(saved: SavedAnalysis, view: str, sites: Sequence[str]) -> dict[str, str]:
    """The terms of one view."""
    return {**common(saved, sites), **_VIEWS[view]}


_VIEWS = {
    "strength": {
        "cv": r"cross-validated strength, $\mathrm{sign}(S)\sqrt{|S|}$ with $S$ the mean over "
        r"disjoint halves of $d^{(1)}\!\cdot d^{(2)}$, halves splitting scenarios alike in all "
        "classes. Unlike a plain norm it is not inflated by noise, and it may be negative. "
        "The band is a 95 % jackknife interval over scenarios (Walther et al. 2016).",
        "cv_relative": "the same over the layer's median norm: norms change with depth, so raw "
        "strengths say nothing across layers.",
        "l1, l2": r"plain norms $\sum_i|d_i|$ and $\sqrt{\sum_i d_i^2}$. Biased upward: "
        r"$E\|\hat d\|^2 = \|d\|^2 + \mathrm{tr}\,\Sigma_e/n_e + \mathrm{tr}\,\Sigma_n/n_n$, and "
        "no emotion at all still has a norm. `relative` is l2 over the median norm.",
        "d_prime, auroc": "separation of held-out projections onto a direction made of other "
        "scenarios, with 95 % bootstrap intervals over scenarios. 0 and .5 are no separation.",
        "length_corr": "Spearman correlation of a prompt's number of tokens and its held-out "
        "projection: a direction that follows length says little about emotion.",
        "null band": "95 % of the same figure when the labels of emotion and reference are swapped "
        "at random within scenarios.",
        "significant": "the largest standardised value over all layers and sites lies above "
        "those of relabelled data; Holm over emotions and models. A filled marker means this.",
    },
    "stability": {
        "split half": "cosine between directions made of two disjoint halves of the scenarios, "
        "mean and 95 % over splits; reported raw, not corrected to the full sample.",
        "one scenario left out": "cosine with the direction made without one scenario, mean over "
        "scenarios: near 1 whatever the data, so it never stands alone.",
        "within-scenario differences": "mean cosine between the differences (emotion minus "
        "reference) of two scenarios: how alike single examples are "
        "([Braun et al. 2505.22637](https://arxiv.org/abs/2505.22637)).",
    },
    "separation": {
        "probe": "a linear classifier of emotion against reference on standardised vectors: "
        "L2 logistic, shrinkage LDA, or the mean difference itself (mass-mean).",
        "cross-validated": "five folds of scenarios; no scenario is in training and test.",
        "explicit → implicit": "trained on prompts that use a word such as thank, sorry or "
        "furious, tested on prompts that do the same without it.",
        "baselines": "the same classifier on what is not the model's inside: word counts, "
        "TF-IDF of words and of characters, punctuation, length; layer 0 holds token embeddings "
        "and positions, that is, words. Shuffled labels show what fitting alone gives "
        "([Hewitt & Liang 1909.03368](https://arxiv.org/abs/1909.03368)).",
        "verdict": "beyond words means that the paired difference to the best of the words has a "
        "95 % bootstrap interval above 0; the layer is chosen on training prompts, never on the "
        "tested ones.",
    },
}
