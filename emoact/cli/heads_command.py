"""`emoact heads`: which heads, MLPs and biases write a direction."""

from __future__ import annotations

import argparse
from typing import Any

from emoact.cli.causes_following import answer
from emoact.cli.lens_command import add_direction, direction_fields
from emoact.cli.parsing import add_command, add_number, add_options
from emoact.errors import RequestError


def add(commands: Any) -> None:
    """Add `emoact heads`."""
    heads = add_command(
        commands,
        "heads",
        about="Take a direction apart into what embedding, heads, MLPs and biases add to it, "
        "exactly, from one pass over the saved prompts.",
        example="emoact heads --model smollm2-135m --emotion gratitude --layer 15\n"
        "emoact heads --model smollm2-135m --emotion anger --layer 15 --csv heads.csv\n"
        "emoact heads --model smollm2-135m --emotion anger --layer 15 --by token --text 'Oh no!'",
        run=_heads,
    )
    add_direction(heads)
    heads.add_argument(
        "--text",
        metavar="TEXT",
        help="take the projection of one sentence apart, token by token, through the warm model",
    )
    heads.add_argument(
        "--by",
        choices=("component", "token"),
        default="component",
        help="with --text, what a row of the table is",
    )
    add_number(heads, "--permutations", default=2000, help="relabellings within scenarios")
    add_options(
        heads, "--seed", "--allow-pickle-weights", "--run-id", "--detach", "--csv", "--json"
    )


def _heads(arguments: argparse.Namespace) -> int:
    from emoact.causes import heads
    from emoact.causes.contributions import ContrastSettings
    from emoact.causes.heads import HeadsRequest, prepare_heads

    if arguments.text is not None:
        return _text(arguments)
    if arguments.by == "token":
        raise RequestError("--by token is of one sentence", remedy="Name it with --text.")
    prepared = prepare_heads(
        HeadsRequest(
            **direction_fields(arguments),
            settings=ContrastSettings(
                neutral=arguments.neutral,
                n_permutations=arguments.permutations,
                seed=arguments.seed,
            ),
        )
    )
    return answer(prepared, heads, arguments)


def _text(arguments: argparse.Namespace) -> int:
    from emoact.cli.project_command import looked_along, show
    from emoact.views.apart import Apart

    along, looked = looked_along(arguments, apart=True)
    found = Apart(along=along, looked=looked)
    return show(found, arguments, found.by_token if arguments.by == "token" else found.table)
