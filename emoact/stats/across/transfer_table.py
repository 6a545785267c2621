"""Table of a transfer: balanced accuracy and AUROC on the second data set, with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from emoact.measures import Columns
from emoact.stats.null.uncertainty import share_interval, small_sample_interval


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """Balanced accuracy and AUROC on the second data set, one row for each layer.

    Attributes:
        balanced: Mean share of right decisions of the two classes; row 0 of `[draw, layer]` is
            that of the prompts, the others those of bootstrap draws of scenarios.
        auroc: Likewise.
        n_scenarios: Scenarios of the class that has fewer.
        n_prompts: Prompts of either class.
    """

    balanced: Float64[np.ndarray, "draw layer"]
    auroc: Float64[np.ndarray, "draw layer"]
    n_scenarios: int
    n_prompts: tuple[int, int]

    @property
    def balanced_interval(self) -> Float64[np.ndarray, "2 layer"]:
        """95 % interval of the balanced accuracy of each layer."""
        return share_interval(self.balanced, self.n_scenarios, sum(self.n_prompts))

    @property
    def auroc_interval(self) -> Float64[np.ndarray, "2 layer"]:
        """95 % interval of the AUROC of each layer."""
        n = self.n_scenarios
        return share_interval(self.auroc, n, math.prod(self.n_prompts), of_pairs=True)

    def over(self, layers: Sequence[int]) -> Scores:
        """The median over some layers, in the prompts and in every draw."""
        chosen = list(layers)
        return Scores(
            balanced=np.median(self.balanced[:, chosen], axis=1, keepdims=True),
            auroc=np.median(self.auroc[:, chosen], axis=1, keepdims=True),
            n_scenarios=self.n_scenarios,
            n_prompts=self.n_prompts,
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
        n_scenarios: Scenarios of the tested prompts.
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


def _difference(tested: Tested) -> Float64[np.ndarray, " draw"]:
    if tested.words is None:
        return np.full(len(tested.scores.balanced), np.nan)
    return np.asarray(tested.scores.balanced[:, 0] - tested.words.balanced[:, 0])


_OVER = "over scenarios of the second data set; the training prompts are taken as given"

_transfer = Columns("transfer")
_layers = Columns("transfer_layers")

MEASURES = (
    _transfer(
        "layers",
        "First and last layer, the middle half of the layers, fixed beforehand; empty for "
        "classifiers of texts",
        kind="str",
    ),
    *_transfer.estimate(
        "balanced_accuracy",
        "Mean over the two classes of the share of right decisions on the second data set, median "
        "over the layers",
        lambda tested: tested.scores.balanced[0, 0],
        ends=lambda tested: tested.scores.balanced_interval[:, 0],
        of=f"its 95 % interval {_OVER}",
        stem="balanced",
        label="balanced accuracy",
        chance=0.5,
        no_effect="chance",
    ),
    _transfer(
        "smallest", "Smallest balanced accuracy over the layers", lambda tested: tested.extremes[0]
    ),
    _transfer(
        "largest", "Largest balanced accuracy over the layers", lambda tested: tested.extremes[1]
    ),
    *_transfer.estimate(
        "auroc",
        "Probability that a prompt of the emotion scores above a neutral one, median over the "
        "layers",
        lambda tested: tested.scores.auroc[0, 0],
        ends=lambda tested: tested.scores.auroc_interval[:, 0],
        of=f"the 95 % interval of auroc {_OVER}",
        label="AUROC",
        chance=0.5,
        no_effect="chance",
    ),
    _transfer(
        "baseline",
        "The baseline that is best by cross-validation within the first data set",
        kind="str",
    ),
    *_transfer.estimate(
        "difference",
        "Balanced accuracy minus that of the baseline; blank for baselines",
        lambda tested: _difference(tested)[0],
        ends=lambda tested: small_sample_interval(
            _difference(tested)[1:], tested.scores.n_scenarios
        ),
        of="the paired 95 % bootstrap interval of difference",
        chance=0.0,
    ),
    *(
        _transfer(name, definition, kind="int", unit=unit)
        for name, unit, definition in (
            ("n_train", "prompts", "Prompts of the first data set"),
            ("n", "prompts", "Prompts of the second data set"),
            ("n_emotion", "prompts", "Those of the emotion; the others are neutral"),
            (
                "n_scenarios",
                "scenarios",
                "Scenarios of the second data set, prompts where it has none",
            ),
        )
    ),
    _transfer(
        "n_scenarios_least",
        "Those of the class that has fewer",
        lambda tested: tested.scores.n_scenarios,
        kind="int",
        unit="scenarios",
    ),
    _layers(
        "balanced_accuracy",
        "Mean over the two classes of the share of right decisions on the second data set",
        lambda scores: scores.balanced[0],
        label="balanced accuracy",
        interval=("balanced_low", "balanced_high"),
        chance=0.5,
        no_effect="chance",
    ),
    _layers(
        "auroc",
        "Probability that a prompt of the emotion scores above a neutral one",
        lambda scores: scores.auroc[0],
        label="AUROC",
        interval=("auroc_low", "auroc_high"),
        chance=0.5,
        no_effect="chance",
    ),
    *_layers.ends(
        "balanced_low",
        "balanced_high",
        f"the 95 % interval of balanced_accuracy {_OVER}",
        lambda scores: scores.balanced_interval,
    ),
    *_layers.ends(
        "auroc_low",
        "auroc_high",
        f"the 95 % interval of auroc {_OVER}",
        lambda scores: scores.auroc_interval,
    ),
)
