"""Balanced accuracy over scenarios, its comparison with classifiers of words, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from emoact.measures import Columns, Measure
from emoact.stats.design import Design
from emoact.stats.null.uncertainty import share_interval
from emoact.stats.room import set_down
from emoact.stats.vectors import BLOCK_NUMBERS

Verdict = Literal[
    "beyond_words",
    "words_suffice",
    "inconclusive",
    "order_only",
    "threshold_moved",
    "no_separation",
    "undecided",
]
"""`beyond_words`: better than the text baseline and both controls. `words_suffice`: words come
within 5 points. Where accuracy is not shown to be better than chance: `order_only`, the tested
prompts lie in the order of their classes; `threshold_moved`, this is not shown, but most prompts
are called one class; `no_separation`, neither. `undecided`: too few held-out scenarios."""

Unseparated = Literal["order_only", "threshold_moved", "no_separation"]

MIN_UNITS = 6
"""Fewest held-out scenarios for a verdict: five agree by chance with 2 ** -5 > 2.5 %."""

MARGIN = 0.05
"""Gain in balanced accuracy that counts as none: 5 points."""

ONE_SIDED = 0.25
"""Share of prompts called the emotion below which, and above 1 minus which, a threshold moved."""

POWER = 0.8
ASKED_GAIN = 0.1
"""Gain for which the necessary number of scenarios is given: 10 points."""

FOLDS_SHARE = 1.6
"""Variance of a cross-validated share, in which a scenario also trains the probes of others, over
that of a bootstrap of its decisions."""

_DRAWS_AT_ONCE = 64
"""Draws of scenarios that are multiplied at once."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Accuracies:
    """Held-out accuracy of a classifier, or of several of the same prompts, one a row.

    Attributes:
        drawn: Share of right decisions, and its mean over the two classes, in the data and in every
            bootstrap draw; NaN where nothing was decided.
        n: Decided prompts.
        n_scenarios: Their scenarios.
        n_fewest: Those of the class that has fewer.
        cross_validated: Every scenario was held out once, and trained the others.
    """

    drawn: Float64[np.ndarray, "2 draw *row"]
    n: Int[np.ndarray, "*row"]
    n_scenarios: Int[np.ndarray, "*row"]
    n_fewest: Int[np.ndarray, "*row"]
    cross_validated: Bool[np.ndarray, "*row"]

    @property
    def accuracy(self) -> Float64[np.ndarray, "*row"]:
        """Share of right decisions."""
        return np.asarray(self.drawn[0, 0])

    @property
    def balanced(self) -> Float64[np.ndarray, "*row"]:
        """Mean over the two classes of the share of right decisions."""
        return np.asarray(self.drawn[1, 0])

    @property
    def accuracy_interval(self) -> Float64[np.ndarray, "2 *row"]:
        """95 % interval of the accuracy, lower and upper end."""
        return self._interval(self.drawn[0], self.n_scenarios)

    @property
    def balanced_interval(self) -> Float64[np.ndarray, "2 *row"]:
        """95 % interval of the balanced accuracy."""
        return self._interval(self.drawn[1], self.n_fewest)

    def _interval(
        self, drawn: Float64[np.ndarray, "draw *row"], fewest: Int[np.ndarray, "*row"]
    ) -> Float64[np.ndarray, "2 *row"]:
        enlarged = np.asarray(np.where(self.cross_validated, FOLDS_SHARE, 1.0))
        return share_interval(drawn, self.n_scenarios, self.n, fewest=fewest, enlarged=enlarged)

    @property
    def p_chance(self) -> float:
        """One-sided p-value of the balanced accuracy of one classifier that is not above 1/2.

        Of classes that do not differ, a pair of scenarios of different folds is right or wrong
        twice, once with either as the tested one. Cross-validation doubles the variance by that.
        """
        se = _standard_error(self.drawn[1, 1:], int(self.n)) * math.sqrt(1 + self.cross_validated)
        return _p_above(float(self.balanced) - 0.5, se, int(self.n_scenarios))


def measure_accuracies(
    correct: Float[np.ndarray, "row prompt"],
    is_emotion: Bool[np.ndarray, " prompt"],
    design: Design,
    draws: Int[np.ndarray, "draw scenario"],
    *,
    cross_validated: bool | Sequence[bool],
) -> Accuracies:
    """Accuracies of rows of `probes.correctness`, NaN for prompts without a decision.

    `cross_validated` says of each row, or of all, that every scenario was held out once and trained
    the others.
    """
    from scipy.sparse import csr_matrix

    decided = np.isfinite(correct)
    n, prompts = design.n_prompts, np.arange(design.n_prompts)
    scenarios = csr_matrix(
        (np.ones(n), (design.scenario_of, prompts)), shape=(design.n_scenarios, n)
    )

    at_once = max(1, min(_DRAWS_AT_ONCE, BLOCK_NUMBERS // design.n_scenarios))

    def drawn(values: Iterable[Float64[np.ndarray, " prompt"]]) -> Float64[np.ndarray, "drawn row"]:
        """Sums over the prompts, in the data and in every draw of scenarios."""
        own = np.stack([scenarios @ row for row in values], axis=1)
        chunks = [own.sum(axis=0)[None]]
        for at in range(0, len(draws), at_once):
            chunks.append(draws[at : at + at_once].astype(np.float64) @ own)
            set_down(draws)
        return np.concatenate(chunks)

    def n_scenarios(rows: Bool[np.ndarray, "row prompt"]) -> Int[np.ndarray, " row"]:
        return np.array([np.count_nonzero(scenarios @ row) for row in rows])

    sums, counts = [], []
    classes = is_emotion, ~is_emotion
    for members in classes:
        sums.append(drawn(np.where(np.isfinite(row) & members, row, 0.0) for row in correct))
        counts.append(drawn((row & members).astype(np.float64) for row in decided))
    recalls = [_share(part, count) for part, count in zip(sums, counts, strict=True)]
    balanced = (recalls[0] + recalls[1]) / 2
    plain = _share(sums[0] + sums[1], counts[0] + counts[1])
    return Accuracies(
        drawn=np.stack([plain, balanced]),
        n=decided.sum(axis=1),
        n_scenarios=n_scenarios(decided),
        n_fewest=np.minimum(*(n_scenarios(decided & members) for members in classes)),
        cross_validated=np.broadcast_to(cross_validated, len(correct)),
    )


def median_over(accuracies: Accuracies) -> Accuracies:
    """The median over the rows, in the data and in every draw."""
    return Accuracies(
        drawn=np.median(accuracies.drawn, axis=2),
        n=np.asarray(accuracies.n.max(initial=0)),
        n_scenarios=np.asarray(accuracies.n_scenarios.max(initial=0)),
        n_fewest=np.asarray(accuracies.n_fewest.max(initial=0)),
        cross_validated=np.asarray(accuracies.cross_validated.all()),
    )


def balanced_accuracy(
    correct: Float[np.ndarray, " prompt"], is_emotion: Bool[np.ndarray, " prompt"]
) -> float:
    """Mean over both classes of the mean correctness of decided prompts; NaN without a class."""
    decided = np.isfinite(correct)
    sides = [correct[decided & members] for members in (is_emotion, ~is_emotion)]
    means = [side.mean(dtype=np.float64) if len(side) else np.nan for side in sides]
    return float(np.mean(means))


def called_share(
    correct: Float[np.ndarray, "layer prompt"], is_emotion: Bool[np.ndarray, " prompt"]
) -> float:
    """Share of prompts called the emotion, the median over the layers.

    Both classes weigh the same. NaN where a class has fewer than `MIN_UNITS` prompts.
    """
    decided = np.isfinite(correct[0])
    here, there = correct[:, decided & is_emotion], correct[:, decided & ~is_emotion]
    if min(here.shape[1], there.shape[1]) < MIN_UNITS:
        return math.nan
    return float(np.median((here.mean(axis=1) + 1 - there.mean(axis=1)) / 2))


def is_one_sided(called: float) -> bool:
    """True where more than 75 % of prompts are called one class."""
    return called < ONE_SIDED or called > 1 - ONE_SIDED


def n_prompts(column: Columns, name: str, read: Callable[[Any], Any]) -> Measure:
    """The column of the decided prompts, of `Accuracies`."""
    definition = "Held-out prompts with a decision"
    return column(name, definition, lambda source: read(source).n, kind="int", unit="prompts")


def balanced_columns(
    column: Columns,
    definition: str,
    read: Callable[[Any], Any],
    *,
    of: str = "the 95 % interval of balanced_accuracy over scenarios",
) -> tuple[Measure, ...]:
    """Balanced accuracy and its interval, of `Accuracies`.

    `read` gets the accuracies from the source of a cell; `of` names the interval.
    """
    return column.estimate(
        "balanced_accuracy",
        definition,
        lambda source: read(source).balanced,
        ends=lambda source: read(source).balanced_interval,
        of=of,
        stem="balanced",
        label="held-out balanced accuracy",
        chance=0.5,
        no_effect="chance",
    )


def accuracy_columns(
    column: Columns, definition: str, read: Callable[[Any], Any], *, stem: str = ""
) -> tuple[Measure, ...]:
    """Accuracy and its interval; the arguments are those of `balanced_columns`."""
    return column.estimate(
        "accuracy",
        definition,
        lambda source: read(source).accuracy,
        ends=lambda source: read(source).accuracy_interval,
        of="its 95 % interval over scenarios",
        stem=stem,
        label="held-out accuracy",
    )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Comparison of a probe with a classifier that sees words only, on the same prompts.

    Attributes:
        value: Balanced accuracy of that classifier.
        difference: Balanced accuracy of the probe minus that.
        interval: Its 95 % interval.
        se: Its paired standard error over scenarios.
        p_better: One-sided p-value of a probe that is not better.
        p_within: One-sided p-value of a probe that is better by more than `MARGIN`.
    """

    value: float = math.nan
    difference: float = math.nan
    interval: tuple[float, float] = (math.nan, math.nan)
    se: float = math.nan
    p_better: float = math.nan
    p_within: float = math.nan


def compare(probe: Accuracies, words: Accuracies) -> Comparison:
    """The difference of two medians, with its standard error over the same draws of scenarios."""
    from scipy.stats import t

    value, difference = float(words.balanced), float(probe.balanced - words.balanced)
    se = _standard_error(probe.drawn[1, 1:] - words.drawn[1, 1:], int(probe.n))
    n = int(probe.n_scenarios)
    if not math.isfinite(difference) or not math.isfinite(se) or n < 2:
        return Comparison(value=value)
    reach = float(t.ppf(0.975, n - 1)) * se
    return Comparison(
        value=value,
        difference=difference,
        interval=(difference - reach, difference + reach),
        se=se,
        p_better=_p_above(difference, se, n),
        p_within=_p_above(MARGIN - difference, se, n),
    )


def p_beyond(comparisons: Sequence[Comparison]) -> float:
    """p-value of a probe that is not better than all: the largest one (intersection-union).

    NaN where one comparison is missing.

    Source: Berger 1982.
    """
    return float(np.max([each.p_better for each in comparisons]))


def p_words(comparisons: Sequence[Comparison]) -> float:
    """p-value of a probe that is better than each by more than `MARGIN`.

    The smallest one, times the number of comparisons (Bonferroni). The second of the
    two one-sided tests is left out: a probe that is worse than words shows no gain over them.

    Source: Lakens 2017.
    """
    smallest = np.min([each.p_within for each in comparisons])
    return float(np.minimum(1.0, len(comparisons) * smallest))


def detectable_gain(comparisons: Sequence[Comparison], n_scenarios: int, alpha: float) -> float:
    """Smallest true gain that is shown in `POWER` of such data sets, at this one-sided level."""
    from scipy.stats import norm, t

    if n_scenarios < 2:
        return math.nan
    return float(
        (t.ppf(1 - alpha, n_scenarios - 1) + norm.ppf(POWER)) * max(each.se for each in comparisons)
    )


def judge_order(p_order: float, called: float, alpha: float) -> Unseparated:
    """What is shown of classes that a threshold is not shown to separate.

    Args:
        p_order: Of `order.Order`, corrected; NaN where there is none.
        called: Of `called_share`.
        alpha: Largest p-value of an order that is shown.
    """
    if p_order <= alpha:
        return "order_only"
    return "threshold_moved" if is_one_sided(called) else "no_separation"


def judge(
    *,
    n_scenarios: int,
    testable: bool,
    separated: bool,
    unseparated: Unseparated,
    p_beyond: float,
    p_words: float,
    alpha: float,
) -> Verdict:
    """The verdict.

    Args:
        n_scenarios: Held-out scenarios.
        testable: Some data of so many scenarios could have been significant.
        separated: The classes differ by the permutation test, and the probe is above chance.
        unseparated: The verdict where they are not shown to.
        p_beyond: Of `p_beyond`, corrected for all verdicts of the analysis; NaN without controls.
        p_words: Of `p_words`, corrected likewise.
        alpha: Largest accepted chance that any of the verdicts of the analysis is wrong.
    """
    if n_scenarios < MIN_UNITS or not testable:
        return "undecided"
    if not separated:
        return unseparated
    if p_beyond <= alpha:
        return "beyond_words"
    return "words_suffice" if p_words <= alpha else "inconclusive"


def _share(
    part: Float64[np.ndarray, "draw row"], count: Float64[np.ndarray, "draw row"]
) -> Float64[np.ndarray, "draw row"]:
    return np.asarray(part / np.where(count > 0, count, np.nan))


def _standard_error(drawn: Float64[np.ndarray, " draw"], n: int) -> float:
    """Standard deviation of the draws, with one prompt more that is right for one side only.

    Without that prompt, two classifiers that agree on all of a few prompts would be equal for sure.

    Source: Agresti & Min 2005.
    """
    finite = drawn[np.isfinite(drawn)]
    return math.sqrt(float(finite.var()) + 1 / n**2) if len(finite) and n else math.nan


def _p_above(value: float, se: float, n_scenarios: int) -> float:
    """One-sided p-value of a value that is not above 0."""
    from scipy.stats import t

    if n_scenarios < 2 or not math.isfinite(value / se):
        return math.nan
    return float(t.sf(value / se, n_scenarios - 1))
