"""`emoact bench`: speed of emoact beside other ways to get activations."""

from __future__ import annotations

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any, get_args

from emoact.cli.output import nothing_in, print_json, print_line, print_table, say
from emoact.cli.parsing import add_command, add_number, add_options, values_of
from emoact.errors import RequestError
from emoact.schema import Device

if TYPE_CHECKING:
    from emoact.bench.result import BenchResult


def add(commands: Any) -> None:
    """Add `emoact bench`."""
    parser = add_command(
        commands,
        "bench",
        about="Time emoact on this machine beside other ways to get activations.",
        example="emoact bench --repeat 1 --every 5 --speed-only\nemoact bench --model gpt2 --json",
        run=_bench,
    )
    parser.add_argument(
        "--model", metavar="NAME|ID|PATH", default="smollm2-135m", help="an installed model"
    )
    add_options(parser, "--dataset", help="prompts; each label is a unit")
    add_number(parser, "--repeat", 3, help="rounds; ratios are given with their spread over them")
    add_number(
        parser, "--every", 1, help="ways that take one prompt at a time take every Nth prompt"
    )
    parser.add_argument(
        "--device",
        choices=get_args(Device),
        default="cpu",
        help="where all ways run; on a GPU, memory is that of the GPU",
    )
    for name, about in (
        (
            "--store",
            "the stores instead, on the files of --results: sizes, writing, reading, errors",
        ),
        ("--pages", "clicks on the pages of --results in Chromium instead, --repeat times each"),
    ):
        parser.add_argument(name, action="store_true", help=f"time {about}")
    add_options(parser, "--results")
    parser.add_argument("--speed-only", action="store_true", help="no memory")
    add_options(parser, "--json")


def _bench(arguments: argparse.Namespace) -> int:
    if arguments.store:
        return _bench_stores(arguments)
    for name in ("repeat", "every"):
        if getattr(arguments, name) < 1:
            raise RequestError(f"--{name} is {getattr(arguments, name)}; 1 or more is allowed")
    if arguments.pages:
        return _bench_pages(arguments)
    from emoact.models.effort import let_threads_sleep

    let_threads_sleep()
    from emoact.bench.bench import Request, bench

    result = bench(
        Request(
            **values_of(arguments, "model", "dataset", "repeat", "every", "device"),
            memory=not arguments.speed_only,
        ),
        say=say,
    )
    if arguments.json:
        print_json(_document(result))
    else:
        _print(result)
    return 0


def _bench_pages(arguments: argparse.Namespace) -> int:
    from emoact.bench.clicks import click_times

    times = click_times(arguments.results, rounds=arguments.repeat)
    if arguments.json:
        print_json({"clicks": [dataclasses.asdict(each) for each in times]})
        return 0
    rows = [
        [each.page, each.view or "(link)", f"{each.first_s:.2f}", f"{each.later_s:.2f}"]
        for each in times
    ]
    print_table(["PAGE", "VIEW", "FIRST S", "LATER S"], rows)
    return 0


def _bench_stores(arguments: argparse.Namespace) -> int:
    from emoact.bench.stores import bench_stores
    from emoact.store.convert import precision_in
    from emoact.store.reading import read_all

    units = [
        unit
        for unit in read_all(arguments.results)
        if precision_in(unit) == "lossless" and not unit.pooled
    ]
    if not units:
        raise nothing_in(arguments.results)
    results = bench_stores(units)
    if arguments.json:
        print_json({"stores": [dataclasses.asdict(each) for each in results]})
        return 0
    rows = [
        [
            each.store,
            each.precision,
            f"{each.n_bytes / 1e6:,.1f} MB",
            f"{each.ratio:.2f}",
            f"{each.write_mb_per_s:,.0f}",
            f"{each.read_mb_per_s:,.0f}",
            f"{each.open_ms:.1f}",
            f"{each.one_ms:.1f}",
            f"{each.relative_error:.1e}",
        ]
        for each in results
    ]
    header = ["STORE", "PRECISION", "SIZE", "RATIO", "WRITE MB/S", "READ MB/S", "OPEN MS", "ONE MS"]
    print_table([*header, "ERROR"], rows)
    return 0


def _document(result: BenchResult) -> dict[str, Any]:
    document = dataclasses.asdict(result)
    for way, row in zip(result.ways, document["ways"], strict=True):
        row["samples_per_s"] = dataclasses.asdict(way.samples_per_s)
        row["tokens_per_s"] = dataclasses.asdict(way.tokens_per_s)
    return document


def _print(result: BenchResult) -> None:
    model, dataset, machine = result.model, result.dataset, result.machine
    print_line(
        f"{model['name']}: {model['n_layers']} layers of width {model['d_model']}; "
        f"{dataset['n_prompts']} prompts, {dataset['n_tokens']:,} tokens, "
        f"{dataset['distinct_nodes']:,} distinct prefixes"
    )
    print_line(
        f"{machine['processor']}, {machine['threads']} threads; passes on {machine['device']}; "
        f"load {machine['load_before']:.1f} to {machine['load_after']:.1f}; "
        f"torch {result.versions['torch']}, transformer-lens {result.versions['transformer-lens']}"
    )
    rows = [
        [
            way.name,
            f"{way.samples_per_s.median:.1f}",
            f"{way.tokens_per_s.median:,.0f}",
            f"{way.n_computed:,}",
            f"{way.share_of_limit.median:.0%}",
            "" if way.peak_bytes is None else f"{way.peak_bytes / 1e6:,.0f} MB",
            f"{way.difference:.1e}",
        ]
        for way in result.ways
    ]
    print_table(["WAY", "PROMPTS/S", "TOKENS/S", "COMPUTED", "LIMIT", "PEAK", "DIFFERENCE"], rows)
    for ratio in result.ratios:
        times = ratio.spread
        print_line(
            f"{ratio.fast} is {times.median:.2f} times ({times.lowest:.2f} to {times.highest:.2f}) "
            f"as fast as {ratio.slow}"
        )
    overhead = result.whole_run.overhead
    print_line(
        f"tokenising, saving and bookkeeping take {overhead.median:.0%} of the passes' time "
        f"({overhead.lowest:.0%} to {overhead.highest:.0%})"
    )
    for point in result.memory:
        print_line(f"{point.n_prompts:,} prompts: at most {point.peak_bytes / 1e6:,.0f} MB")
