"""One emotion against its reference, with the random draws that all layers and sites share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int

from emoact.errors import RequestError
from emoact.stats.design import Design, contrast_against, contrast_grand_mean
from emoact.stats.null.permutation import Relabellings, prepare_relabellings
from emoact.stats.null.relabelling import Labellings, relabellings
from emoact.stats.null.splits import scenario_folds, scenario_halves
from emoact.stats.null.uncertainty import bootstrap_counts
from emoact.stats.room import MEMORY, Room
from emoact.stats.settings import AnalysisSettings

KEPT_DRAWS = 500
"""Relabellings that are kept for all prompts, and not just for those of a contrast."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Contrast:
    """One emotion against its reference in one model, with the draws that all sites share.

    Attributes:
        emotion: The class that a direction points to.
        reference: The classes that it points away from.
        weights: Weight of each class.
        used: The prompts of either side.
        folds: Fold of each prompt.
        halves: Disjoint halves of scenarios.
        draws: Bootstrap draws of scenarios.
        relabelled: True for prompts that count as the emotion; row 0 is the truth, and a few of the
            others follow.
        plan: All of them, ready for sums.
    """

    emotion: str
    reference: tuple[str, ...]
    weights: Float64[np.ndarray, " label"]
    used: Bool[np.ndarray, " prompt"]
    folds: Int[np.ndarray, " prompt"]
    halves: Bool[np.ndarray, "split scenario"]
    draws: Int[np.ndarray, "draw scenario"]
    relabelled: Labellings
    plan: Relabellings

    @property
    def is_emotion(self) -> Bool[np.ndarray, " prompt"]:
        """True for the prompts of the emotion."""
        return np.asarray(self.relabelled[:1][0])


def make_contrast(
    design: Design,
    emotion: str,
    settings: AnalysisSettings,
    *,
    beside: Contrast | None = None,
    room: Room = MEMORY,
) -> Contrast:
    """The contrast that the settings ask for, with its seeded draws.

    Args:
        design: Classes and scenarios.
        emotion: The class that the direction points to.
        settings: Choices of the analysis.
        beside: Another contrast of the same design, whose draws of scenarios are the same.
        room: Where the draws are kept.

    Raises:
        RequestError: The neutral class is missing.
    """
    if settings.reference == "neutral":
        reference: tuple[str, ...] = (settings.neutral,)
        weights = contrast_against(design, emotion, settings.neutral)
    else:
        reference = tuple(label for label in design.labels if label != emotion)
        weights = contrast_grand_mean(design, emotion)
    used = weights[design.label_of] != 0
    relabelled = relabellings(
        design, emotion, reference, settings.n_permutations, seed=settings.seed, room=room
    )
    return Contrast(
        emotion=emotion,
        reference=reference,
        weights=weights,
        used=used,
        folds=beside.folds
        if beside
        else scenario_folds(design, settings.n_folds, seed=settings.seed),
        halves=beside.halves
        if beside
        else scenario_halves(design, settings.n_splits, seed=settings.seed),
        draws=beside.draws
        if beside
        else bootstrap_counts(design, settings.n_bootstrap, seed=settings.seed, room=room),
        relabelled=relabelled.first(1 + KEPT_DRAWS),
        plan=prepare_relabellings(design, relabelled, used, room=room),
    )


def check_labels(
    model: str, labels: tuple[str, ...], settings: AnalysisSettings
) -> tuple[str, ...]:
    """The emotions of a model that can be contrasted.

    Raises:
        RequestError: Neutral is missing, or there is nothing to contrast with.
    """
    if len(labels) < 2:
        raise RequestError(
            f"{model} has only the class {labels[0]!r}; a direction needs two",
            remedy="Extract at least one emotion beside neutral.",
        )
    if settings.reference == "neutral":
        if settings.neutral not in labels:
            raise RequestError(
                f"{model} has no class {settings.neutral!r}, so that directions against it "
                f"do not exist; it has {', '.join(labels)}",
                remedy="Name the neutral class (--neutral), extract it, or measure from the grand "
                "mean of the classes instead (--reference grand_mean).",
            )
        return tuple(label for label in labels if label != settings.neutral)
    return labels
