"""Linear probes: mass-mean, shrinkage LDA and logistic, tested on held-out scenarios."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from emoact.stats.probes.lda import lda_decisions
from emoact.stats.probes.logistic import Decide, logistic_probe
from emoact.stats.room import set_down
from emoact.stats.vectors import inverse_sd

ProbeKind = Literal["mass_mean", "lda", "logistic"]
Split = tuple[Bool[np.ndarray, " prompt"], Bool[np.ndarray, " prompt"]]
"""True for the training prompts, and for the tested ones."""

MANY_PROMPTS = 1000
"""Prompts of a contrast above which the logistic probe is not fitted at every layer."""

CROSS_VALIDATED = "cross_validated"
TRANSFER = "explicit_to_implicit"
EVALUATIONS = (CROSS_VALIDATED, TRANSFER)

PROBE_KINDS: tuple[ProbeKind, ...] = get_args(ProbeKind)


def mass_mean_decisions(
    train: Float[np.ndarray, "train feature"],
    is_emotion: Bool[np.ndarray, " train"],
    test: Float[np.ndarray, "test feature"],
) -> Float64[np.ndarray, " test"]:
    """(x - midpoint) . (mean(emotion) - mean(reference)); positive is the emotion.

    Source: Marks & Tegmark 2310.06824.
    """
    here, there = train[is_emotion].mean(axis=0), train[~is_emotion].mean(axis=0)
    return np.asarray((test - (here + there) / 2) @ (here - there), dtype=np.float64)


DECIDERS: dict[ProbeKind, Callable[..., Decide]] = {
    "mass_mean": lambda train, test: lambda labels: mass_mean_decisions(train, labels, test),
    "lda": lambda train, test: lambda labels: lda_decisions(train, labels, test),
    "logistic": logistic_probe,
}
"""From training and tested vectors to a probe for any classes of the training prompts."""


def standardised(
    values: Float[np.ndarray, "prompt feature"], split: Split
) -> tuple[Float[np.ndarray, "train feature"], Float[np.ndarray, "test feature"]]:
    """Training and tested prompts in standard deviations of the training ones, about their mean."""
    # Numbers near 1 need no more digits for the sign of a decision, and cost half as much.
    single = split[0].sum() > MANY_PROMPTS or values.dtype == np.float32
    kind: Any = np.float32 if single else np.float64
    here, there = (values[side].astype(kind, copy=False) for side in split)
    set_down(values)
    mean = here.mean(axis=0, dtype=np.float64).astype(kind)
    here -= mean
    there -= mean
    scale = inverse_sd(np.sqrt(np.einsum("pf,pf->f", here, here, dtype=np.float64) / len(here)))
    here *= scale.astype(kind)
    there *= scale.astype(kind)
    return here, there


def band(n_layers: int) -> range:
    """The middle half of the layers, whose median accuracy is the headline.

    Layers floor(n/4) to ceil(3n/4) - 1, fixed before any accuracy is known. Layer 0, which holds
    words and positions, is left out where there is another.
    """
    return range(max(n_layers // 4, min(1, n_layers - 1)), -(-3 * n_layers // 4))


def layer_decisions(
    values: Float[np.ndarray, "prompt feature"],
    is_emotion: Bool[np.ndarray, " prompt"],
    splits: Sequence[Split],
    kinds: Sequence[ProbeKind],
) -> Float64[np.ndarray, "kind prompt"]:
    """Decision values of the tested prompts by each kind of probe.

    NaN for prompts that are in no test, and where the training prompts lack a class.
    """
    return np.asarray(labelled_decisions(values, is_emotion[None], splits, kinds)[0])


def labelled_decisions(
    values: Float[np.ndarray, "prompt feature"],
    labellings: Bool[np.ndarray, "labelling prompt"],
    splits: Sequence[Split],
    kinds: Sequence[ProbeKind],
    *,
    later: ProbeKind | None = None,
) -> Float64[np.ndarray, "labelling kind prompt"]:
    """The same for several labellings of the prompts, which share what no label changes.

    Labellings after the first are those of one kind of probe alone where `later` names it.
    """
    decisions = np.full((len(labellings), len(kinds), len(values)), np.nan)
    for train, test in splits:
        both = labellings[:, train].any(axis=1) & ~labellings[:, train].all(axis=1)
        if test.any() and both.any():
            here, there = standardised(values, (train, test))
            for number, kind in enumerate(kinds):
                decide = DECIDERS[kind](here, there)
                rows = np.flatnonzero(both)
                for row in rows if later in (None, kind) else rows[rows == 0]:
                    decisions[row, number, test] = decide(labellings[row, train])
    return decisions


def fold_splits(
    used: Bool[np.ndarray, " prompt"], folds: Int[np.ndarray, " prompt"]
) -> list[Split]:
    """Each fold tested by a probe that saw the others."""
    return [
        (used & (folds != fold), used & (folds == fold)) for fold in np.unique(folds[used]).tolist()
    ]


def inner_splits(
    used: Bool[np.ndarray, " prompt"], folds: Int[np.ndarray, " prompt"]
) -> dict[tuple[int, int], Bool[np.ndarray, " prompt"]]:
    """Training prompts without two folds, by the numbers of these folds.

    A classifier that saw neither is tested on one for a choice that the other must not influence.
    Of many prompts, neighbouring folds are enough.
    """
    names = np.unique(folds[used]).tolist()
    pairs = list(combinations(names, 2))
    if used.sum() > MANY_PROMPTS and len(names) > 2:
        pairs = list(zip(names, names[1:] + names[:1], strict=True))
    return {(a, b): used & (folds != a) & (folds != b) for a, b in pairs}


def correctness(
    decisions: Float[np.ndarray, "*rest prompt"], is_emotion: Bool[np.ndarray, "... prompt"]
) -> Float64[np.ndarray, "*rest prompt"]:
    """1 where the sign is right, 0 where it is wrong, 1/2 for a decision of 0, NaN for none."""
    sided = np.where(is_emotion, 1.0, -1.0) * np.sign(decisions)
    return np.asarray((sided + 1) / 2)


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """Two classes that probes and baselines tell apart, and on which prompts.

    Attributes:
        is_emotion: True for the prompts of the first class.
        used: The prompts of either class.
        folds: Fold of each prompt.
        splits: Training and tested prompts by evaluation.
    """

    is_emotion: Bool[np.ndarray, " prompt"]
    used: Bool[np.ndarray, " prompt"]
    folds: Int[np.ndarray, " prompt"]
    splits: Mapping[str, Sequence[Split]]

    @property
    def many(self) -> bool:
        """There are so many prompts that not every probe is fitted everywhere."""
        return int(self.used.sum()) > MANY_PROMPTS


def ask(
    subsets: Sequence[str | None],
    is_emotion: Bool[np.ndarray, " prompt"],
    used: Bool[np.ndarray, " prompt"],
    folds: Int[np.ndarray, " prompt"],
) -> Question:
    """The question, with the transfer where both subsets hold both classes."""
    splits: dict[str, Sequence[Split]] = {CROSS_VALIDATED: fold_splits(used, folds)}
    named = np.array([subset or "" for subset in subsets])
    sets = [(named == subset) & used for subset in ("explicit", "implicit")]
    if all(is_emotion[each].any() and not is_emotion[each].all() for each in sets):
        splits[TRANSFER] = [(sets[0], sets[1])]
    return Question(is_emotion=is_emotion, used=used, folds=folds, splits=splits)
