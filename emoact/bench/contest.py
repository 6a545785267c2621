"""Timed rounds of all ways, and the cost of more and longer prompts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emoact.bench.limit import Shape, product_rate
from emoact.bench.peak import peak_of
from emoact.bench.result import Point
from emoact.bench.subject import RUN, Subject
from emoact.bench.ways import Prompts, Way, by_plan
from emoact.extraction.bridge_engine import cut
from emoact.extraction.engine import Tokenised
from emoact.extraction.plan import count_nodes
from emoact.extraction.self_check import relative_difference
from emoact.sites import SiteName

_LIMIT_SECONDS = 0.5

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Times of all rounds.

    Attributes:
        seconds: Wall time of the whole loop in each round, by way.
        limit_gflops: Rate of float32 products at the model's shapes in each round.
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
        ways: Ways to time.
        groups: Prompts of a way.
        shapes: Linear layers of the model.
        repeat: Number of rounds; every second round has the reverse order.
        say: Receives progress messages.
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
        # In the same round as the ways: the speed of a machine changes within minutes.
        limits.append(product_rate(shapes, seconds=_LIMIT_SECONDS))
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


def _drop(site: SiteName, layer: int, sample: int, rows: np.ndarray) -> None:
    """Discard the array; only the time counts."""


MULTIPLES = (1, 4, 16)
LENGTHS = (10, 50, 200)
MEMORY_MULTIPLES = (1, 4, 10)
"""Multiples of one unit's prompts for the memory curve."""


def cost_curve(subject: Subject, *, say: Say) -> list[Point]:
    """Time for 1, 4 and 16 times one unit's prompts, and for 10, 50 and 200 tokens each.

    Copies of a prompt start with a number, so that they share only BOS.
    """
    unit = subject.texts[0]
    points = []
    for times in MULTIPLES:
        say(f"cost of {times * len(unit):,} prompts")
        prompts = subject.engine.tokenise(numbered(unit, times))
        points.append(_point(subject, "prompts", len(prompts), prompts))
    running = " ".join(unit)
    for length in LENGTHS:
        say(f"cost of {length} tokens a prompt")
        long_ones = subject.engine.tokenise([f"{number} {running}" for number in range(len(unit))])
        if len(long_ones[0].ids) < length:
            break
        points.append(_point(subject, "tokens", length, [cut(p, length) for p in long_ones]))
    return points


def memory_curve(subject: Subject, *, say: Say) -> list[Point]:
    """Peak memory of the pipeline for one, four and ten times one unit's prompts."""
    points = []
    for times in MEMORY_MULTIPLES:
        texts = numbered(subject.texts[0], times)
        say(f"memory of {len(texts):,} prompts")
        prompts = subject.engine.tokenise(texts)
        began = time.perf_counter()
        peak = peak_of(subject.asked, RUN, [texts])
        points.append(
            Point(
                axis="memory",
                value=len(texts),
                n_tokens=sum(len(prompt.ids) for prompt in prompts),
                n_nodes=count_nodes([prompt.ids for prompt in prompts]),
                seconds=time.perf_counter() - began,
                peak_bytes=peak.most,
            )
        )
    return points


def numbered(texts: Sequence[str], times: int) -> list[str]:
    """Texts, followed by copies that start with a number."""
    more = [f"{number} {text}" for number in range(2, times + 1) for text in texts]
    return [*texts, *more]


def _point(subject: Subject, axis: str, value: int, prompts: list[Tokenised]) -> Point:
    plan = subject.engine.facts.plan
    direct = bool(plan["direct"])
    way = by_plan(subject.engine.bridge, plan["plan"], plan["budget"], direct=direct)
    began = time.perf_counter()
    way.run([prompts], lambda *_: None)
    return Point(
        axis=axis,
        value=value,
        n_tokens=sum(len(prompt.ids) for prompt in prompts),
        n_nodes=count_nodes([prompt.ids for prompt in prompts]),
        seconds=time.perf_counter() - began,
    )
