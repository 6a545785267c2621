"""Whether a probe orders the prompts of another subset, wherever its threshold lies."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from emoact.measures import Columns, Measure
from emoact.stats.design import Design
from emoact.stats.null.permutation import permutation_p
from emoact.stats.null.relabelling import relabellings
from emoact.stats.null.uncertainty import bootstrap_counts, share_interval
from emoact.stats.rank import auroc
from emoact.stats.settings import AnalysisSettings

_AT_ONCE = 1 << 22
"""Labels of relabelled prompts that are held at once."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Order:
    """Order of the tested prompts of a transfer, the median over the layers.

    Attributes:
        auroc: Probability that a prompt of the emotion scores above one of the reference.
        interval: Its 95 % interval over scenarios, lower and upper end.
        p: One-sided p-value with the labels of the tested prompts exchanged within scenarios.
    """

    auroc: float = math.nan
    interval: tuple[float, float] = (math.nan, math.nan)
    p: float = math.nan


NO_ORDER = Order()
"""Of an evaluation whose scores are those of several probes, which have no order in common."""


def order_of(
    decisions: Float[np.ndarray, "layer prompt"],
    is_emotion: Bool[np.ndarray, " prompt"],
    design: Design,
    settings: AnalysisSettings,
) -> Order:
    """Order of the prompts that have a decision, by a probe that saw none of them.

    The probe is taken as it is: what is exchanged are labels of tested prompts, so that the test is
    exact for classes that do not differ in them.
    """
    from scipy.stats import rankdata

    tested = np.isfinite(decisions).all(axis=0)
    labels, scores = is_emotion[tested], decisions[:, tested]
    if not labels.any() or labels.all():
        return NO_ORDER
    own = design.take(tested)
    often = bootstrap_counts(own, settings.n_bootstrap, seed=settings.seed)
    often = np.vstack([np.ones(own.n_scenarios, dtype=often.dtype), often])
    size = max(1, _AT_ONCE // own.n_prompts)
    drawn = np.empty(len(often))
    for at in range(0, len(often), size):
        weights = often[at : at + size, own.scenario_of].astype(np.float64)
        drawn[at : at + size] = np.median([auroc(each, labels, weights) for each in scores], axis=0)
    n_units = min(len(np.unique(own.scenario_of[side])) for side in (labels, ~labels))
    n, n_others = int(labels.sum()), int((~labels).sum())
    low, high = share_interval(drawn, n_units, n * n_others, of_pairs=True)

    emotion = own.labels[own.label_of[labels][0]]
    reference = [label for label in own.labels if label != emotion]
    draws = relabellings(own, emotion, reference, settings.n_permutations, seed=settings.seed)
    ranks = rankdata(scores, axis=1).T
    sums = np.concatenate(
        [draws[at : at + size].astype(np.float64) @ ranks for at in range(0, len(draws), size)]
    )
    values = np.median((sums - n * (n + 1) / 2) / (n * n_others), axis=1)
    return Order(
        auroc=float(drawn[0]),
        interval=(float(low), float(high)),
        p=float(permutation_p(values[1:], values[0] - 1e-9)),
    )


def order_columns(column: Columns, emotion: str) -> tuple[Measure, ...]:
    """Columns of the share called the emotion and of the order."""
    return (
        column(
            "called",
            f"Share of these prompts that the probe calls {emotion} (classes weigh the same; "
            "median over the layers): near 0 or 1 the threshold does not carry over",
        ),
        *column.estimate(
            "auroc",
            f"From explicit to implicit prompts: probability that a prompt of {emotion} scores "
            "above one of the other class, wherever the threshold lies; median over the layers; "
            "blank where several probes score the prompts",
            lambda source: source.order.auroc,
            ends=lambda source: source.order.interval,
            of="the 95 % interval of auroc over scenarios",
            chance=0.5,
            no_effect="chance",
        ),
        column(
            "p_order",
            "One-sided p-value of an auroc that is not above 1/2, with the labels of the tested "
            "prompts exchanged within scenarios; Holm over all of this table",
            source="Phipson & Smyth 2010; Holm 1979",
        ),
    )
