"""Audit of a data set, from prompts to a report."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable

import numpy as np
from jaxtyping import Int64

from emoact.errors import RequestError
from emoact.schema import Dataset
from emoact.stats.audit.aspects import REGISTER, measure
from emoact.stats.audit.counts import (
    count_check,
    duplicate_check,
    near_duplicate_check,
    scenario_check,
    template_check,
)
from emoact.stats.audit.outcome import AuditReport, Check
from emoact.stats.audit.register import is_english
from emoact.stats.audit.separation import ALPHA, LEAST_UNITS, Relabelled, folds_of, relabelled
from emoact.stats.audit.text import Texts
from emoact.stats.audit.verdict import judged, lexical_check
from emoact.stats.null.permutation import adjust

DEFAULT_PERMUTATIONS = 1000
_LEAST_PERMUTATIONS = 400
_MOST_SUBSETS = 6
_SAMPLE = 2000
"""Most prompts in the permutation tests, so that an audit takes seconds."""


def audit_dataset(
    dataset: Dataset,
    *,
    seed: int = 0,
    permutations: int = DEFAULT_PERMUTATIONS,
    token_counts: Int64[np.ndarray, " prompt"] | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> AuditReport:
    """Audit a data set for confounds: features other than emotion that separate its classes.

    Every aspect has two permutation tests: the largest association of one feature with the
    emotion, and the held-out accuracy of a classifier that sees this aspect only. Labels are
    permuted within scenarios that hold several emotions, and over all other prompts. Holm's
    correction keeps the probability of a false warning at 5 % over all tests. The accuracy of
    words alone is reported as a note.

    Args:
        dataset: The prompts.
        seed: Seed of permutations and folds; the same seed gives the same report.
        permutations: Number of permutations, at least 400.
        token_counts: Tokens of each prompt for one model, to compare lengths in tokens.
        on_step: Called with the name of each step before it; may raise to cancel.

    Raises:
        RequestError: Too few permutations, or token counts for another number of prompts.
    """
    # Imported here to keep page loads fast.
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    if permutations < _LEAST_PERMUTATIONS:
        raise RequestError(
            f"{permutations} permutations; at least {_LEAST_PERMUTATIONS} are needed for a "
            "corrected p-value below 0.05",
            remedy="Use the default of 1,000.",
        )
    if token_counts is not None and len(token_counts) != len(dataset.prompts):
        raise RequestError(
            f"{len(token_counts)} token counts for {len(dataset.prompts)} prompts",
            remedy="Count the tokens of every prompt, in the order of the data set.",
        )
    texts = Texts(prompts=dataset.prompts, token_counts=token_counts)
    sample = texts.rows(_sampled_rows(texts, seed))
    labels = relabelled(sample.prompts, permutations, seed=seed)
    on_step("counts")
    checks = [count_check(texts)]
    on_step("duplicates")
    checks += [duplicate_check(texts), near_duplicate_check(texts), template_check(texts)]
    checks.append(scenario_check(texts))
    if len(texts.emotions) > 1:
        # Many small matrix products run faster on one thread.
        with threadpool_limits(limits=1):
            checks += _tested_checks(texts, sample, labels, seed, on_step)
            checks += _lexical_checks(sample, seed, permutations, on_step)
    return AuditReport(
        dataset={
            "source": dataset.source,
            "sha256": dataset.sha256,
            "prompts": len(dataset.prompts),
            "emotions": dict(Counter(prompt.emotion for prompt in dataset.prompts)),
            "scenarios": len({prompt.scenario_id for prompt in dataset.prompts} - {None}),
        },
        settings={
            "seed": seed,
            "permutations": permutations,
            "relabelling": labels.scheme,
            "prompts_tested": len(sample.prompts),
            "correction": "Holm over all tests of confounds; alpha 0.05",
        },
        checks=tuple(checks),
    )


def _tested_checks(
    texts: Texts,
    sample: Texts,
    labels: Relabelled,
    seed: int,
    on_step: Callable[[str], None],
) -> list[Check]:
    """All permutation tests, with Holm's correction over all of them."""
    folds = None
    if int(labels.unit.max()) + 1 >= LEAST_UNITS:
        folds = folds_of(labels.unit, np.random.default_rng(seed))
    measured = list(measure(sample, labels, folds, on_step=on_step))
    p = np.array([test.p for one in measured for test in one.tests])
    adjusted = iter(adjust(p).tolist())
    checks = []
    for one in measured:
        tests = tuple(dataclasses.replace(test, p_adjusted=next(adjusted)) for test in one.tests)
        if tests or one.aspect.name not in ("subsets", "languages"):
            checks.append(judged(one, sample, tests, len(p)))
    if not is_english(sample):
        checks.append(_foreign_check())
    return [*checks, _power_check(labels, len(p), len(texts.prompts), sample)]


def _foreign_check() -> Check:
    listed = ", ".join(aspect.title.lower() for aspect in REGISTER)
    return Check(
        aspect="register",
        title="Register",
        outcome="note",
        verdict=f"Not tested: {listed}. Their word lists are English, and most of these prompts "
        "are not. Single words were tested in the language of the prompts.",
        remedy="Compare by hand how often each emotion counts, negates, gives reasons, judges and "
        "asks.",
    )


def _power_check(labels: Relabelled, n_tests: int, n_prompts: int, sample: Texts) -> Check:
    """Smallest p-value that the permutation tests can reach."""
    smallest = 10.0 ** -min(labels.log10_arrangements, 300.0)
    blind = smallest * max(n_tests, 1) > ALPHA
    verdict = f"{n_tests} permutation tests, labels exchanged {labels.scheme}"
    if len(sample.prompts) < n_prompts:
        verdict += f", on {len(sample.prompts):,} of {n_prompts:,} prompts drawn at random"
    if blind:
        verdict += (
            f". Labels have only {10**labels.log10_arrangements:,.0f} arrangements, so no test can "
            "reach significance: the absence of warnings is not evidence of a fair data set"
        )
    return Check(
        aspect="power",
        title="Power of the tests",
        outcome="note" if blind else "ok",
        verdict=f"{verdict}.",
        remedy="Add scenarios or prompts; ten of each emotion are a start." if blind else "",
    )


def _lexical_checks(
    sample: Texts, seed: int, permutations: int, on_step: Callable[[str], None]
) -> list[Check]:
    """Words alone: in the whole data set, and in each subset where there are several."""
    on_step("lexis")
    checks = [lexical_check(sample, where="dataset", seed=seed, permutations=permutations)]
    subsets = list(dict.fromkeys(prompt.subset for prompt in sample.prompts))
    for subset in subsets if 1 < len(subsets) <= _MOST_SUBSETS else []:
        rows = [row for row, prompt in enumerate(sample.prompts) if prompt.subset == subset]
        name = "(none)" if subset is None else subset
        part = sample.rows(rows)
        checks.append(lexical_check(part, where=name, seed=seed, permutations=permutations))
    return [check for check in checks if check is not None]


def _sampled_rows(texts: Texts, seed: int) -> list[int]:
    """Rows of all prompts, or of whole scenarios drawn at random up to the limit."""
    if len(texts.prompts) <= _SAMPLE:
        return list(range(len(texts.prompts)))
    scenarios: dict[object, list[int]] = {}
    for row, prompt in enumerate(texts.prompts):
        # A row number is never equal to the name of a scenario.
        scenarios.setdefault(row if prompt.scenario_id is None else prompt.scenario_id, []).append(
            row
        )
    members = list(scenarios.values())
    chosen: list[int] = []
    for index in np.random.default_rng(seed).permutation(len(members)).tolist():
        if len(chosen) + len(members[index]) <= _SAMPLE:
            chosen += members[index]
    return sorted(chosen)
