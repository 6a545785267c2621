"""Bench of one model on one data set: every way side by side."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from emoact.bench.contest import Say, Timings, contest, largest_differences, memory_curve
from emoact.bench.peak import Peak, peak_of
from emoact.bench.result import BenchResult, Ratio, Spread, WayResult, WholeRun
from emoact.bench.subject import RUN, Subject
from emoact.bench.ways import Prompts, Way
from emoact.data import read_prompts
from emoact.extraction.plan import count_nodes
from emoact.jobs.machine import cores, processor
from emoact.models.load import library_versions
from emoact.schema import Dataset, Device

_COMPARED = 2
"""Prompts of each unit whose activations are compared between the ways."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """Settings of a bench.

    Attributes:
        dataset: File for `read_prompts`; each label is a unit.
        repeat: Number of rounds.
        every: Ways that take one prompt at a time take every nth prompt of a unit.
        memory: Measure the memory of each way and of more prompts, in child processes.
    """

    model: str
    dataset: str | os.PathLike[str] = "data/prompts.jsonl"
    repeat: int = 3
    every: int = 1
    memory: bool = True
    device: Device = "cpu"


def bench(request: Request, *, say: Say = lambda _: None) -> BenchResult:
    """Time every way, and measure memory where requested.

    Raises:
        RequestError: The model or the data set is not available.
        EmoactError: The model failed.
    """
    dataset = read_prompts(request.dataset)
    load_before = _load_average()
    say(f"loading {request.model}")
    units = [[prompt.text for prompt in dataset.of(emotion)] for emotion in dataset.emotions]
    subject = Subject(request.model, units, request.device)
    ways = subject.ways()
    say("comparing the answers")
    differences = largest_differences(ways, [group[:_COMPARED] for group in subject.groups])

    def groups(way: Way) -> Sequence[Prompts]:
        step = request.every if way.single else 1
        return [group[::step] for group in subject.groups]

    device = subject.device
    timings = contest(
        ways,
        groups,
        shapes=subject.shapes,
        rows=subject.pass_tokens,
        repeat=request.repeat,
        device=device,
        say=say,
    )
    chosen = f"emoact_{subject.engine.facts.plan['plan']}"
    whole_run = _whole_run(subject, ways, chosen, repeat=request.repeat, say=say)
    peaks = _peaks(subject, ways, say=say) if request.memory else {}
    results = tuple(
        _way_result(way, groups(way), timings, differences, peaks, subject.flop_per_token)
        for way in ways
    )
    return BenchResult(
        model=_model_facts(subject),
        dataset=_dataset_facts(dataset, subject),
        machine={
            "processor": processor(),
            "device": torch.cuda.get_device_name(device) if "cuda" in device else device,
            "cores": cores(),
            "threads": torch.get_num_threads(),
            "load_before": load_before,
            "load_after": _load_average(),
        },
        versions=library_versions(),
        plan=dict(subject.engine.facts.plan),
        ways=results,
        ratios=tuple(_ratio(results, chosen, other) for other in results if other.name != chosen),
        limit_gflops=timings.limit_gflops,
        whole_run=whole_run,
        memory=tuple(memory_curve(subject, say=say)) if request.memory else (),
    )


def _whole_run(
    subject: Subject, ways: Sequence[Way], chosen: str, *, repeat: int, say: Say
) -> WholeRun:
    """Time of the pipeline and of its passes alone, measured in turn."""
    way = next(way for way in ways if way.name == chosen)
    seconds, shares = [], []
    for number in range(repeat):
        say(f"whole run {number + 1} of {repeat}")
        whole = subject.run_pipeline()
        began = time.perf_counter()
        way.run(subject.groups, lambda *_: None)
        passes = time.perf_counter() - began
        seconds.append(whole)
        shares.append(whole / passes - 1.0)
    return WholeRun(seconds=tuple(seconds), overhead=Spread.of(shares))


def _peaks(subject: Subject, ways: Sequence[Way], *, say: Say) -> dict[str, Peak]:
    peaks = {}
    # A fifth of the prompts reaches the same peak as all of them.
    few = [group[::5] for group in subject.texts]
    for name in [*(way.name for way in ways), RUN]:
        say(f"memory of {name}")
        peaks[name] = peak_of(subject.asked, name, few, device=subject.options.device)
    return peaks


def _way_result(
    way: Way,
    groups: Sequence[Prompts],
    timings: Timings,
    differences: Mapping[str, float],
    peaks: Mapping[str, Peak],
    flop_per_token: int,
) -> WayResult:
    computed = way.computed(groups)
    seconds = timings.seconds[way.name]
    peak = peaks.get(way.name)
    shares = [
        computed * flop_per_token / took / (limit * 1e9)
        for took, limit in zip(seconds, timings.limit_gflops, strict=True)
    ]
    return WayResult(
        name=way.name,
        about=way.about,
        n_samples=sum(map(len, groups)),
        n_tokens=sum(len(prompt.ids) for group in groups for prompt in group),
        n_computed=computed,
        seconds=seconds,
        share_of_limit=Spread.of(shares),
        peak_bytes=None if peak is None else peak.most,
        model_bytes=None if peak is None else peak.before,
        difference=differences[way.name],
    )


def _ratio(results: Sequence[WayResult], fast: str, slow: WayResult) -> Ratio:
    ours = next(way for way in results if way.name == fast)
    rates = [
        (ours.n_samples / a) / (slow.n_samples / b)
        for a, b in zip(ours.seconds, slow.seconds, strict=True)
    ]
    return Ratio(fast=fast, slow=slow.name, spread=Spread.of(rates))


def _model_facts(subject: Subject) -> dict[str, Any]:
    facts = subject.engine.facts
    return {
        "name": subject.source.name,
        "model_name": subject.source.model_name,
        "n_layers": facts.n_layers,
        "d_model": facts.d_model,
        "d_vocab": facts.d_vocab,
        "block_parameters": subject.flop_per_token // 2,
        "random_weights": facts.random_weights,
    }


def _dataset_facts(dataset: Dataset, subject: Subject) -> dict[str, Any]:
    lengths = [len(prompt.ids) for group in subject.groups for prompt in group]
    return {
        "source": Path(dataset.source).name,
        "sha256": dataset.sha256,
        "n_prompts": len(lengths),
        "n_units": len(subject.groups),
        "n_tokens": sum(lengths),
        "tokens_per_prompt": sum(lengths) / len(lengths),
        "distinct_nodes": sum(
            count_nodes([prompt.ids for prompt in group]) for group in subject.groups
        ),
    }


def _load_average() -> float | None:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None
