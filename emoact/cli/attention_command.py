"""`emoact attention`: attention patterns of saved prompts, on disk."""

from __future__ import annotations

import argparse
from typing import Any

from emoact.cli.causes_following import answer
from emoact.cli.parsing import add_command, add_folder, add_number, add_options


def add(commands: Any) -> None:
    """Add `emoact attention`."""
    attention = add_command(
        commands,
        "attention",
        about="Write the attention patterns of the saved prompts of a class (float16, lower "
        "triangles), with entropy and the weight on the first and the previous position by head.",
        example="emoact attention --model smollm2-135m --emotion gratitude",
        run=_attention,
    )
    add_options(attention, "--results")
    add_folder(attention)
    attention.add_argument(
        "--emotion", metavar="LABEL", required=True, help="class whose prompts are read"
    )
    add_number(
        attention,
        "--budget",
        default=1_000,
        metavar="MB",
        help="megabytes above which patterns are reduced to entropy, masses and the 8 largest "
        "weights of a query",
    )
    add_options(attention, "--allow-pickle-weights", "--run-id", "--detach", "--csv", "--json")


def _attention(arguments: argparse.Namespace) -> int:
    from emoact.causes import patterns
    from emoact.causes.patterns import PatternsRequest, prepare_patterns

    prepared = prepare_patterns(
        PatternsRequest(
            results=arguments.results,
            model=arguments.model,
            emotion=arguments.emotion,
            budget_mb=arguments.budget,
            run_id=arguments.run_id,
            allow_pickle_weights=arguments.allow_pickle_weights,
        )
    )
    return answer(prepared, patterns, arguments)
