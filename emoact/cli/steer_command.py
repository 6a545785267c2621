"""`emoact steer`: what held-out sentences do when a direction is added."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from emoact.cli.following import start_and_follow
from emoact.cli.output import print_json, print_line, say, write_table
from emoact.cli.parsing import add_command, add_options

if TYPE_CHECKING:
    from emoact.causes.saved import SavedCause


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
    what.add_argument(
        "--model",
        metavar="NAME",
        help="a folder under activations, or the name it was extracted by; not needed where there "
        "is one model",
    )
    add_options(what, "--emotion", help="class whose direction is added; repeatable (default: all)")
    what.add_argument(
        "--layer",
        type=int,
        action="append",
        metavar="N",
        help="layer at whose input it is added, from 0 on; repeatable (default: five over the "
        "depth)",
    )
    what.add_argument(
        "--dose",
        type=float,
        action="append",
        metavar="A",
        help="factor of the difference of the class means; repeatable (default: seven from -2 to "
        "4)",
    )
    how = parser.add_argument_group("how")
    add_options(how, "--neutral", "--pooling")
    how.add_argument(
        "--control-dose",
        type=float,
        action="append",
        metavar="A",
        help="dose at which all controls run and a verdict is given; repeatable (default: every "
        "dose where one emotion is steered at one layer with up to three, else 1)",
    )
    how.add_argument(
        "--random",
        type=int,
        default=100,
        metavar="N",
        help="random directions, at least 100 (default: %(default)s)",
    )
    how.add_argument(
        "--shuffled",
        type=int,
        default=20,
        metavar="N",
        help="directions of shuffled labels, at least 20 (default: %(default)s)",
    )
    how.add_argument(
        "--sentences",
        type=int,
        metavar="N",
        help="most test scenarios whose sentences are scored (default: all)",
    )
    add_options(how, "--seed")
    run = parser.add_argument_group("run")
    add_options(run, "--allow-pickle-weights", "--run-id", "--detach", "--csv", "--json")


def _steer(arguments: argparse.Namespace) -> int:
    from emoact.causes.saved import read_cause
    from emoact.causes.steer import KIND, SteerRequest, prepare_steer
    from emoact.jobs.launch import start
    from emoact.jobs.views import RunView
    from emoact.store.layout import ResultsRoot

    def given(name: str) -> tuple[Any, ...] | None:
        values = getattr(arguments, name)
        return None if values is None else tuple(dict.fromkeys(values))

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
            run_id=arguments.run_id,
            allow_pickle_weights=arguments.allow_pickle_weights,
        )
    )
    if prepared.existing is not None:
        _print(prepared.existing, arguments)
        return 0
    say(prepared.cost)

    def finish(view: RunView) -> None:
        found = read_cause(ResultsRoot(arguments.results), KIND, prepared.id)
        if found is not None:
            _print(found, arguments)
        else:
            say(f"{view.made[0].path} is gone")

    config = prepared.config
    return start_and_follow(
        arguments.results,
        config.run_id,
        lambda: start(config),
        detach=arguments.detach,
        as_json=arguments.json,
        finish=finish,
    )


def _print(saved: SavedCause, arguments: argparse.Namespace) -> None:
    from emoact.causes.steer_result import document, sentences_of, table_of

    if arguments.json:
        print_json(document(saved))
        return
    for sentence in sentences_of(saved):
        say(sentence) if arguments.csv else print_line(sentence)
    write_table(table_of(saved), arguments.csv)
