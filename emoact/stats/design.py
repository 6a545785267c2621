"""Classes and scenarios of the prompts, and the weights that average them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from emoact.errors import RequestError


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """Classes and scenarios of the prompts of one analysis, in the order of the prompts.

    Scenarios are the unit of every split, fold, permutation, bootstrap and jackknife. A prompt
    without a scenario is a unit of its own.

    Attributes:
        labels: Distinct class labels in order of first appearance.
        label_of: Index into `labels`.
        scenario_of: 0 ... n_scenarios - 1, in order of first appearance.
        n_scenarios: Number of scenarios.
        has_scenarios: False where no prompt names a scenario, so that prompts are resampled.
    """

    labels: tuple[str, ...]
    label_of: Int[np.ndarray, " prompt"]
    scenario_of: Int[np.ndarray, " prompt"]
    n_scenarios: int
    has_scenarios: bool

    @property
    def n_prompts(self) -> int:
        """Number of prompts."""
        return len(self.label_of)

    @property
    def unit(self) -> str:
        """Unit of resampling: `scenario` or `prompt`."""
        return "scenario" if self.has_scenarios else "prompt"

    @property
    def members(self) -> Bool[np.ndarray, "label prompt"]:
        """True where the prompt has the label."""
        members: Bool[np.ndarray, "label prompt"] = (
            self.label_of[None, :] == np.arange(len(self.labels))[:, None]
        )
        return members

    @property
    def counts(self) -> Int[np.ndarray, "label scenario"]:
        """Prompts of each label in each scenario."""
        counts = np.zeros((len(self.labels), self.n_scenarios), dtype=np.int64)
        np.add.at(counts, (self.label_of, self.scenario_of), 1)
        return counts

    def index(self, label: str) -> int:
        """Position of a label in `labels`.

        Raises:
            RequestError: No prompt has the label.
        """
        if label not in self.labels:
            raise RequestError(
                f"no prompt has the label {label!r}; there are {', '.join(self.labels)}"
            )
        return self.labels.index(label)

    def take(self, keep: Bool[np.ndarray, " prompt"]) -> Design:
        """The design of some of the prompts; labels and scenarios that vanish are dropped."""
        return design_of(
            [self.labels[label] for label in self.label_of[keep]],
            [str(s) for s in self.scenario_of[keep]] if self.has_scenarios else None,
        )


def design_of(labels: Sequence[str], scenarios: Sequence[str | None] | None = None) -> Design:
    """The design of prompts with these labels and scenarios.

    Args:
        labels: One per prompt.
        scenarios: One per prompt; None for a prompt that shares its scenario with no other.

    Raises:
        RequestError: There is no prompt, or the two differ in length.
    """
    if not labels:
        raise RequestError("there is no prompt to analyse")
    named = list(scenarios) if scenarios is not None else [None] * len(labels)
    if len(named) != len(labels):
        raise RequestError(f"{len(labels)} labels but {len(named)} scenarios; they go in pairs")
    keys = [("prompt", str(i)) if s is None else ("scenario", s) for i, s in enumerate(named)]
    order = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    distinct = tuple(dict.fromkeys(labels))
    return Design(
        labels=distinct,
        label_of=np.array([distinct.index(label) for label in labels], dtype=np.int64),
        scenario_of=np.array([order[key] for key in keys], dtype=np.int64),
        n_scenarios=len(order),
        has_scenarios=any(s is not None for s in named),
    )


def class_weights(
    design: Design, keep: Bool[np.ndarray, "*draw scenario"] | None = None
) -> Float64[np.ndarray, "*draw label prompt"]:
    """Weights whose product with the features `[prompt, d_model]` are the class means.

    Args:
        design: Classes and scenarios.
        keep: Average over the prompts of these scenarios only; NaN for a class that has none there.
    """
    members = design.members
    if keep is None:
        keep = np.ones(design.n_scenarios, dtype=bool)
    chosen = keep[..., None, design.scenario_of] & members
    totals = chosen.sum(axis=-1, keepdims=True).astype(np.float64)
    totals[totals == 0] = np.nan
    weights: Float64[np.ndarray, "*draw label prompt"] = chosen / totals
    return weights


def contrast_against(design: Design, emotion: str, neutral: str) -> Float64[np.ndarray, " label"]:
    """+1 for the emotion and -1 for neutral: the sign of every plain direction.

    Raises:
        RequestError: One of the labels is missing, or they are the same.
    """
    if emotion == neutral:
        raise RequestError(f"{emotion!r} cannot be contrasted with itself")
    contrast = np.zeros(len(design.labels))
    contrast[design.index(emotion)] = 1.0
    contrast[design.index(neutral)] = -1.0
    return contrast


def contrast_grand_mean(design: Design, emotion: str) -> Float64[np.ndarray, " label"]:
    """The emotion against the mean of all class means, each class weighing the same.

    Raises:
        RequestError: The label is missing, or there is no other.
    """
    n_labels = len(design.labels)
    if n_labels < 2:
        raise RequestError(f"a grand mean needs two classes; there is only {design.labels[0]!r}")
    contrast = np.full(n_labels, -1.0 / n_labels)
    contrast[design.index(emotion)] += 1.0
    return contrast


def contrast_prompt_weights(
    weights: Float[np.ndarray, "*draw label prompt"], contrast: Float[np.ndarray, " label"]
) -> Float64[np.ndarray, "*draw prompt"]:
    """Weights whose product with the features is the direction of the contrast.

    A class that the contrast leaves out cannot make the result NaN.
    """
    used = contrast != 0
    combined: Float64[np.ndarray, "*draw prompt"] = np.einsum(
        "l,...lp->...p", contrast[used], weights[..., used, :]
    ).astype(np.float64)
    return combined
