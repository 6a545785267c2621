"""`emoact audit`: confounds of a data set, such as length or punctuation."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from emoact.cli.output import print_json, print_line, say
from emoact.cli.parsing import add_command, add_options


def add(commands: Any) -> None:
    """Add `emoact audit`."""
    parser = add_command(
        commands,
        "audit",
        about="Audit a data set for confounds: length, punctuation, words, duplicates.",
        example="emoact audit --dataset data/prompts.jsonl",
        run=_audit,
    )
    add_options(parser, "--dataset")
    parser.add_argument(
        "--model",
        metavar="NAME|ID|PATH",
        help="installed model, to compare lengths in its tokens as well",
    )
    add_options(parser, "--seed", help="seed of permutations and folds")
    add_options(parser, "--json")


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
        print_line(command.render_text(report).removesuffix("\n"))
    return 0 if report.ok else 1


def _tokenizer(model: str) -> Path:
    from emoact.cli.model_commands import installed
    from emoact.models.resolve import resolve_model

    return installed(resolve_model(model)) / "tokenizer.json"
