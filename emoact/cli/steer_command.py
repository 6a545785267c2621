"""`emoact steer`: what held-out sentences do when a direction is added."""

from __future__ import annotations

import argparse
from typing import Any

from emoact.cli.causes_following import answer
from emoact.cli.parsing import add_command, add_folder, add_number, add_options


def add(commands: Any) -> None:
    """Add `emoact steer`."""
    parser = add_command(
        commands,
        "steer",
        about="Add a direction to the residual stream, and measure held-out sentences beside "
        "random directions of the same norm and directions of shuffled labels.",
        example="emoact steer --model smollm2-135m --emotion apology --layer 15 --dose 1\n"
        "emoact steer --model smollm2-135m --sentences 8 --csv effects.csv",
        run=_steer,
    )
    what = parser.add_argument_group("what")
    add_options(what, "--results")
    add_folder(what, required=False)
    add_options(what, "--emotion", help="class whose direction is added; repeatable (default: all)")
    add_number(
        what,
        "--layer",
        action="append",
        help="layer at whose input it is added, from 0 on; repeatable (default: five over the "
        "depth)",
    )
    add_number(
        what,
        "--dose",
        type=float,
        action="append",
        metavar="A",
        help="factor of the difference of the class means; repeatable (default: seven from -2 to "
        "4)",
    )
    how = parser.add_argument_group("how")
    add_options(how, "--neutral", "--pooling")
    add_number(
        how,
        "--control-dose",
        type=float,
        action="append",
        metavar="A",
        help="dose at which all controls run and a verdict is given; repeatable (default: every "
        "dose where one emotion is steered at one layer with up to three, else 1)",
    )
    add_number(
        how, "--random", default=100, help="random directions, at least 100 (default: %(default)s)"
    )
    add_number(
        how,
        "--shuffled",
        default=20,
        help="directions of shuffled labels, at least 20; p is never below 1 / (1 + N) (default: "
        "%(default)s)",
    )
    add_number(
        how,
        "--sentences",
        help="most test scenarios whose sentences are scored (default: all where one emotion is "
        "steered at one layer with up to three doses, else 6)",
    )
    how.add_argument(
        "--prefix",
        action="append",
        metavar="LABEL=SENTENCE",
        help="sentence that names an emotion in a prompt, for the baseline without steering, or "
        "with the neutral label one that names none; repeatable (default: "
        '"I am so angry." and the like, else "I feel LABEL.", and five of no emotion)',
    )
    add_options(
        how,
        "--seed",
        help="of the split of the scenarios, which intervals hold, and of all draws (default: 0)",
    )
    run = parser.add_argument_group("run")
    add_options(run, "--allow-pickle-weights", "--run-id", "--detach", "--csv", "--json")


def _steer(arguments: argparse.Namespace) -> int:
    from emoact.causes import steer_result
    from emoact.causes.steer import SteerRequest, prepare_steer

    def given(name: str) -> tuple[Any, ...] | None:
        values = getattr(arguments, name)
        return None if values is None else tuple(dict.fromkeys(values))

    pairs = [str(each).partition("=") for each in arguments.prefix or ()]
    prepared = prepare_steer(
        SteerRequest(
            results=arguments.results,
            model=arguments.model,
            emotions=given("emotion"),
            layers=given("layer"),
            doses=given("dose"),
            control_doses=given("control_dose"),
            neutral=arguments.neutral,
            pooling=arguments.pooling,
            n_random=arguments.random,
            n_shuffled=arguments.shuffled,
            n_sentences=arguments.sentences,
            seed=arguments.seed,
            prefixes={label: sentence for label, _, sentence in pairs},
            run_id=arguments.run_id,
            allow_pickle_weights=arguments.allow_pickle_weights,
        )
    )
    return answer(prepared, steer_result, arguments)
