"""What the bench found, as plain values."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The middle and the ends of what repetitions gave."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(median=statistics.median(values), lowest=min(values), highest=max(values))


@dataclass(frozen=True, kw_only=True)
class WayResult:
    """One way to get the activations.

    Attributes:
        name: Short name.
        about: What it does.
        n_samples: Prompts of the loop that was timed.
        n_tokens: Their tokens.
        n_computed: Tokens that went through the model, padding included.
        seconds: Wall time of the whole loop, of each repetition.
        share_of_limit: Its matrix products against the best rate at the same shapes.
        peak_bytes: Most memory of a process that does this alone; None when not measured.
        model_bytes: The same process with the model loaded, before the loop.
        difference: Largest relative difference per position to the first way.
    """

    name: str
    about: str
    n_samples: int
    n_tokens: int
    n_computed: int
    seconds: tuple[float, ...]
    share_of_limit: Spread
    peak_bytes: int | None
    model_bytes: int | None
    difference: float

    @property
    def samples_per_s(self) -> Spread:
        """Prompts per second."""
        return Spread.of([self.n_samples / seconds for seconds in self.seconds])

    @property
    def tokens_per_s(self) -> Spread:
        """Tokens of the prompts per second, however often or seldom they were computed."""
        return Spread.of([self.n_tokens / seconds for seconds in self.seconds])


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """How many times as fast one way is as another, repetition by repetition."""

    fast: str
    slow: str
    spread: Spread


@dataclass(frozen=True, kw_only=True)
class Point:
    """One point of a cost curve.

    Attributes:
        axis: `prompts`, `tokens` or `memory`.
        value: How many prompts, or tokens of each.
        n_tokens: Tokens of all prompts.
        n_nodes: Distinct prefixes.
        seconds: Wall time.
        peak_bytes: Most memory, with the model; None when not measured.
    """

    axis: str
    value: int
    n_tokens: int
    n_nodes: int
    seconds: float
    peak_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class PageTime:
    """Script time of one page of the dashboard with twelve pickles on disk.

    Attributes:
        page: Its name.
        cold_s: First run in a new process, with the import of what the page needs.
        warm_s: Median of later runs.
    """

    page: str
    cold_s: float
    warm_s: float


@dataclass(frozen=True, kw_only=True)
class WholeRun:
    """The pipeline from texts to acknowledged files, without loading the model.

    Attributes:
        seconds: Wall time of each repetition.
        overhead: What it takes beyond the passes alone, as a share of them.
    """

    seconds: tuple[float, ...]
    overhead: Spread


@dataclass(frozen=True, kw_only=True)
class BenchResult:
    """One model on one data set.

    Attributes:
        model: Name, shape, parameters of its blocks.
        dataset: Source, prompts, tokens, distinct prefixes.
        machine: Processor, cores, threads, load.
        versions: Of the libraries.
        plan: emoact's choice.
        ways: Every way that was timed.
        ratios: Of emoact's choice to the others.
        limit_gflops: Best float32 rate at the model's shapes, of each repetition.
        whole_run: The pipeline.
        curve: Cost curves; empty when not asked for.
        pages: The dashboard's pages; empty when not asked for, or where there is none.
    """

    model: Mapping[str, Any]
    dataset: Mapping[str, Any]
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    plan: Mapping[str, Any]
    ways: tuple[WayResult, ...]
    ratios: tuple[Ratio, ...]
    limit_gflops: tuple[float, ...]
    whole_run: WholeRun
    curve: tuple[Point, ...] = field(default=())
    pages: tuple[PageTime, ...] = field(default=())

    def way(self, name: str) -> WayResult:
        """The way of that name."""
        return next(way for way in self.ways if way.name == name)
