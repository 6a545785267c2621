"""`emoact audit`: the report of a file, here or in a child process, and its text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

from emoact.data import read_prompts
from emoact.decode import decode
from emoact.errors import EmoactError, RequestError
from emoact.models.tokenizer_file import count_tokens
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
    """Audit of the data set at a path.

    Args:
        dataset_path: JSONL, JSON, CSV, TSV or Parquet.
        seed: Seed of permutations and folds.
        permutations: Number of permutations.
        tokenizer_json: Tokenizer of a model, to compare lengths in tokens as well.
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


def lines_of(report: AuditReport) -> list[str]:
    """Report as lines of plain text, one verdict for each aspect."""
    counts = ", ".join(
        f"{emotion} {count}" for emotion, count in report.dataset["emotions"].items()
    )
    lines = [f"{report.dataset['source']}: {counts}; {report.dataset['scenarios']} scenarios", ""]
    for check in report.checks:
        lines += _check_lines(check)
    bad = sum(check.outcome in ("warning", "error") for check in report.checks)
    lines.append("")
    lines.append(
        "No confound is shown."
        if bad == 0
        else f"{bad} of {len(report.checks)} checks found a confound: a direction may stand for it "
        "instead of the emotion."
    )
    return lines


def _check_lines(check: Check) -> list[str]:
    lead = "" if check.verdict.startswith(check.title) else f"{check.title}: "
    lines = _wrapped(lead + check.verdict, first=f"{_MARKS[check.outcome]}  ")
    if check.remedy:
        lines += _wrapped(f"-> {check.remedy}", first=" " * 9)
    return lines


def _wrapped(text: str, *, first: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=first, subsequent_indent=" " * 9) or [first]


_ROOT = str(Path(__file__).resolve().parents[3])
_LIMIT_S = 300.0


def audit_in_child(dataset_path: str | os.PathLike[str]) -> AuditReport:
    """Report of `emoact audit` on a file, computed in a child process.

    Raises:
        RequestError: The data set is malformed.
        EmoactError: The audit failed, or took more than five minutes.
    """
    paths = [_ROOT, *filter(None, [os.environ.get("PYTHONPATH")])]
    command = [sys.executable, "-P", "-m", "emoact", "audit", "--json", "--dataset"]
    try:
        done = subprocess.run(
            [*command, os.fspath(dataset_path)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LIMIT_S,
            check=False,
        )
        document = json.loads(done.stdout)
    except subprocess.TimeoutExpired as error:
        raise EmoactError(
            f"the audit took more than {_LIMIT_S:.0f} s",
            remedy="Audit it in a shell: `python -m emoact audit`.",
        ) from error
    except ValueError as error:
        raise EmoactError(
            "the audit ended without a result",
            remedy="Audit it in a shell: `python -m emoact audit` shows why.",
        ) from error
    if "error" in document:
        stated = document["error"]
        raise RequestError(stated["message"], remedy=stated["remedy"])
    return decode(AuditReport, document, ignore_unknown=True)
