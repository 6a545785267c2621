"""`emoact audit`, from a path to a report, and the report for a terminal."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path

from emoact.data import read_prompts
from emoact.data.token_counts import count_tokens
from emoact.stats.audit.auditing import DEFAULT_PERMUTATIONS, audit_dataset
from emoact.stats.audit.outcome import AuditReport, Check

_MARKS = {"ok": "ok     ", "note": "note   ", "warning": "WARNING", "error": "ERROR  "}
_WIDTH = 96


def run(
    dataset_path: str | os.PathLike[str],
    *,
    seed: int = 0,
    permutations: int = DEFAULT_PERMUTATIONS,
    tokenizer_json: Path | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> AuditReport:
    """The audit of the data set at a path.

    Args:
        dataset_path: JSONL, JSON, CSV, TSV or Parquet.
        seed: Of permutations and folds.
        permutations: Number of them.
        tokenizer_json: A model's tokenizer, to compare lengths in its tokens as well.
        on_step: Called with the name of each step before it; may raise to cancel.

    Raises:
        RequestError: The data set is malformed, or an argument is out of range.
    """
    dataset = read_prompts(dataset_path)
    counts = None
    if tokenizer_json is not None:
        counts = count_tokens(tokenizer_json, [prompt.text for prompt in dataset.prompts])
    return audit_dataset(
        dataset, seed=seed, permutations=permutations, token_counts=counts, on_step=on_step
    )


def render_text(report: AuditReport) -> str:
    """The report in lines of plain text, every aspect with its verdict."""
    counts = ", ".join(f"{emotion} {count}" for emotion, count in report.counts.items())
    lines = [f"{report.source}: {counts}; {report.scenarios} scenarios", ""]
    for check in report.checks:
        lines += _check_lines(check)
    bad = sum(check.outcome in ("warning", "error") for check in report.checks)
    lines.append("")
    lines.append(
        "No confound found."
        if bad == 0
        else f"{bad} of {len(report.checks)} checks found something that a direction could stand "
        "for instead of the emotion."
    )
    return "\n".join(lines) + "\n"


def _check_lines(check: Check) -> list[str]:
    text = check.verdict if check.verdict.startswith(check.title) else _titled(check)
    lines = _wrapped(text, first=f"{_MARKS[check.outcome]}  ")
    if check.remedy:
        lines += _wrapped(f"-> {check.remedy}", first=" " * 9)
    return lines


def _titled(check: Check) -> str:
    return f"{check.title}: {check.verdict}"


def _wrapped(text: str, *, first: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=" " * 9) or [first]
