"""What more prompts and longer prompts cost."""

from __future__ import annotations

import time
from collections.abc import Sequence

from emoact.bench.contest import Say
from emoact.bench.peak import peak_of
from emoact.bench.result import Point
from emoact.bench.subject import RUN, Subject
from emoact.bench.ways import by_plan
from emoact.extraction.engine import Tokenised
from emoact.extraction.plan import count_nodes

MULTIPLES = (1, 4, 16)
LENGTHS = (10, 50, 200)
MEMORY_MULTIPLES = (1, 4, 10)
"""How many times as many prompts the memory is measured with."""


def cost_curve(subject: Subject, *, say: Say) -> list[Point]:
    """Time for 1, 4 and 16 times one unit's prompts, and for 10, 50 and 200 tokens each.

    Copies of a prompt are told apart by a number in front, so that they share nothing but BOS.
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
        points.append(_point(subject, "tokens", length, [_first(p, length) for p in long_ones]))
    return points


def memory_curve(subject: Subject, *, say: Say) -> list[Point]:
    """Most memory of the whole pipeline for one unit and for up to ten times its prompts."""
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
                n_nodes=subject.engine.node_count(prompts),
                seconds=time.perf_counter() - began,
                peak_bytes=peak.most,
            )
        )
    return points


def numbered(texts: Sequence[str], times: int) -> list[str]:
    """The texts, and further copies with a number in front."""
    more = [f"{number} {text}" for number in range(2, times + 1) for text in texts]
    return [*texts, *more]


def _point(subject: Subject, axis: str, value: int, prompts: list[Tokenised]) -> Point:
    plan = subject.engine.facts.plan
    way = by_plan(
        subject.engine.bridge,
        plan["plan"],
        plan["budget"],
        plan["kernel"],
        direct=bool(plan["direct"]),
    )
    began = time.perf_counter()
    way.run([prompts], lambda *_: None)
    return Point(
        axis=axis,
        value=value,
        n_tokens=sum(len(prompt.ids) for prompt in prompts),
        n_nodes=count_nodes([prompt.ids for prompt in prompts]),
        seconds=time.perf_counter() - began,
    )


def _first(prompt: Tokenised, length: int) -> Tokenised:
    return Tokenised(
        ids=prompt.ids[:length].copy(),
        strings=prompt.strings[:length],
        content_start=prompt.content_start,
        full_length=prompt.full_length,
    )
