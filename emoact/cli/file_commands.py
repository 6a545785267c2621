"""`emoact inspect` and `emoact norms`: what is in saved files."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoact.cli.output import print_json, print_line, say
from emoact.cli.parsing import add_command, add_json, add_results, one_of
from emoact.errors import RequestError

if TYPE_CHECKING:
    from emoact.analysis.norms import NormRow
    from emoact.store.grid import Grid

_NORMS = ("l2", "l1", "rms")
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
        about="Layerwise norms, one row per model, emotion, site, layer and position.",
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
    from emoact.store.reading import read_all

    grid = read_all(arguments.results)
    if not grid.units and not grid.problems:
        raise RequestError(
            f"there are no activations in {arguments.results}",
            remedy="`emoact extract --model smollm2-135m` makes some.",
        )
    rows = _rows(grid, arguments.norm)
    for problem in grid.problems:
        say(f"left out: {problem.where}: {problem.message}")
    if arguments.csv and arguments.csv != "-":
        _write_csv(Path(arguments.csv), rows)
        say(f"{len(rows):,} rows in {arguments.csv}")
    if arguments.json:
        problems = [problem.to_json() for problem in grid.problems]
        print_json({"rows": [row.to_row() for row in rows], "problems": problems})
    elif not arguments.csv or arguments.csv == "-":
        sys.stdout.write(_csv(rows))
    return 1 if grid.problems else 0


def _rows(grid: Grid, norm: str) -> list[NormRow]:
    from emoact.analysis.norms import layer_norms

    return [
        # The folder tells two revisions of one model apart; its hub id does not.
        dataclasses.replace(row, model=unit.folder)
        for unit in grid.units
        for site in unit.sites
        if site != "pattern"
        for row in layer_norms(unit, site, norm)  # type: ignore[arg-type]
    ]


def _csv(rows: list[NormRow]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.to_row() for row in rows)
    return text.getvalue()


def _write_csv(path: Path, rows: list[NormRow]) -> None:
    from emoact.store.atomic import replace_atomically

    with replace_atomically(path) as file:
        file.write(_csv(rows).encode())
