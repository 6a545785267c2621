"""Probes of one emotion against another, on which the style of neutral prompts has no effect."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float, Float64

from emoact.measures import Cell, Columns
from emoact.sites import SiteName
from emoact.stats.design import Design
from emoact.stats.directions.contrast import Contrast
from emoact.stats.features import ModelFeatures
from emoact.stats.null.permutation import adjust, permuted_statistics, prepare_relabellings
from emoact.stats.null.relabelling import relabellings
from emoact.stats.null.significance import judge_families
from emoact.stats.probes.accuracy import (
    MIN_UNITS,
    Accuracies,
    balanced_columns,
    called_share,
    judge_order,
    measure_accuracies,
    median_over,
    n_prompts,
)
from emoact.stats.probes.grid import band_decisions, headline_probe
from emoact.stats.probes.order import NO_ORDER, Order, order_columns, order_of
from emoact.stats.probes.probes import (
    CROSS_VALIDATED,
    TRANSFER,
    ProbeKind,
    ask,
    band,
    correctness,
)
from emoact.stats.settings import AnalysisSettings
from emoact.stats.vectors import centred, deviation, inverse_sd


@dataclass(frozen=True, kw_only=True, eq=False)
class EmotionPair:
    """Two emotions of one model told apart at one site, in one evaluation.

    Attributes:
        layers: Layers whose median is taken.
        called: Share of prompts that are called the first emotion.
        order: Order of the tested prompts of the transfer.
        statistic: Of the permutation test at these layers; row 0 is as labelled.
        p_holm: `p_chance` corrected for all pairs of the analysis; NaN before.
        p_order: Of `order`, corrected likewise.
        p_permutation: Of the difference of means over layers and sites, corrected likewise.
        least: Smallest `p_permutation` that any data could have.
    """

    model: str
    site: SiteName
    emotions: tuple[str, str]
    evaluation: str
    probe: ProbeKind
    layers: range
    accuracies: Accuracies
    median: Accuracies
    called: float
    order: Order
    statistic: Float64[np.ndarray, "permutation layer"]
    alpha: float
    p_holm: float = math.nan
    p_order: float = math.nan
    p_permutation: float = math.nan
    least: float = 0.0

    @property
    def p_chance(self) -> float:
        """p-value of a balanced accuracy that is not above 1/2."""
        return self.median.p_chance

    @property
    def verdict(self) -> str:
        """A probe alone also tells classes apart that differ in spread and not in their mean."""
        if self.median.n_scenarios < MIN_UNITS or not math.isfinite(self.p_permutation):
            return "undecided"
        apart = max(self.p_holm, self.p_permutation) <= self.alpha
        if self.p_permutation > self.alpha < self.least:
            return "undecided"
        return "separated" if apart else judge_order(self.p_order, self.called, self.alpha)


def probe_pairs(
    model: ModelFeatures, site: SiteName, contrasts: Sequence[Contrast], settings: AnalysisSettings
) -> list[EmotionPair]:
    """The headline probe for every two emotions, at the layers of the headline.

    Of many prompts, every second of these layers is enough.
    """
    features, design, kind = model.sites[site], model.design, headline_probe(settings)
    layers, subsets = band(features.shape[1]), [prompt.subset for prompt in model.prompts]
    emotions = [each.emotion for each in contrasts if each.emotion != settings.neutral]
    found = []
    for first, second in combinations(emotions, 2):
        is_first = design.label_of == design.index(first)
        used = is_first | (design.label_of == design.index(second))
        question = ask(subsets, is_first, used, contrasts[0].folds)
        probed = layers[::2] if question.many else layers
        layered = (features[:, layer : layer + 1] for layer in probed)
        statistic = _relabelled(design, layered, first, second, settings)
        for name, decisions in band_decisions(features, probed, question, kind).items():
            correct = correctness(decisions, is_first)
            accuracies = measure_accuracies(
                correct,
                is_first,
                design,
                contrasts[0].draws,
                cross_validated=name == CROSS_VALIDATED,
            )
            found.append(
                EmotionPair(
                    model=model.model,
                    site=site,
                    emotions=(first, second),
                    evaluation=name,
                    probe=kind,
                    layers=layers,
                    accuracies=accuracies,
                    median=median_over(accuracies),
                    called=called_share(correct, is_first),
                    order=order_of(decisions, is_first, design, settings)
                    if name == TRANSFER
                    else NO_ORDER,
                    statistic=statistic,
                    alpha=settings.alpha,
                )
            )
    return found


def _relabelled(
    design: Design,
    layered: Iterable[Float[np.ndarray, "prompt 1 d_model"]],
    first: str,
    second: str,
    settings: AnalysisSettings,
) -> Float64[np.ndarray, "permutation layer"]:
    """Statistic of the permutation test of one emotion against another."""
    draws = relabellings(design, first, (second,), settings.n_permutations, seed=settings.seed)
    pool = np.isin(design.label_of, [design.index(first), design.index(second)])
    plan = prepare_relabellings(design, draws, pool)
    layers = map(centred, layered)
    return np.concatenate(
        [permuted_statistics(plan, each, inverse_sd(deviation(each))) for each in layers], axis=1
    )


def pair_cells(pairs: Sequence[EmotionPair]) -> Iterator[Cell]:
    """Cells of the table `pairs`."""
    corrected = adjust(np.array([each.p_chance for each in pairs]))
    orders = adjust(np.array([each.order.p for each in pairs]))
    families: dict[tuple[str, tuple[str, str]], dict[SiteName, np.ndarray]] = {}
    for each in pairs:
        families.setdefault((each.model, each.emotions), {})[each.site] = each.statistic
    tests = dict(zip(families, judge_families(list(families.values())), strict=True))
    for pair, p_holm, p_order in zip(pairs, corrected, orders, strict=True):
        ids = {
            "model": pair.model,
            "site": pair.site,
            "emotion_a": pair.emotions[0],
            "emotion_b": pair.emotions[1],
            "evaluation": pair.evaluation,
        }
        test = tests[pair.model, pair.emotions]
        source = dataclasses.replace(
            pair,
            p_holm=float(p_holm),
            p_order=float(p_order),
            p_permutation=test.p_holm,
            least=test.least,
        )
        yield Cell(table="pairs", ids=ids, source=source)


_pairs = Columns("pairs")

MEASURES = (
    _pairs("probe", "Probe of the accuracies: logistic where it was fitted", kind="str"),
    _pairs(
        "layer_first",
        "First of the layers whose median accuracy is taken: the middle half",
        lambda pair: pair.layers[0],
        kind="int",
    ),
    _pairs(
        "layer_last",
        "Last of the layers whose median accuracy is taken: the middle half",
        lambda pair: pair.layers[-1],
        kind="int",
    ),
    n_prompts(_pairs, "n_prompts", lambda pair: pair.median),
    _pairs(
        "n_scenarios",
        "Scenarios of these prompts",
        lambda pair: pair.median.n_scenarios,
        kind="int",
        unit="scenarios",
    ),
    *balanced_columns(
        _pairs,
        "Mean over the two emotions of the share of held-out prompts that are classified "
        "correctly, median over the layers",
        lambda pair: pair.median,
        of="its 95 % interval over scenarios",
    ),
    *_pairs.ends(
        "balanced_min",
        "balanced_max",
        "the range of balanced accuracy over these layers",
        lambda pair: (
            pair.accuracies.balanced.min(),
            pair.accuracies.balanced.max(),
        ),
    ),
    _pairs("p_chance", "One-sided p-value of a balanced accuracy that is not above 1/2"),
    _pairs(
        "p_holm",
        "p_chance after Holm's correction over all pairs, sites, evaluations and models",
        source="Holm 1979",
    ),
    _pairs(
        "p_permutation",
        "Permutation p-value of the two emotions' difference of means over these layers and all "
        "sites, after Holm's correction over pairs and models",
        source="Westfall & Young 1993; Holm 1979",
        since="0.1.0",
    ),
    *order_columns(_pairs, "emotion_a"),
    _pairs(
        "verdict",
        "separated where p_holm and p_permutation are at most alpha; otherwise order_only where "
        "p_order is, threshold_moved where called is below .25 or above .75, and no_separation; "
        "undecided with too few held-out scenarios",
        kind="str",
        since="0.1.0",
    ),
)
