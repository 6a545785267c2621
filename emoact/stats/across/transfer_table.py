"""Table of a transfer: balanced accuracy and AUROC on the second data set, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from emoact.measures import Measure, ends
from emoact.stats.null.uncertainty import percentile_interval


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """Balanced accuracy and AUROC on the second data set, one row for each layer.

    Attributes:
        balanced: Mean share of right decisions of the two classes; row 0 of `[draw, layer]` is
            that of the prompts, the others those of bootstrap draws of scenarios.
        auroc: Likewise.
    """

    balanced: Float64[np.ndarray, "draw layer"]
    auroc: Float64[np.ndarray, "draw layer"]

    def over(self, layers: Sequence[int]) -> Scores:
        """The median over some layers, in the prompts and in every draw."""
        chosen = list(layers)
        return Scores(
            balanced=np.median(self.balanced[:, chosen], axis=1, keepdims=True),
            auroc=np.median(self.auroc[:, chosen], axis=1, keepdims=True),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Tested:
    """One classifier on the second data set, with what it is compared with.

    Attributes:
        scores: One row, the median over its layers.
        layers: First and last layer, empty for a classifier of texts.
        extremes: Smallest and largest balanced accuracy over these layers.
        baseline: Name of the text baseline that is best within the first data set.
        words: Scores of that baseline; None for baselines.
        n_train: Prompts of the first data set.
        n: Prompts of the second.
        n_emotion: Those of the emotion.
        n_scenarios: Their scenarios.
    """

    scores: Scores
    layers: str
    extremes: tuple[float, float]
    baseline: str
    words: Scores | None
    n_train: int
    n: int
    n_emotion: int
    n_scenarios: int


def balanced(
    decisions: Float[np.ndarray, " test"],
    is_emotion: Bool[np.ndarray, " test"],
    weights: Float[np.ndarray, "draw test"],
) -> Float64[np.ndarray, " draw"]:
    """Mean over both classes of the weighted share of right decisions; a decision of 0 is half."""
    right = (np.where(is_emotion, 1.0, -1.0) * np.sign(decisions) + 1) / 2
    shares = []
    for members in (is_emotion, ~is_emotion):
        total = weights[:, members].sum(axis=1)
        shares.append(weights[:, members] @ right[members] / np.where(total > 0, total, np.nan))
    return np.asarray((shares[0] + shares[1]) / 2)


def auroc(
    scores: Float[np.ndarray, " test"],
    is_emotion: Bool[np.ndarray, " test"],
    weights: Float[np.ndarray, "draw test"],
) -> Float64[np.ndarray, " draw"]:
    """Weighted probability that a prompt of the emotion scores above one of neutral; ties half."""
    if not np.isfinite(scores).all():
        return np.full(len(weights), np.nan)
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=-np.inf) != 0)
    own, other = (
        np.add.reduceat(weights[:, order] * members[order], starts, axis=1)
        for members in (is_emotion, ~is_emotion)
    )
    below = np.cumsum(other, axis=1) - other / 2
    total = own.sum(axis=1) * other.sum(axis=1)
    return np.asarray((own * below).sum(axis=1) / np.where(total > 0, total, np.nan))


def _ends(
    values: Float64[np.ndarray, "draw layer"], layer: int | None = 0
) -> Float64[np.ndarray, "2 *_"]:
    found = percentile_interval(values[1:])
    return np.asarray(found if layer is None else found[:, layer])


def _difference(tested: Tested) -> Float64[np.ndarray, " draw"]:
    if tested.words is None:
        return np.full(len(tested.scores.balanced), np.nan)
    return np.asarray(tested.scores.balanced[:, 0] - tested.words.balanced[:, 0])


_OVER = "over scenarios of the second data set; the training prompts are taken as given"

MEASURES = (
    Measure(
        name="layers",
        table="transfer",
        kind="str",
        definition="First and last layer, the middle half of the layers, fixed beforehand; empty "
        "for classifiers of texts",
        compute=lambda tested: tested.layers,
    ),
    Measure(
        name="balanced_accuracy",
        table="transfer",
        definition="Mean over the two classes of the share of right decisions on the second data "
        "set, median over the layers",
        label="balanced accuracy",
        interval=("balanced_low", "balanced_high"),
        chance=0.5,
        no_effect="chance",
        compute=lambda tested: tested.scores.balanced[0, 0],
    ),
    *ends(
        "balanced_low",
        "balanced_high",
        table="transfer",
        of=f"its 95 % bootstrap interval {_OVER}",
        compute=lambda tested: _ends(tested.scores.balanced),
    ),
    *(
        Measure(
            name=name,
            table="transfer",
            definition=f"{which} balanced accuracy over the layers",
            compute=lambda tested, side=side: tested.extremes[side],  # type: ignore[misc]
        )
        for side, (name, which) in enumerate((("smallest", "Smallest"), ("largest", "Largest")))
    ),
    Measure(
        name="auroc",
        table="transfer",
        definition="Probability that a prompt of the emotion scores above a neutral one, median "
        "over the layers",
        label="AUROC",
        interval=("auroc_low", "auroc_high"),
        chance=0.5,
        no_effect="chance",
        compute=lambda tested: tested.scores.auroc[0, 0],
    ),
    *ends(
        "auroc_low",
        "auroc_high",
        table="transfer",
        of=f"the 95 % bootstrap interval of auroc {_OVER}",
        compute=lambda tested: _ends(tested.scores.auroc),
    ),
    Measure(
        name="baseline",
        table="transfer",
        kind="str",
        definition="The baseline that is best by cross-validation within the first data set",
        compute=lambda tested: tested.baseline,
    ),
    Measure(
        name="difference",
        table="transfer",
        definition="Balanced accuracy minus that of the baseline; blank for baselines",
        interval=("difference_low", "difference_high"),
        chance=0.0,
        compute=lambda tested: _difference(tested)[0],
    ),
    *ends(
        "difference_low",
        "difference_high",
        table="transfer",
        of="the paired 95 % bootstrap interval of difference",
        compute=lambda tested: percentile_interval(_difference(tested)[1:, None])[:, 0],
    ),
    *(
        Measure(
            name=name,
            table="transfer",
            kind="int",
            definition=definition,
            unit="prompts" if name != "n_scenarios" else "scenarios",
            compute=lambda tested, name=name: getattr(tested, name),  # type: ignore[misc]
        )
        for name, definition in (
            ("n_train", "Prompts of the first data set"),
            ("n", "Prompts of the second data set"),
            ("n_emotion", "Those of the emotion; the others are neutral"),
            ("n_scenarios", "Scenarios of the second data set, prompts where it has none"),
        )
    ),
    *(
        Measure(
            name=name,
            table="transfer_layers",
            definition=definition,
            label=label,
            interval=(f"{short}_low", f"{short}_high"),
            chance=0.5,
            no_effect="chance",
            compute=lambda scores, field=field: getattr(scores, field)[0],  # type: ignore[misc]
        )
        for name, short, field, label, definition in (
            (
                "balanced_accuracy",
                "balanced",
                "balanced",
                "balanced accuracy",
                "Mean over the two classes of the share of right decisions on the second data set",
            ),
            (
                "auroc",
                "auroc",
                "auroc",
                "AUROC",
                "Probability that a prompt of the emotion scores above a neutral one",
            ),
        )
    ),
    *(
        end
        for field, of in (("balanced", "balanced_accuracy"), ("auroc", "auroc"))
        for end in ends(
            f"{field}_low",
            f"{field}_high",
            table="transfer_layers",
            of=f"the 95 % bootstrap interval of {of} {_OVER}",
            compute=lambda scores, field=field: _ends(getattr(scores, field), None),  # type: ignore[misc]
        )
    ),
)
