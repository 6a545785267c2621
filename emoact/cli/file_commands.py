"""`emoact inspect`, `convert` and `norms`: contents, formats and norms of saved files."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, get_args

from emoact.cli.output import nothing_in, print_either, print_json, print_line, say, write_table
from emoact.cli.parsing import add_command, add_number, add_options, add_sites, values_of
from emoact.errors import RequestError
from emoact.schema import Precision
from emoact.sites import vector_sites
from emoact.store import protocol


def add(commands: Any) -> None:
    """Add the commands."""
    inspect = add_command(
        commands,
        "inspect",
        about="Describe a file of activations, and check it against the contract.",
        example="emoact inspect results/activations/gpt2/activations_anger.pkl",
        run=_inspect,
    )
    about = "a file of activations; nothing in it is executed"
    inspect.add_argument("file", metavar="FILE", help=about)
    add_options(inspect, "--json")
    convert = add_command(
        commands,
        "convert",
        about="Write a file of activations in another format.",
        example="emoact convert results/activations/gpt2/activations_anger.pkl --to compact "
        "--out activations_anger.zarr.zip",
        run=_convert,
    )
    convert.add_argument("file", metavar="FILE", help="a file of activations, which stays")
    names = [store.name for store in protocol.STORES]
    convert.add_argument(
        "--to", choices=names, required=True, metavar="NAME", help=f"format: {', '.join(names)}"
    )
    convert.add_argument(
        "--precision",
        choices=get_args(Precision),
        help="rounding of the new file, with --to compact (default: that of FILE)",
    )
    convert.add_argument("--out", required=True, metavar="FILE", help="the new file")
    add_options(convert, "--json")
    norms = add_command(
        commands,
        "norms",
        about="Print norms as a tidy table: by layer, position, prompt, token or dimension.",
        example="emoact norms --csv norms.csv",
        run=_norms,
    )
    add_options(norms, "--results", "--norm")
    norms.add_argument(
        "--by",
        choices=("layer", "position", "prompt", "token", "length", "growth", "dimension"),
        default="layer",
        help="unit of a row: a layer; a position of a layer; a prompt; a token with its largest "
        "dimensions; a prompt's number of tokens; the step to the next layer; a dimension",
    )
    for name, about in (
        ("--relative", "divide by each model's own scale, the median of its residual norms"),
        ("--content", "leave out position 0 where it is a BOS"),
        ("--together", "by position: all prompts of a model as one class"),
    ):
        norms.add_argument(name, action="store_true", help=about)
    add_options(norms, "--model", help="only this model, by its folder; repeatable")
    add_options(norms, "--emotion", help="only this emotion; repeatable")
    add_sites(norms, vector_sites(), "; only this site; repeatable")
    add_number(norms, "--layer", help="only this layer, counted from 0")
    norms.add_argument("--prompt", metavar="ID", help="only this prompt")
    add_options(norms, "--csv", "--json")


def _inspect(arguments: argparse.Namespace) -> int:
    from emoact.store.reading import inspect_file

    _check_there(arguments.file)
    document = inspect_file(arguments.file)
    (print_json if arguments.json else _print_document)(document)
    return 0 if document["ok"] else 1


def _check_there(file: str) -> None:
    if not os.path.lexists(file):
        raise RequestError(f"there is no file {file}")


def _convert(arguments: argparse.Namespace) -> int:
    from emoact.store.convert import convert

    _check_there(arguments.file)
    written = convert(arguments.file, **values_of(arguments, "to", "out", "precision"))
    size, before = written.size, Path(arguments.file).stat().st_size
    document = {"path": arguments.out, "size": size, "sha256": written.sha256}
    said = f"{arguments.out}: {size:,} bytes; {arguments.file} has {before:,}"
    print_either({**document, "size_before": before}, arguments.json, said)
    return 0


def _print_document(document: Any) -> None:
    refused = document.get("refused")
    if refused:
        offset = refused.get("offset")
        where = "" if offset is None else f" at byte {offset:,}"
        print_line(f"{document['path']}: refused{where}: {refused['reason']}")
        if refused.get("remedy"):
            print_line(refused["remedy"])
        return
    shown = ("path", "model", "emotion", "n_samples", "n_layers", "d_model", "d_vocab", "sites")
    for name in (*shown, "tokens", "content_start", "size", "sha256"):
        print_line(f"{name}: {_words(document.get(name))}")
    if document["pooled"]:
        print_line(f"pooled vectors only: {_words(document['pooled'])}")
    provenance = document.get("provenance")
    if provenance is None:
        print_line("provenance: none; the configuration of this file is unknown")
    for name, value in (provenance or {}).items():
        print_line(f"provenance.{name}: {_words(value)}")
    for finding in document["findings"]:
        print_line(f"{finding['severity']}: {finding['where']}: {finding['message']}")
    print_line("the contract holds" if document["ok"] else "the contract does not hold")


def _words(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    return f"{value:,}" if type(value) is int else str(value)


def _norms(arguments: argparse.Namespace) -> int:
    import pandas as pd

    from emoact.stats import catalogue
    from emoact.stats.norms.norm_tables import NormTable
    from emoact.store.summaries import measures_of

    grid = measures_of(arguments.results)
    if not grid.units and not grid.problems:
        raise nothing_in(arguments.results)
    table = NormTable(
        **values_of(arguments, "by", "norm", "relative", "layer", "prompt", "content", "together"),
        models=tuple(arguments.model),
        emotions=tuple(arguments.emotion or ()),
        sites=tuple(arguments.site or ()),
    ).frame(grid.units)
    if not len(table):
        table = pd.DataFrame(columns=[*catalogue.table_named(f"norms_{arguments.by}").columns])
    for problem in grid.problems:
        say(f"left out: {problem.where}: {problem.message}")
    if arguments.json:
        problems = [problem.to_json() for problem in grid.problems]
        print_json({"rows": table.to_dict("records"), "problems": problems})
    if arguments.csv or not arguments.json:
        write_table(table, arguments.csv)
    return 1 if grid.problems else 0
