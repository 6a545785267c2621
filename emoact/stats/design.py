"""Classes and scenarios of the prompts, and the weights that average them."""

from __future__ import annotations

import heapq
import itertools
import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from emoact.errors import RequestError

_AT_ONCE = 1 << 13
"""Names that are sorted at once."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Design:
    """Classes and scenarios of the prompts of one analysis, in the order of the prompts.

    Scenarios are the unit of every split, fold, permutation, bootstrap and jackknife. A prompt
    without a scenario is a unit of its own.

    Random draws follow the order of scenarios, and of prompts in them, so that this order comes
    from their names and never from labels or from the order of files.

    Attributes:
        labels: Distinct class labels in order of first appearance.
        label_of: Index into `labels`.
        scenario_of: 0 ... n_scenarios - 1, in the order of their names.
        has_scenarios: False where no prompt names a scenario, so that prompts are resampled.
        rank: Place of each prompt in the order of their names.
    """

    labels: tuple[str, ...]
    label_of: Int[np.ndarray, " prompt"]
    scenario_of: Int[np.ndarray, " prompt"]
    n_scenarios: int
    has_scenarios: bool
    rank: Int[np.ndarray, " prompt"]

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
        return np.asarray(self.label_of == np.arange(len(self.labels))[:, None])

    @property
    def counts(self) -> Int[np.ndarray, "label scenario"]:
        """Prompts of each label in each scenario."""
        counts = np.zeros((len(self.labels), self.n_scenarios), dtype=np.int64)
        np.add.at(counts, (self.label_of, self.scenario_of), 1)
        return counts

    @property
    def is_matched(self) -> bool:
        """True where at least half of the scenarios hold two classes or more."""
        return bool(((self.counts > 0).sum(axis=0) > 1).mean() >= 0.5)

    @property
    def pattern_of(self) -> Int[np.ndarray, " scenario"]:
        """Number of the set of classes that each scenario holds, in order of first appearance."""
        held = [tuple(classes) for classes in (self.counts > 0).T.tolist()]
        numbers = {classes: number for number, classes in enumerate(dict.fromkeys(held))}
        return np.array([numbers[classes] for classes in held], dtype=np.int64)

    def index(self, label: str) -> int:
        """Position of a label in `labels`; `RequestError` if no prompt has it."""
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
            [(rank,) for rank in self.rank[keep].tolist()],
        )


def design_of(
    labels: Sequence[str],
    scenarios: Sequence[str | None] | None = None,
    names: Sequence[tuple[Hashable, ...]] | None = None,
) -> Design:
    """The design of prompts with these labels and scenarios.

    Args:
        labels: One per prompt.
        scenarios: One per prompt; None for a prompt that shares its scenario with no other.
        names: What orders the prompts, one tuple of words or numbers per prompt; their order here
            when None. Words with numbers in them are in the order of the numbers.

    Raises:
        RequestError: There is no prompt, or the arguments differ in length.
    """
    if not labels:
        raise RequestError("there is no prompt to analyse")
    named = list(scenarios) if scenarios is not None else [None] * len(labels)
    if len(named) != len(labels):
        raise RequestError(f"{len(labels)} labels but {len(named)} scenarios; they go in pairs")
    order = list(range(len(labels)))
    keys = [("prompt", i) if s is None else ("scenario", s) for i, s in enumerate(named)]
    if names is not None:
        # Most prompts differ in their first word, so that the keys of the others are not needed.
        order = _sorted(order, lambda i: _natural(names[i][0]))
        order = _sorted(order, lambda i: (named[i] is None, _natural(named[i] or "")))
        alike = itertools.groupby(order, key=lambda i: (named[i], names[i][0]))
        runs = (list(run) for _, run in alike)
        order = [
            i
            for run in runs
            for i in (sorted(run, key=lambda i: [*map(_natural, names[i])]) if run[1:] else run)
        ]
    rank = np.empty(len(labels), dtype=np.int64)
    rank[order] = np.arange(len(labels))
    number = {key: i for i, key in enumerate(dict.fromkeys(keys[i] for i in order))}
    distinct = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    return Design(
        labels=tuple(distinct),
        label_of=np.array([distinct[label] for label in labels], dtype=np.int64),
        scenario_of=np.array([number[key] for key in keys], dtype=np.int64),
        n_scenarios=len(number),
        has_scenarios=any(s is not None for s in named),
        rank=rank,
    )


def _sorted(items: list[int], key: Callable[[int], Any]) -> list[int]:
    """The items in the order of their keys, which are large and are made of a part at once."""
    parts = [sorted(items[at : at + _AT_ONCE], key=key) for at in range(0, len(items), _AT_ONCE)]
    return list(heapq.merge(*parts, key=key)) if len(parts) > 1 else parts[0]


def _natural(word: object) -> tuple[tuple[bool, int, str], ...]:
    """Sort key under which `s2` comes before `s10`."""
    parts = re.split(r"(\d+)", str(word))
    return tuple(
        (part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts if part
    )


def class_weights(
    design: Design, keep: Bool[np.ndarray, "*draw scenario"] | None = None
) -> Float64[np.ndarray, "*draw label prompt"]:
    """Weights whose product with the features `[prompt, d_model]` are the class means.

    With `keep` they average over the prompts of these scenarios only; NaN for a class that has none
    there.
    """
    members = design.members
    if keep is None:
        keep = np.ones(design.n_scenarios, dtype=bool)
    chosen = keep[..., None, design.scenario_of] & members
    totals = chosen.sum(axis=-1, keepdims=True).astype(np.float64)
    totals[totals == 0] = np.nan
    return np.asarray(chosen / totals)


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
    combined = np.einsum("l,...lp->...p", contrast[used], weights[..., used, :])
    return np.asarray(combined, dtype=np.float64)
