"""Report of an audit: checks with their figures, and the findings among them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from emoact.decode import encode
from emoact.schema import Finding, Severity

Outcome = Literal["ok", "note", "warning", "error"]
Figure = int | float | str
TestKind = Literal["association", "classifier"]


@dataclass(frozen=True, kw_only=True)
class Test:
    """One permutation test.

    Attributes:
        kind: `association`: largest correlation ratio of a feature; `classifier`: accuracy of a
            classifier that sees this aspect only.
        feature: The strongest feature, in words; empty for classifiers.
        value: Share of the feature's variance between emotions, or accuracy.
        chance: Mean of the same with permuted labels; None for associations.
        p: Permutation p-value.
        p_adjusted: After Holm's correction over all tests of confounds; None for the lexical
            test, which is a baseline.
    """

    # pytest collects classes of this name otherwise.
    __test__ = False

    kind: TestKind
    feature: str = ""
    value: float
    chance: float | None = None
    p: float
    p_adjusted: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.p <= 1:
            raise ValueError(f"p is {self.p}; a permutation p-value lies above 0 and up to 1")


@dataclass(frozen=True, kw_only=True)
class Check:
    """Verdict on one aspect of the data set.

    Attributes:
        aspect: Short stable name, such as `length`.
        outcome: `ok`, or the severity.
        verdict: Result in words, with figures.
        remedy: Change that removes the problem; empty without one.
        where: `dataset`, or the name of a subset.
        by_emotion: Figures for a table: emotion, then name, then value.
    """

    aspect: str
    title: str
    outcome: Outcome
    verdict: str
    remedy: str = ""
    where: str = "dataset"
    tests: tuple[Test, ...] = ()
    by_emotion: Mapping[str, Mapping[str, Figure]] = dataclasses.field(default_factory=dict)
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """Audit of one data set.

    Attributes:
        dataset: `source`, `sha256`, number of `prompts`, prompts of each of the `emotions`, and
            number of `scenarios`.
        settings: `seed` of permutations and folds, number of `permutations`, kind of
            `relabelling`, number of `prompts_tested`, and `correction`.
        checks: Checks in reading order.
    """

    dataset: Mapping[str, Any]
    settings: Mapping[str, Any]
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """True when no check is a warning or an error."""
        return not any(check.outcome in ("warning", "error") for check in self.checks)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Notes, warnings and errors, the most severe first."""
        order: tuple[Severity, ...] = ("error", "warning", "note")
        return tuple(
            Finding(
                code=check.aspect,
                severity=severity,
                where=check.where,
                message=check.verdict,
                remedy=check.remedy,
            )
            for severity in order
            for check in self.checks
            if check.outcome == severity
        )

    def to_json(self) -> dict[str, Any]:
        """Mapping of plain scalars, lists and mappings."""
        return {
            "ok": self.ok,
            "findings": [finding.to_json() for finding in self.findings],
            **encode(self),
        }
