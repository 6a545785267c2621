"""Page docs/performance.md, from the numbers of `emoact bench`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emoact.report.figures import to_svg
from emoact.views.chart import Axis, Chart, Line, Panel

Result = Mapping[str, Any]

NOTES = Path(__file__).with_name("performance_notes.md")
"""Notes written by hand, for the end of the page."""

COST, MEMORY = "performance-cost.svg", "performance-memory.svg"


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
        "## Cost\n",
        _curves(embedded),
        _sizes([*(row["result"] for row in numbers["rows"][::2]), numbers["small"]]),
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

    def ratio(dataset: str, slow: str) -> list[str]:
        return [
            _cell(_ratio(results[name, dataset]["result"], slow), "{:.1f} ×")
            for name in _names(results)
        ]

    def shares() -> list[str]:
        return [
            _cell(_chosen(results[name, "shipped"]["result"])["share_of_limit"], "{:.0%}")
            for name in _names(results)
        ]

    def overheads() -> list[str]:
        return [
            _cell(results[name, "shipped"]["result"]["whole_run"]["overhead"], "{:.0%}")
            for name in _names(results)
        ]

    def growths() -> list[str]:
        return [
            f"{_growth(results[name, 'shipped']['result']):.2f} ×" if name in full else ""
            for name in _names(results)
        ]

    def pages(kind: str) -> list[str]:
        return [
            "{} s ({})".format(*_slowest(results[name, "shipped"]["result"], kind))
            if name in full
            else ""
            for name in _names(results)
        ]

    full = [name for name in _names(results) if results[name, "shipped"]["result"]["pages"]]
    rows = [
        ["the report's way, short prompts", "≥ 15 ×", *ratio("short", "transformer_lens")],
        ["the report's way, shipped prompts", "≥ 6 ×", *ratio("shipped", "transformer_lens")],
        [
            "sorted batches of the bare model, shipped",
            "≥ 1.3 ×",
            *ratio("shipped", "hugging_face_batches"),
        ],
        ["share of the matrix-multiply limit, shipped", "≥ 75 %", *shares()],
        ["tokenising, saving, bookkeeping beside the passes", "≤ 15 %", *overheads()],
        ["peak memory with 10 times the prompts", "≤ 1.2 ×", *growths()],
        ["slowest page over 12 pickles, first script", "≤ 2 s", *pages("cold_s")],
        ["slowest page over 12 pickles, later", "≤ 0.5 s", *pages("warm_s")],
    ]
    return _table(["figure", "target", *_names(results)], rows)


def _ways(row: Mapping[str, Any]) -> str:
    result = row["result"]
    dataset = result["dataset"]
    head = (
        f"### {result['model']['name']}, {row['dataset']} prompts\n\n"
        f"{dataset['n_prompts']} prompts, {dataset['n_tokens']:,} tokens "
        f"({dataset['tokens_per_prompt']:.1f} each), {dataset['distinct_nodes']:,} distinct "
        f"prefixes within classes; limit {_middle(result['limit_gflops']):.0f} GFLOP/s; plan "
        f"{result['plan']['plan']}, {result['plan']['kernel']} kernel.\n\n"
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
    points = [point for point in result["curve"] if point["axis"] == "memory"]
    rows += [
        [f"whole run, {point['value']} prompts in a class", "", _megabytes(point["peak_bytes"])]
        for point in points
    ]
    head = f"{result['model']['name']}, each way in a process of its own, resident.\n\n"
    table = _table(["way", "model loaded", "peak of the loop"], rows)
    return f"{head}{table}\n![Most memory by prompts in a class](images/{MEMORY})\n"


def _curves(result: Result) -> str:
    text = f"{result['model']['name']}, emoact's own choice of plan.\n\n"
    for axis, words in (("prompts", "prompts"), ("tokens", "tokens of each prompt")):
        points = [point for point in result["curve"] if point["axis"] == axis]
        rows = [
            [
                f"{point['value']:,}",
                f"{point['n_tokens']:,}",
                f"{point['n_nodes']:,}",
                f"{point['seconds']:.2f}",
                f"{1e3 * point['seconds'] / point['n_nodes']:.2f}",
            ]
            for point in points
        ]
        header = [words, "tokens", "distinct prefixes", "seconds", "ms per prefix"]
        text += _table(header, rows) + "\n"
    return text + f"![Seconds by distinct prefixes](images/{COST})\n\n"


def charts(numbers: Mapping[str, Any]) -> dict[str, str]:
    """Figures of the page, by file name."""
    embedded = next(
        row["result"]
        for row in numbers["rows"]
        if (row["result"]["model"]["name"], row["dataset"]) == ("smollm2-135m", "shipped")
    )
    found: dict[str, list[tuple[float, float]]] = {"prompts": [], "tokens": [], "memory": []}
    for point in embedded["curve"]:
        if point["axis"] == "memory":
            found["memory"].append((point["value"], point["peak_bytes"] / 1e6))
        else:
            found[point["axis"]].append((point["n_nodes"], point["seconds"]))
    cost = [
        _panel(f"{words}, smollm2-135m", "distinct prefixes", "seconds", found[axis])
        for axis, words in (("prompts", "More prompts"), ("tokens", "Longer prompts"))
    ]
    title = "Most memory of a whole run, smollm2-135m"
    memory = _panel(title, "prompts in a class", "resident, MB", found["memory"])
    return {
        COST: _picture(cost, name="cost", title="Seconds by distinct prefixes"),
        MEMORY: _picture([memory], name="memory", title="Most memory by prompts in a class"),
    }


def _panel(title: str, x: str, y: str, points: Sequence[tuple[float, float]]) -> Panel:
    """Panel with one line, on axes that start at zero, so that proportional cost is a diagonal."""
    xs, ys = zip(*points, strict=True)
    return Panel(
        title=title,
        marks=[Line(x=xs, y=ys, colour="accent", symbol="circle", name=title)],
        x=Axis(title=x, range=(0.0, 1.08 * max(xs))),
        y=Axis(title=y, range=(0.0, 1.08 * max(ys))),
    )


def _picture(panels: Sequence[Panel], *, name: str, title: str) -> str:
    return to_svg(Chart(rows=[panels], share_y=False), name=name, title=title) + "\n"


def _sizes(results: Iterable[Result]) -> str:
    rows = [
        [
            f"{result['model']['n_layers']} layers of {result['model']['d_model']}",
            f"{result['model']['block_parameters'] / 1e6:.0f} M",
            f"{_chosen(result)['tokens_per_s']['median']:,.0f}",
            f"{_chosen(result)['share_of_limit']['median']:.0%}",
        ]
        for result in sorted(results, key=lambda result: result["model"]["block_parameters"])
    ]
    return _table(["model", "parameters of the blocks", "tokens/s", "limit"], rows)


def _growth(result: Result) -> float:
    points = [point["peak_bytes"] for point in result["curve"] if point["axis"] == "memory"]
    return float(points[-1] / points[0])


def _slowest(result: Result, kind: str) -> tuple[str, str]:
    slowest = max(result["pages"], key=lambda page: page[kind])
    return f"{slowest[kind]:.2f}", slowest["page"]


def _names(results: Mapping[tuple[str, str], Any]) -> list[str]:
    return list(dict.fromkeys(name for name, _ in results))


def _chosen(result: Result) -> Mapping[str, Any]:
    name = f"emoact_{result['plan']['plan']}"
    way: Mapping[str, Any] = next(way for way in result["ways"] if way["name"] == name)
    return way


def _ratio(result: Result, slow: str) -> Mapping[str, float]:
    found = next(ratio for ratio in result["ratios"] if ratio["slow"] == slow)
    spread: Mapping[str, float] = found["spread"]
    return spread


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
