"""Timed rounds of all ways, their differences, and the memory that more prompts take."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emoact.bench.limit import Shape, product_rate
from emoact.bench.peak import peak_of
from emoact.bench.result import MemoryPoint
from emoact.bench.subject import RUN, Subject
from emoact.bench.ways import Prompts, Way
from emoact.extraction.reference import relative_difference
from emoact.sites import SiteName

_LIMIT_SECONDS = 0.5

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Times of all rounds. `seconds`: wall time of the whole loop in each round, by way."""

    seconds: Mapping[str, tuple[float, ...]]
    limit_gflops: tuple[float, ...]


def contest(
    ways: Sequence[Way],
    groups: Callable[[Way], Sequence[Prompts]],
    *,
    shapes: Mapping[Shape, int],
    rows: int,
    repeat: int,
    device: str,
    say: Say,
) -> Timings:
    """Time every way `repeat` times, in the reverse order every second time.

    The limit is that of products of `rows` tokens.
    """
    seconds: dict[str, list[float]] = {way.name: [] for way in ways}
    limits = []
    for number in range(repeat):
        order = list(ways) if number % 2 == 0 else list(reversed(ways))
        for way in order:
            say(f"round {number + 1} of {repeat}: {way.about}")
            prompts = groups(way)
            began = time.perf_counter()
            way.run(prompts, lambda *_: None)
            seconds[way.name].append(time.perf_counter() - began)
        # In the same round as the ways: the speed of a machine changes within minutes.
        limits.append(product_rate(shapes, seconds=_LIMIT_SECONDS, rows=rows, device=device))
    return Timings(
        seconds={name: tuple(values) for name, values in seconds.items()},
        limit_gflops=tuple(limits),
    )


def largest_differences(ways: Sequence[Way], groups: Sequence[Prompts]) -> dict[str, float]:
    """Largest relative difference of each way's activations from those of the first way."""
    reference: dict[tuple[SiteName, int, int], np.ndarray] = {}
    found = {}
    for way in ways:
        worst = 0.0

        def compare(site: SiteName, layer: int, sample: int, rows: np.ndarray) -> None:
            nonlocal worst
            expected = reference.setdefault((site, layer, sample), rows.astype(np.float64))
            worst = max(worst, relative_difference(rows, expected))

        way.run(groups, compare)
        found[way.name] = worst
    return found


MULTIPLES = (1, 4, 10)


def memory_curve(subject: Subject, *, say: Say) -> list[MemoryPoint]:
    """Peak memory of the pipeline for one, four and ten times one unit's prompts."""
    points = []
    for times in MULTIPLES:
        texts = numbered(subject.texts[0], times)
        say(f"memory of {len(texts):,} prompts")
        peak = peak_of(subject.asked, RUN, [texts], device=subject.options.device)
        points.append(MemoryPoint(n_prompts=len(texts), peak_bytes=peak.most))
    return points


def numbered(texts: Sequence[str], times: int) -> list[str]:
    """Texts, followed by copies that start with a number, so that they share only BOS."""
    more = [f"{number} {text}" for number in range(2, times + 1) for text in texts]
    return [*texts, *more]
