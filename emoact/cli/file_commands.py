"""`emoact inspect` and `emoact norms`: what is in saved files."""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoact.cli.output import print_json, print_line, say
from emoact.cli.parsing import add_command, add_json, add_results, one_of
from emoact.errors import RequestError

if TYPE_CHECKING:
    from emoact.analysis.measures import UnitMeasures
    from emoact.analysis.norms import NormKind
    from emoact.schema import Site

_NORMS = ("l2", "l1", "rms")
_TABLES = ("layer", "position", "prompt", "token", "growth", "dimension")
_COLUMNS = (
    "model",
    "emotion",
    "site",
    "layer",
    "norm",
    "position",
    "mean",
    "median",
    "q25",
    "q75",
    "n",
    "n_nonfinite",
)


def add(commands: Any) -> None:
    """Add the commands."""
    inspect = add_command(
        commands,
        "inspect",
        about="Say what is in a file of activations and whether it keeps the contract.",
        example="emoact inspect results/activations/gpt2/activations_anger.pkl",
        run=_inspect,
    )
    inspect.add_argument("file", metavar="FILE", help="a .pkl file; nothing in it is executed")
    add_json(inspect)
    norms = add_command(
        commands,
        "norms",
        about="Layerwise norms as a tidy table; by position, prompt, token or dimension too.",
        example="emoact norms --csv norms.csv",
        run=_norms,
    )
    add_results(norms)
    norms.add_argument(
        "--norm",
        type=one_of(_NORMS),
        default="l2",
        metavar="{l2,l1,rms}",
        help="which norm (default: %(default)s)",
    )
    norms.add_argument(
        "--by",
        type=one_of(_TABLES),
        default="layer",
        metavar="{layer,position,prompt,token,growth,dimension}",
        help="what a row is: a layer; a position of a layer; a prompt; a token with its largest "
        "dimensions; the step to the next layer; a dimension (default: %(default)s)",
    )
    norms.add_argument("--csv", metavar="FILE", help="write the rows here; - is standard output")
    add_json(norms)


def _inspect(arguments: argparse.Namespace) -> int:
    from emoact.store.reading import inspect_file

    if not os.path.lexists(arguments.file):
        raise RequestError(f"there is no file {arguments.file}")
    document = inspect_file(arguments.file)
    if arguments.json:
        print_json(document)
    else:
        _print_document(document)
    return 0 if document["ok"] else 1


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
    from emoact.summaries import measures_of

    grid = measures_of(arguments.results)
    if not grid.units and not grid.problems:
        raise RequestError(
            f"there are no activations in {arguments.results}",
            remedy="`emoact extract --model smollm2-135m` makes some.",
        )
    rows = _rows(grid.units, arguments.by, arguments.norm)
    for problem in grid.problems:
        say(f"left out: {problem.where}: {problem.message}")
    if arguments.csv and arguments.csv != "-":
        _write_csv(Path(arguments.csv), rows)
        say(f"{len(rows):,} rows in {arguments.csv}")
    if arguments.json:
        problems = [problem.to_json() for problem in grid.problems]
        print_json({"rows": rows, "problems": problems})
    elif not arguments.csv or arguments.csv == "-":
        sys.stdout.write(_csv(rows))
    return 1 if grid.problems else 0


def _rows(units: Sequence[UnitMeasures], by: str, kind: NormKind) -> list[dict[str, Any]]:
    from emoact.analysis import activation_tables as tables

    if by == "growth":
        return [row for unit in units for row in tables.growth_rows(unit)]
    makers: dict[str, Callable[[UnitMeasures, Site], Iterable[dict[str, Any]]]] = {
        "layer": lambda unit, site: tables.layer_rows(unit, site, kind),
        "position": lambda unit, site: tables.position_rows(unit, site, kind),
        "prompt": lambda unit, site: tables.prompt_rows(unit, site, kind),
        "token": lambda unit, site: tables.token_rows(unit, site, kind),
        "dimension": tables.dimension_rows,
    }
    return [row for unit in units for site in unit.sites for row in makers[by](unit, site)]


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0] if rows else _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    from emoact.store.atomic import replace_atomically

    with replace_atomically(path) as file:
        file.write(_csv(rows).encode())
