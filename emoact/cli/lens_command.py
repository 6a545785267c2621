"""`emoact lens`: which tokens a direction stands for, beside random directions."""

from __future__ import annotations

import argparse
from typing import Any

from emoact.cli.causes_following import answer
from emoact.cli.parsing import add_command, add_folder, add_number, add_options


def add(commands: Any) -> None:
    """Add `emoact lens`."""
    lens = add_command(
        commands,
        "lens",
        about="Read a direction through the final norm and the unembedding: the tokens that it "
        "raises and lowers most, beside random directions.",
        example="emoact lens --model smollm2-135m --emotion gratitude --layer 15",
        run=_lens,
    )
    add_direction(lens)
    add_number(lens, "--random", default=100, help="random directions, at least 20")
    add_number(lens, "--top", default=10, help="tokens at each end")
    add_options(lens, "--seed", "--allow-pickle-weights", "--run-id", "--detach", "--csv", "--json")


def add_direction(parser: argparse._ActionsContainer) -> None:
    """Add the options that name a direction of saved prompts."""
    add_options(parser, "--results")
    add_folder(parser)
    parser.add_argument(
        "--emotion", metavar="LABEL", required=True, help="class that the direction points to"
    )
    add_options(parser, "--neutral")
    add_number(parser, "--layer", required=True, help="of the direction, counted from 0")
    parser.add_argument(
        "--site",
        choices=("resid_pre", "resid_mid", "resid_post"),
        default="resid_pre",
        help="stream of the direction",
    )
    add_options(parser, "--pooling")


def direction_fields(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fields of a request about the direction that these options name."""
    from emoact.causes.contributions import Target

    return {
        "results": arguments.results,
        "model": arguments.model,
        "emotion": arguments.emotion,
        "target": Target(site=arguments.site, layer=arguments.layer, pooling=arguments.pooling),
        "run_id": arguments.run_id,
        "allow_pickle_weights": arguments.allow_pickle_weights,
    }


def _lens(arguments: argparse.Namespace) -> int:
    from emoact.causes import lens
    from emoact.causes.lens import LensRequest, LensSettings, prepare_lens

    prepared = prepare_lens(
        LensRequest(
            **direction_fields(arguments),
            settings=LensSettings(
                neutral=arguments.neutral,
                n_random=arguments.random,
                n_tokens=arguments.top,
                seed=arguments.seed,
            ),
        )
    )
    return answer(prepared, lens, arguments)
