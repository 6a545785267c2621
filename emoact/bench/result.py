"""Results of the bench, as plain values."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Median and range of repetitions."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Spread of at least one value."""
        return cls(median=statistics.median(values), lowest=min(values), highest=max(values))


@dataclass(frozen=True, kw_only=True)
class WayResult:
    """Result of one way to get the activations.

    Attributes:
        n_samples: Prompts of the timed loop.
        n_tokens: Tokens of these prompts.
        n_computed: Tokens that went through the model, padding included.
        seconds: Wall time of the whole loop, for each repetition.
        share_of_limit: Rate of its matrix products, as a share of the limit at these shapes.
        peak_bytes: Peak memory of a process that runs only this way; None when not measured.
        model_bytes: Memory of that process with the model loaded, before the loop.
        difference: Largest relative difference from the first way, at one position.
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
        """Tokens of the prompts per second; shared prefixes and padding do not count."""
        return Spread.of([self.n_tokens / seconds for seconds in self.seconds])


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """Speed of one way as a multiple of the speed of another, over the repetitions."""

    fast: str
    slow: str
    spread: Spread


@dataclass(frozen=True, kw_only=True)
class MemoryPoint:
    """Peak memory in bytes of the pipeline, with the model, for one unit of so many prompts."""

    n_prompts: int
    peak_bytes: int


@dataclass(frozen=True, kw_only=True)
class WholeRun:
    """Time of the pipeline from texts to acknowledged files, without loading the model."""

    seconds: tuple[float, ...]
    overhead: Spread


@dataclass(frozen=True, kw_only=True)
class BenchResult:
    """Results of one model on one data set.

    Attributes:
        dataset: Source, prompts, tokens, distinct prefixes.
        machine: Processor, cores, threads, load.
        ratios: Speed of the chosen plan as a multiple of every other way.
        limit_gflops: Rate of float32 products at the model's shapes, for each repetition.
        memory: Peak memory by number of prompts; empty when not requested.
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
    memory: tuple[MemoryPoint, ...] = ()
