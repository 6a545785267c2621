"""Results that `calibrate_analysis.py` keeps, and the sections of the page that it writes."""

from __future__ import annotations

import dataclasses
import json
import math
import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from scipy.stats import binomtest

from emoact.analysis.key import METHOD_VERSION
from scripts.calibration_designs import Seed

ALPHA = 0.05

Row = tuple[str, ...]


class Kept:
    """What was found in each data set, one line of JSON a data set.

    Args:
        path: File that is read at the start and added to.
        until: Moment after which nothing is started.
        rows: Words that the conditions of a row must hold; others have no result.
    """

    def __init__(self, path: Path, *, until: float = math.inf, rows: str = "") -> None:
        self._path, self._until, self._rows = path, until, rows
        self._known: dict[str, Any] = {}
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for line in lines:
            key, value = json.loads(line, object_hook=lambda found: SimpleNamespace(**found))
            self._known[key] = value

    def found(
        self,
        run: Any,
        seeds: Sequence[Seed],
        work: Callable[[Sequence[Seed]], list[Any]],
        at_once: int = 8,
    ) -> list[Any]:
        """The results of these seeds, as far as they are known or time is left."""
        name = f"{METHOD_VERSION} {run.func.__name__} {run.args}"
        if self._rows not in name:
            return []
        missing = [seed for seed in seeds if f"{name} {seed}" not in self._known]
        for start in range(0, len(missing), at_once):
            if time.monotonic() > self._until:
                break
            some = missing[start : start + at_once]
            with self._path.open("a", encoding="utf-8") as file:
                for seed, value in zip(some, work(some), strict=True):
                    self._known[f"{name} {seed}"] = value
                    file.write(json.dumps([f"{name} {seed}", value], default=_plain) + "\n")
        known = (self._known.get(f"{name} {seed}") for seed in seeds)
        return [value for value in known if value is not None]


def _plain(value: Any) -> Any:
    is_record = dataclasses.is_dataclass(value) and not isinstance(value, type)
    return dataclasses.asdict(value) if is_record else value.item()


def old_rows(page: str, name: str) -> list[Row]:
    """Rows of the table of a section of the page."""
    found = re.search(rf"<!-- {name} -->(.*?)(?=<!--|\Z)", page, re.DOTALL)
    lines = [line for line in found[1].splitlines() if line.startswith("| ")] if found else []
    return [tuple(line.strip("| ").split(" | ")) for line in lines[2:]]


def with_old(rows: Iterable[tuple[Row, Row]], old: Sequence[Row]) -> list[Row]:
    """Whole rows of names and figures; a row without figures is that of the page, if it has one."""
    whole = []
    for names, figures in rows:
        before = (row for row in old if row[: len(names)] == names)
        found = (*names, *figures) if figures else next(before, None)
        if found is not None:
            whole.append(found)
    return whole


def put(page: str, name: str, text: str, order: Sequence[str]) -> str:
    """The page with a section exchanged, and its sections in this order."""
    found = re.split(r"<!-- (\w+) -->\n\n", page)
    parts = {key: value.strip() for key, value in zip(found[1::2], found[2::2], strict=True)}
    parts[name] = text.strip()
    return "\n\n".join(
        [_HEAD, *(f"<!-- {key} -->\n\n{parts[key]}" for key in order if key in parts), ""]
    )


_HEAD = """# Calibration: error rates of significance, intervals and verdicts

Written by `python -m scripts.calibrate_analysis`; do not edit. Seeds are fixed in the script. Every
rate is over planted data sets whose truth is known. **above** marks a count that is more than two
standard errors over 5 %."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def counted(found: Sequence[bool]) -> str:
    """How many of how many, marked where that is clearly more than 5 %."""
    count, n = sum(found), len(found)
    limit = int(n * (ALPHA + 2 * math.sqrt(ALPHA * (1 - ALPHA) / n)))
    return f"{count} of {n}{'' if count <= limit else ' **above**'}"


def share_covered(rate: float, n: int) -> str:
    """A rate of coverage, marked where it is clearly outside of 93 to 97 %."""
    edge = min(max(rate, 0.93), 0.97)
    is_outside = abs(rate - edge) > 2 * math.sqrt(edge * (1 - edge) / n)
    return f"{100 * rate:.1f} %{' **outside**' if is_outside else ''}"


def interval(found: Sequence[bool]) -> str:
    """Exact 95 % interval of the share (Clopper-Pearson)."""
    held = binomtest(sum(found), len(found)).proportion_ci()
    return f"{100 * held.low:.1f} to {100 * held.high:.1f} %"
