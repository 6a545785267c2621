"""Page docs/performance.md, from the numbers of `emoact bench`."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Result = Mapping[str, Any]

NOTES = Path(__file__).with_name("performance_notes.md")
"""Notes written by hand, for the end of the page."""


_BEFORE = (
    "Left of an arrow is an older version, measured right before this one on the same machine.\n"
)
_PAGES = (
    "\nThe main job is clicked in a browser on the start page: 200 prompts, four files, two sites. "
    "A cold host has no model in memory, a warm one has just finished such a run; hashes of "
    "weights are remembered from an earlier one. Most classes are one pass, so that the first bar "
    "moves when its class is computed. Pages are those of 12 files of 30 layers, 576 dimensions "
    "and 50 prompts; the first script runs in a new process and includes all imports. Phase 3 is "
    "that of planted vectors.\n"
)


def page(numbers: Mapping[str, Any]) -> str:
    """Markdown of the page."""
    first: Result = numbers["rows"][0]["result"]
    (embedded,) = _results(numbers, "shipped", ["smollm2-135m"])
    parts = [
        "# How fast, and against what\n",
        "Written by `scripts/write_performance.py`; do not edit. The words at the end are in "
        "`scripts/performance_notes.md`.\n",
        _machine(first, numbers),
        "## Targets\n",
        *([_BEFORE] if numbers["before"] else []),
        _targets(numbers),
        "\nEach figure is the median of its rounds, with the lowest and the highest in brackets. "
        "A ratio is taken within a round, from wall times of whole loops.\n",
        *([_waits(numbers), _PAGES] if "waiting" in numbers else []),
        "## All ways\n",
        *(_ways(row) for row in numbers["rows"]),
        "## Memory\n",
        _memory(embedded),
        NOTES.read_text(encoding="utf-8"),
    ]
    return "\n".join(parts)


def _machine(result: Result, numbers: Mapping[str, Any]) -> str:
    machine, versions = result["machine"], result["versions"]
    loads = [row["result"]["machine"]["load_before"] for row in numbers["rows"]]
    busy = max(loads) > machine["cores"]
    words = (
        f"{machine['processor']}, {machine['cores']} cores, no GPU; "
        f"{machine['threads']} threads; torch {versions['torch']}, "
        f"transformers {versions['transformers']}, "
        f"transformer-lens {versions['transformer-lens']}, Python {versions['python']}; float32. "
        f"The load average was between {min(loads):.1f} and {max(loads):.1f} when a model's turn "
        "came"
    )
    if busy:
        words += (
            ", so other work had the cores as well: absolute rates are far below what the machine "
            "can do, and ratios scatter"
        )
    vocabulary = "GPT-2's" if numbers["gpt2_vocabulary"] else "a vocabulary of 2,000 tokens"
    return (
        f"{words}. gpt2, pythia-160m and gpt-neo-125m are random weights of the true "
        f"configurations with {vocabulary} tokens; smollm2-135m is the embedded model. Ways that "
        f"take one prompt at a time took every {numbers['every']}th prompt of a class. The whole "
        f"took {numbers['seconds'] / 60:.0f} minutes.\n"
    )


def _targets(numbers: Mapping[str, Any]) -> str:
    """Table of targets and results, each of this version and of the older one."""
    versions = [each for each in (numbers["before"], numbers) if each is not None]
    names = list(dict.fromkeys(row["result"]["model"]["name"] for row in numbers["rows"]))

    def row(words: str, target: str, dataset: str, cell: Callable[[Result], str]) -> list[str]:
        columns = [[cell(result) for result in _results(each, dataset, names)] for each in versions]
        return [words, target, *map(_both, zip(*columns, strict=True))]

    rows = [
        row("the report's way, short prompts", "≥ 22 ×", "short", _ratio("transformer_lens")),
        row("the report's way, shipped prompts", "≥ 9 ×", "shipped", _ratio("transformer_lens")),
        row(
            "sorted batches of the bare model, shipped",
            "≥ 1.3 ×",
            "shipped",
            _ratio("hugging_face_batches"),
        ),
        row(
            "sorted batches of the bare model, short",
            "≥ 2 ×",
            "short",
            _ratio("hugging_face_batches"),
        ),
        row(
            "share of the matrix-multiply limit, shipped",
            "≥ 80 %",
            "shipped",
            lambda result: _cell(_chosen(result)["share_of_limit"], "{:.0%}"),
        ),
        row(
            "tokenising, saving, bookkeeping beside the passes",
            "≤ 8 %",
            "shipped",
            lambda result: _cell(result["whole_run"]["overhead"], "{:.0%}"),
        ),
        row("peak memory with 10 times the prompts", "≤ 1.1 ×", "shipped", _growth),
    ]
    return _table(["figure", "target", *names], rows)


def _waits(numbers: Mapping[str, Any]) -> str:
    """Table of what a person waits for, of this version and of the older one."""
    versions = [each for each in (numbers["before"], numbers) if each is not None]

    def row(words: str, target: str, cell: Callable[[Mapping[str, Any]], str]) -> list[str]:
        return [words, target, _both(map(cell, versions))]

    def seconds(state: str, name: str) -> Callable[[Mapping[str, Any]], str]:
        return lambda each: f"{each['waiting']['main_job'][state][name]:.1f} s"

    def over_passes(state: str) -> Callable[[Mapping[str, Any]], str]:
        def cell(each: Mapping[str, Any]) -> str:
            (result,) = _results(each, "shipped", ["smollm2-135m"])
            finished: float = each["waiting"]["main_job"][state]["finished_s"]
            return f"{finished / _middle(_chosen(result)['seconds']):.1f} ×"

        return cell

    def slowest(place: int) -> Callable[[Mapping[str, Any]], str]:
        def cell(each: Mapping[str, Any]) -> str:
            pages = each["waiting"]["pages"]
            page = max(pages, key=lambda name: pages[name][place])
            return f"{pages[page][place]:.2f} s ({page})"

        return cell

    def phase3(number: int) -> Callable[[Mapping[str, Any]], str]:
        def cell(each: Mapping[str, Any]) -> str:
            if number >= len(each["phase3"]):
                return ""
            found = each["phase3"][number]
            return f"{found['wall_s']:.0f} s, {found['peak_mb'] / 1000:.1f} GB"

        return cell

    rows = [
        row("click to the first moving bar, cold host", "", seconds("cold", "first_bar_s")),
        row("the same, warm host", "", seconds("warm", "first_bar_s")),
        row("click to finished, cold host", "", seconds("cold", "finished_s")),
        row("the same, warm host", "", seconds("warm", "finished_s")),
        row("click to finished over pure passes, cold host", "≤ 3 ×", over_passes("cold")),
        row("the same, warm host", "≤ 1.3 ×", over_passes("warm")),
        row("slowest page, first script", "≤ 1.5 s", slowest(0)),
        row("slowest page, later ones", "≤ 0.15 s", slowest(1)),
        row("phase 3 of 200 prompts, 30 layers, two sites", "≤ 12 s, 1 GB", phase3(0)),
        row("phase 3 of 900 prompts", "≤ 30 s, 1 GB", phase3(1)),
    ]
    return _table(["what a person waits for (smollm2-135m)", "target", "measured"], rows)


def _results(version: Mapping[str, Any], dataset: str, names: Sequence[str]) -> list[Result]:
    """Results of models on a data set, in the order of the names."""
    found = {
        row["result"]["model"]["name"]: row["result"]
        for row in version["rows"]
        if row["dataset"] == dataset
    }
    return [found[name] for name in names]


def _both(cells: Iterable[str]) -> str:
    """Figure of the older version, where there is one, and of this one."""
    return " → ".join(filter(None, cells))


def _ways(row: Mapping[str, Any]) -> str:
    result = row["result"]
    dataset = result["dataset"]
    head = (
        f"### {result['model']['name']}, {row['dataset']} prompts\n\n"
        f"{dataset['n_prompts']} prompts, {dataset['n_tokens']:,} tokens "
        f"({dataset['tokens_per_prompt']:.1f} each), {dataset['distinct_nodes']:,} distinct "
        f"prefixes within classes; limit {_middle(result['limit_gflops']):.0f} GFLOP/s; plan "
        f"{result['plan']['plan']}.\n\n"
    )
    rows = [
        [
            way["about"],
            _cell(way["samples_per_s"], "{:.1f}"),
            f"{way['tokens_per_s']['median']:,.0f}",
            f"{way['n_computed'] / way['n_tokens']:.2f}",
            f"{way['share_of_limit']['median']:.0%}",
            f"{way['difference']:.1e}",
        ]
        for way in result["ways"]
    ]
    header = ["way", "prompts/s", "tokens/s", "computed per token", "limit", "difference"]
    return head + _table(header, rows)


def _memory(result: Result) -> str:
    rows = [
        [way["name"], _megabytes(way["model_bytes"]), _megabytes(way["peak_bytes"])]
        for way in result["ways"]
    ]
    rows += [
        [f"whole run, {point['n_prompts']} prompts in a class", "", _megabytes(point["peak_bytes"])]
        for point in result.get("memory", [])
    ]
    head = f"{result['model']['name']}, each way in a process of its own, resident.\n\n"
    return head + _table(["way", "model loaded", "peak of the loop"], rows)


def _growth(result: Result) -> str:
    """Ratio of the largest to the smallest peak; empty where memory was not measured."""
    points = [point["peak_bytes"] for point in result.get("memory", [])]
    return f"{points[-1] / points[0]:.2f} ×" if points else ""


def _chosen(result: Result) -> Mapping[str, Any]:
    name = f"emoact_{result['plan']['plan']}"
    way: Mapping[str, Any] = next(way for way in result["ways"] if way["name"] == name)
    return way


def _ratio(slow: str) -> Callable[[Result], str]:
    def cell(result: Result) -> str:
        found = next(ratio for ratio in result["ratios"] if ratio["slow"] == slow)
        return _cell(found["spread"], "{:.1f} ×")

    return cell


def _cell(spread: Mapping[str, float], form: str) -> str:
    shown: Callable[[float], str] = form.format
    return f"{shown(spread['median'])} ({shown(spread['lowest'])}–{shown(spread['highest'])})"


def _megabytes(n_bytes: int | None) -> str:
    return "" if n_bytes is None else f"{n_bytes / 1e6:,.0f} MB"


def _middle(values: Sequence[float]) -> float:
    return statistics.median(values)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
