"""Report of an audit: checks with their figures, and the findings among them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

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
        title: Heading.
        outcome: `ok`, or the severity.
        verdict: Result in words, with figures.
        remedy: Change that removes the problem; empty without one.
        where: `dataset`, or the name of a subset.
        tests: Permutation tests.
        by_emotion: Figures for a table: emotion, then name, then value.
        examples: Identifiers of example prompts.
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

    def to_json(self) -> dict[str, Any]:
        """Mapping of plain scalars, lists and mappings."""
        fields = dataclasses.asdict(self)
        return {**fields, "tests": list(fields["tests"]), "examples": list(self.examples)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Check:
        """Inverse of `to_json`."""
        tests = tuple(Test(**test) for test in fields["tests"])
        return cls(**{**fields, "tests": tests, "examples": tuple(fields["examples"])})


@dataclass(frozen=True, kw_only=True)
class AuditReport:
    """Audit of one data set.

    Attributes:
        source: The data set's path.
        sha256: Hash of its bytes.
        counts: Prompts per emotion.
        scenarios: Number of scenarios; 0 where prompts have none.
        scheme: Kind of relabelling.
        seed: Seed of permutations and folds.
        permutations: Number of permutations.
        sampled: Number of prompts in the permutation tests.
        checks: Checks in reading order.
    """

    source: str
    sha256: str
    counts: Mapping[str, int]
    scenarios: int
    scheme: str
    seed: int
    permutations: int
    sampled: int
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
            "checks": [check.to_json() for check in self.checks],
            "dataset": {
                "source": self.source,
                "sha256": self.sha256,
                "prompts": sum(self.counts.values()),
                "emotions": dict(self.counts),
                "scenarios": self.scenarios,
            },
            "settings": {
                "seed": self.seed,
                "permutations": self.permutations,
                "relabelling": self.scheme,
                "prompts_tested": self.sampled,
                "correction": "Holm over all tests of confounds; alpha 0.05",
            },
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> AuditReport:
        """Inverse of `to_json`."""
        dataset, settings = fields["dataset"], fields["settings"]
        return cls(
            source=dataset["source"],
            sha256=dataset["sha256"],
            counts=dataset["emotions"],
            scenarios=dataset["scenarios"],
            scheme=settings["relabelling"],
            seed=settings["seed"],
            permutations=settings["permutations"],
            sampled=settings["prompts_tested"],
            checks=tuple(Check.from_json(check) for check in fields["checks"]),
        )
