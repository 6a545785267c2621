"""Page docs/performance.md, from the numbers of `emoact bench`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Result = Mapping[str, Any]

NOTES = Path(__file__).with_name("performance_notes.md")
"""Notes written by hand, for the end of the page."""


def page(numbers: Mapping[str, Any]) -> str:
    """Markdown of the page."""
    results = {(row["result"]["model"]["name"], row["dataset"]): row for row in numbers["rows"]}
    first: Result = numbers["rows"][0]["result"]
    embedded: Result = results["smollm2-135m", "shipped"]["result"]
    parts = [
        "# How fast, and against what\n",
        "Written by `scripts/write_performance.py`; do not edit. The words at the end are in "
        "`scripts/performance_notes.md`.\n",
        _machine(first, numbers),
        "## Targets\n",
        _targets(results),
        "\nEach figure is the median of its rounds, with the lowest and the highest in brackets. "
        "A ratio is taken within a round, from wall times of whole loops.\n",
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


def _targets(results: Mapping[tuple[str, str], Any]) -> str:
    """Table of targets and results."""
    names = list(dict.fromkeys(name for name, _ in results))
    shipped = [results[name, "shipped"]["result"] for name in names]
    short = [results[name, "short"]["result"] for name in names]

    def row(words: str, target: str, cell: Callable[[Result], str], of: list[Result]) -> list[str]:
        return [words, target, *map(cell, of)]

    rows = [
        row(
            "the report's way, short prompts",
            "≥ 15 ×",
            lambda result: _ratio(result, "transformer_lens"),
            short,
        ),
        row(
            "the report's way, shipped prompts",
            "≥ 6 ×",
            lambda result: _ratio(result, "transformer_lens"),
            shipped,
        ),
        row(
            "sorted batches of the bare model, shipped",
            "≥ 1.3 ×",
            lambda result: _ratio(result, "hugging_face_batches"),
            shipped,
        ),
        row(
            "share of the matrix-multiply limit, shipped",
            "≥ 75 %",
            lambda result: _cell(_chosen(result)["share_of_limit"], "{:.0%}"),
            shipped,
        ),
        row(
            "tokenising, saving, bookkeeping beside the passes",
            "≤ 15 %",
            lambda result: _cell(result["whole_run"]["overhead"], "{:.0%}"),
            shipped,
        ),
        row("peak memory with 10 times the prompts", "≤ 1.2 ×", _growth, shipped),
    ]
    return _table(["figure", "target", *names], rows)


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
        for point in result["memory"]
    ]
    head = f"{result['model']['name']}, each way in a process of its own, resident.\n\n"
    return head + _table(["way", "model loaded", "peak of the loop"], rows)


def _growth(result: Result) -> str:
    """Ratio of the largest to the smallest peak; empty where memory was not measured."""
    points = [point["peak_bytes"] for point in result["memory"]]
    return f"{points[-1] / points[0]:.2f} ×" if points else ""


def _chosen(result: Result) -> Mapping[str, Any]:
    name = f"emoact_{result['plan']['plan']}"
    way: Mapping[str, Any] = next(way for way in result["ways"] if way["name"] == name)
    return way


def _ratio(result: Result, slow: str) -> str:
    found = next(ratio for ratio in result["ratios"] if ratio["slow"] == slow)
    return _cell(found["spread"], "{:.1f} ×")


def _cell(spread: Mapping[str, float], form: str) -> str:
    shown: Callable[[float], str] = form.format
    return f"{shown(spread['median'])} ({shown(spread['lowest'])}–{shown(spread['highest'])})"


def _megabytes(n_bytes: int | None) -> str:
    return "" if n_bytes is None else f"{n_bytes / 1e6:,.0f} MB"


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
