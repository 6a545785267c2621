"""Geometry of emotions in two models: the headline across models, with its controls and test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int

from emoact.measures import Columns
from emoact.sites import SiteName
from emoact.stats.across.agreement import (
    WIDEST,
    Agreement,
    agreement_test,
    compare_layer,
    draws_of,
    join_layers,
    matching_p,
    normalised,
)
from emoact.stats.across.words import without_words, word_predictors, word_vectors
from emoact.stats.features import ModelFeatures
from emoact.stats.null.significance import Significance
from emoact.stats.settings import AnalysisSettings

HEADLINE = "emotion_geometry"
"""Column of the table `across` that is the headline across models."""

CONTROL_DRAWS = 200
"""Relabellings for the controls."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Geometry:
    """Two models at one site, at matched layers.

    Attributes:
        labels: Classes in the order of the arrays.
        words_first: The first model and random word vectors; None where texts are missing.
        words_second: Random word vectors and the second model.
        partial: The two models with words and length partialled out.
    """

    labels: tuple[str, ...]
    models: Agreement
    words_first: Agreement | None = None
    words_second: Agreement | None = None
    partial: Agreement | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedGeometry:
    """One emotion of a `Geometry`, where both models show the emotion.

    Attributes:
        shown: Layers at which both directions are significant.
        p_max: Corrected p-value of the two models.
        partial_p_max: The same without words and length.
        p_match: Of `agreement.matching_p`, times the number of pairs of models.
        alpha: Largest p-value of a model's own product for which its agreement is shown.
    """

    geometry: Geometry
    label: int
    shown: Bool[np.ndarray, " layer"]
    p_max: Float64[np.ndarray, " layer"]
    partial_p_max: Float64[np.ndarray, " layer"]
    p_match: float
    alpha: float

    def value(self, found: Agreement | None) -> Float64[np.ndarray, " layer"]:
        """Agreement of the emotion; NaN where either side is noise or the interval too wide."""
        if found is None:
            return np.full(len(self.shown), np.nan)
        usable = self.shown & (found.own_p[:, self.label] <= self.alpha)
        usable &= 1.96 * found.se[:, self.label] <= WIDEST
        return np.where(usable, found.value[:, self.label], np.nan)

    def beside(self, values: Float64[np.ndarray, "layer label"]) -> Float64[np.ndarray, " layer"]:
        """Figures of the emotion where its agreement has a value."""
        return self.where_shown(values[:, self.label])

    def where_shown(self, values: Float64[np.ndarray, " layer"]) -> Float64[np.ndarray, " layer"]:
        """Figures of all classes where the agreement about the emotion has a value."""
        return np.where(np.isfinite(self.value(self.geometry.models)), values, np.nan)

    @property
    def interval(self) -> Float64[np.ndarray, "2 layer"]:
        """Ends of the 95 % interval of the agreement."""
        models = self.geometry.models
        return np.stack([self.beside(models.value + side * models.se) for side in (-1.96, 1.96)])

    @property
    def null(self) -> Float64[np.ndarray, "2 layer"]:
        """Central 95 % of the agreement under relabelling, in its units."""
        models = self.geometry.models
        low, high = np.quantile(models.draws[0, 1:], (0.025, 0.975), axis=0) / models.scale
        return np.stack([self.beside(low), self.beside(high)])

    @property
    def p(self) -> Float64[np.ndarray, " layer"]:
        """p-value of each layer alone."""
        alone, _ = agreement_test(self.geometry.models.draws[..., self.label])
        return np.where(self.shown, alone, np.nan)


def measure_geometry(
    first: ModelFeatures,
    second: ModelFeatures,
    site: SiteName,
    layers_b: Int[np.ndarray, " layer"],
    settings: AnalysisSettings,
) -> Geometry | None:
    """Geometry of two models with the same prompts; None for fewer than three classes.

    Two classes have one distance, and no shape that two models could share.
    """
    design = first.design
    if len(design.labels) < 3 or design.n_scenarios < 4:
        return None
    draws, few = (
        draws_of(design, min(n, settings.n_permutations), seed=settings.seed)
        for n in (settings.n_permutations, CONTROL_DRAWS)
    )
    words = word_vectors(first.texts, seed=settings.seed)
    pairs = [
        (normalised(first.sites[site][:, a]), normalised(second.sites[site][:, b]))
        for a, b in enumerate(layers_b)
    ]
    models = join_layers([compare_layer(a, b, draws) for a, b in pairs])
    if words is None:
        return Geometry(labels=design.labels, models=models)
    known = normalised(words)
    here, there = (word_predictors(words, model.n_tokens) for model in (first, second))
    rest = (
        (without_words(a, here, few.blocks), without_words(b, there, few.blocks)) for a, b in pairs
    )
    return Geometry(
        labels=design.labels,
        models=models,
        words_first=join_layers([compare_layer(a, known, few) for a, _ in pairs]),
        words_second=join_layers([compare_layer(known, b, few) for _, b in pairs]),
        partial=join_layers([compare_layer(a, b, few) for a, b in rest]),
    )


def judged_columns(
    cells: Sequence[dict[str, Any]],
    geometry: Mapping[tuple[str, str, SiteName], Geometry | None],
    judged: Mapping[tuple[str, str], Significance],
    alpha: float,
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each cell of the table `across`, with the columns that need every model and emotion."""
    by_pair: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for cell in cells:
        by_pair.setdefault((cell["model_a"], cell["model_b"]), []).append(cell)
    for (first, second), own in by_pair.items():
        known = {cell["site"]: geometry[first, second, cell["site"]] for cell in own}
        sites = {site: each for site, each in known.items() if each is not None}
        emotions = list(dict.fromkeys(cell["emotion"] for cell in own))
        main = _corrected({s: each.models for s, each in sites.items()}, sites, emotions)
        partial = _corrected({s: each.partial for s, each in sites.items()}, sites, emotions)
        p_match = matching_p([each.models for each in sites.values()]) if sites else np.nan
        for cell in own:
            place = (cell["site"], cell["emotion"])
            measured = sites.get(cell["site"])
            if measured is None:
                yield cell, dict.fromkeys((each.name for each in MEASURES), np.nan)
                continue
            significant = [
                judged[model, cell["emotion"]].at(cell["site"])[cell[layers]] <= alpha
                for model, layers in ((first, "layer_a"), (second, "layer_b"))
            ]
            shown = significant[0] & significant[1]
            source = JudgedGeometry(
                geometry=measured,
                label=measured.labels.index(cell["emotion"]),
                shown=shown,
                p_max=_over_pairs(main.get(place), shown, len(by_pair)),
                partial_p_max=_over_pairs(partial.get(place), shown, len(by_pair)),
                p_match=min(p_match * len(by_pair), 1.0),
                alpha=alpha,
            )
            yield cell, {each.name: each.compute(source) for each in MEASURES if each.compute}


def _corrected(
    found: Mapping[SiteName, Agreement | None],
    sites: Mapping[SiteName, Geometry],
    emotions: Sequence[str],
) -> dict[tuple[SiteName, str], Float64[np.ndarray, " layer"]]:
    """p-values of a pair of models against the maximum over sites, layers and emotions.

    Every place uses the same relabellings, so that the maximum keeps the chance of any false alarm
    in the pair (Westfall & Young).
    """
    places = [
        (site, emotion, each.draws[..., sites[site].labels.index(emotion)])
        for site, each in found.items()
        if each is not None
        for emotion in emotions
    ]
    if not places:
        return {}
    _, p_max = agreement_test(np.concatenate([draws for _, _, draws in places], axis=2))
    ends_at = np.cumsum([draws.shape[2] for _, _, draws in places])
    parts = np.split(p_max, ends_at[:-1])
    return {(s, emotion): part for (s, emotion, _), part in zip(places, parts, strict=True)}


def _over_pairs(
    p_max: Float64[np.ndarray, " layer"] | None, shown: Bool[np.ndarray, " layer"], n_pairs: int
) -> Float64[np.ndarray, " layer"]:
    """Times the number of all pairs: strong control, whichever pairs share something."""
    if p_max is None:
        return np.full(len(shown), np.nan)
    return np.where(shown, np.minimum(p_max * n_pairs, 1.0), np.nan)


_SHOWN = "blank where either model does not show the emotion"
_NULL = (f"{HEADLINE}_null_low", f"{HEADLINE}_null_high")

_across = Columns("across", judged=True)

MEASURES = (
    *_across.estimate(
        HEADLINE,
        "Agreement of the two models, each on other scenarios, on where the emotion lies "
        f"among the classes; 1 for the same geometry, and near it for unrelated ones whose classes "
        f"lie about equally far apart; {_SHOWN}; not clipped",
        lambda judged: judged.value(judged.geometry.models),
        ends=lambda judged: judged.interval,
        of=f"the 95 % interval of {HEADLINE}, from a jackknife over at most 25 groups of scenarios",
        label="emotion geometry",
        axis="agreement",
        formula="Σ_b K_A[e,b] K_B[e,b] / √(Σ_b K_A[e,b]² Σ_b K_B[e,b]²), K the centred, "
        "cross-validated, noise-normalised products of class means; both factors of a product "
        "from disjoint halves",
        source="Diedrichsen et al. 2021; Walther et al. 2016",
        null=_NULL,
    ),
    *_across.ends(
        *_NULL,
        f"the 95 % band of {HEADLINE} when labels are swapped within scenarios, alike in both "
        "models",
        lambda judged: judged.null,
    ),
    _across(
        f"{HEADLINE}_p",
        f"Permutation p-value of {HEADLINE} of one layer alone, the largest of three: labels "
        "exchanged in both models alike, in the first, and in the second. It tests whether a model "
        "without differences between classes can give the agreement, and not whether both "
        "geometries are the same",
        lambda judged: judged.p,
    ),
    _across(
        f"{HEADLINE}_p_max",
        "The same test against the maximum over sites, layers and emotions, times the number of "
        "pairs of models; two models that both tell the classes apart pass it even where they "
        f"arrange them otherwise; {_SHOWN}",
        lambda judged: judged.p_max,
        source="Westfall & Young 1993",
    ),
    _across(
        f"{HEADLINE}_other",
        f"Mean of {HEADLINE} over the wrong matchings of the classes of one model with those "
        "of the other: what unlike classes alone give",
        lambda judged: judged.beside(judged.geometry.models.other),
    ),
    _across(
        f"{HEADLINE}_rank",
        "Share of all matchings of the classes of one model with those of the other that "
        "agree at least as well as the true one, all classes together. It asks whether the same "
        "classes lie alike, and is no corrected p-value: 1/24 at best with four classes, and one "
        "such value in 24 by accident at each layer",
        lambda judged: judged.where_shown(judged.geometry.models.rank),
    ),
    _across(
        f"{HEADLINE}_p_match",
        "p-value of classes that lie alike: share of all matchings of the classes whose agreement, "
        "all classes together and the median over all layers and sites, is at least that of the "
        "true one, times the number of pairs of models; with four classes at least 1/24 of this "
        "number. The neutral class alone can make it small",
        lambda judged: judged.p_match,
    ),
    _across(
        f"{HEADLINE}_words_a",
        "The same agreement of the first model with random word vectors; blank where words "
        "alone do not show the emotion",
        lambda judged: judged.value(judged.geometry.words_first),
    ),
    _across(
        f"{HEADLINE}_words_b",
        "The same agreement of the second model with random word vectors",
        lambda judged: judged.value(judged.geometry.words_second),
    ),
    _across(
        f"{HEADLINE}_partial",
        f"{HEADLINE} of what words and length do not predict linearly; blank where nothing "
        "significant is left",
        lambda judged: judged.value(judged.geometry.partial),
    ),
    _across(
        f"{HEADLINE}_partial_p_max",
        f"Its p-value, corrected like {HEADLINE}_p_max",
        lambda judged: judged.partial_p_max,
    ),
)
