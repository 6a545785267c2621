"""Every way in turn, several rounds, in alternating order."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emoact.bench.ways import Prompts, Way
from emoact.extraction.kernel import Shape, measure
from emoact.extraction.self_check import relative_difference
from emoact.schema import Site

_LIMIT_SECONDS = 0.5

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Timings:
    """What the rounds gave.

    Attributes:
        seconds: By way, wall time of the whole loop in each round.
        limit_gflops: Best float32 rate at the model's shapes in each round.
    """

    seconds: Mapping[str, tuple[float, ...]]
    limit_gflops: tuple[float, ...]


def contest(
    ways: Sequence[Way],
    groups: Callable[[Way], Sequence[Prompts]],
    *,
    shapes: Mapping[Shape, int],
    repeat: int,
    say: Say,
) -> Timings:
    """Time every way `repeat` times.

    Args:
        ways: Whom to time.
        groups: The prompts that a way takes.
        shapes: The model's linear layers.
        repeat: Rounds; the order turns around from one to the next.
        say: Told what is under way.
    """
    seconds: dict[str, list[float]] = {way.name: [] for way in ways}
    limits = []
    for number in range(repeat):
        order = list(ways) if number % 2 == 0 else list(reversed(ways))
        for way in order:
            say(f"round {number + 1} of {repeat}: {way.about}")
            prompts = groups(way)
            began = time.perf_counter()
            way.run(prompts, _drop)
            seconds[way.name].append(time.perf_counter() - began)
        # In the same round as the rest: a machine may be slower a minute later.
        limits.append(measure(shapes, seconds=_LIMIT_SECONDS).best_rate(statistics.median))
    return Timings(
        seconds={name: tuple(values) for name, values in seconds.items()},
        limit_gflops=tuple(limits),
    )


def largest_differences(ways: Sequence[Way], groups: Sequence[Prompts]) -> dict[str, float]:
    """How far each way's activations are from the first way's, relative, per position."""
    reference: dict[tuple[Site, int, int], np.ndarray] = {}
    found = {}
    for way in ways:
        worst = 0.0

        def compare(site: Site, layer: int, sample: int, rows: np.ndarray) -> None:
            nonlocal worst
            expected = reference.setdefault((site, layer, sample), rows.astype(np.float64))
            worst = max(worst, relative_difference(rows, expected))

        way.run(groups, compare)
        found[way.name] = worst
    return found


def _drop(site: Site, layer: int, sample: int, rows: np.ndarray) -> None:
    """The array is there, which is what was asked for."""
