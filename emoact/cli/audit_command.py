"""`emoact audit`: what in a data set could stand for the emotion instead of it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from emoact.cli.output import print_json, say
from emoact.cli.parsing import add_command, add_json


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "audit",
        about="Look for what in a data set could stand for the emotion: length, words, duplicates.",
        example="emoact audit --dataset data/prompts.jsonl",
        run=_audit,
    )
    parser.add_argument(
        "--dataset",
        metavar="FILE",
        default="data/prompts.jsonl",
        help="prompts as .jsonl, .json, .csv, .tsv or .parquet (default: %(default)s)",
    )
    parser.add_argument(
        "--model",
        metavar="NAME|ID|PATH",
        help="count lengths in the tokens of this model too; it has to be installed",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="of the permutations and folds (default: %(default)s)",
    )
    add_json(parser)


def _audit(arguments: argparse.Namespace) -> int:
    from emoact.stats.audit import command

    tokenizer_json = None if arguments.model is None else _tokenizer(arguments.model)
    report = command.run(
        arguments.dataset,
        seed=arguments.seed,
        tokenizer_json=tokenizer_json,
        on_step=lambda step: say(f"checking {step}"),
    )
    if arguments.json:
        print_json(report.to_json())
    else:
        sys.stdout.write(command.render_text(report))
    return 0 if report.ok else 1


def _tokenizer(model: str) -> Path:
    from emoact.cli.model_commands import installed
    from emoact.models.resolve import resolve_model

    return installed(resolve_model(model)) / "tokenizer.json"
