"""`emoact heads`: which heads, MLPs and biases write a direction."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from emoact.cli.following import start_and_follow
from emoact.cli.output import print_json, print_line, say, write_table
from emoact.cli.parsing import add_command, add_options

if TYPE_CHECKING:
    from emoact.causes.saved import SavedCause


def add(commands: Any) -> None:
    """Add `emoact heads`."""
    heads = add_command(
        commands,
        "heads",
        about="Take a direction apart into what embedding, heads, MLPs and biases add to it, "
        "exactly, from one pass over the saved prompts.",
        example="emoact heads --model smollm2-135m --emotion gratitude --layer 15\n"
        "emoact heads --model smollm2-135m --emotion anger --layer 15 --csv heads.csv",
        run=_heads,
    )
    add_options(heads, "--results")
    heads.add_argument(
        "--model",
        metavar="NAME",
        required=True,
        help="a folder under activations, or the name it was extracted by",
    )
    heads.add_argument(
        "--emotion", metavar="LABEL", required=True, help="class that the direction points to"
    )
    add_options(heads, "--neutral")
    heads.add_argument(
        "--layer", type=int, metavar="N", required=True, help="of the direction, counted from 0"
    )
    heads.add_argument(
        "--site",
        choices=("resid_pre", "resid_mid", "resid_post"),
        default="resid_pre",
        help="stream of the direction",
    )
    add_options(heads, "--pooling")
    heads.add_argument(
        "--permutations",
        type=int,
        default=2000,
        metavar="N",
        help="relabellings within scenarios",
    )
    add_options(
        heads, "--seed", "--allow-pickle-weights", "--run-id", "--detach", "--csv", "--json"
    )


def _heads(arguments: argparse.Namespace) -> int:
    from emoact.causes.contributions import ContrastSettings, Target
    from emoact.causes.heads import HeadsRequest, prepare_heads
    from emoact.causes.saved import read_cause
    from emoact.jobs.launch import start
    from emoact.jobs.views import RunView
    from emoact.store.layout import ResultsRoot

    prepared = prepare_heads(
        HeadsRequest(
            results=arguments.results,
            model=arguments.model,
            emotion=arguments.emotion,
            target=Target(site=arguments.site, layer=arguments.layer, pooling=arguments.pooling),
            settings=ContrastSettings(
                neutral=arguments.neutral,
                n_permutations=arguments.permutations,
                seed=arguments.seed,
            ),
            run_id=arguments.run_id,
            allow_pickle_weights=arguments.allow_pickle_weights,
        )
    )
    if prepared.existing is not None:
        _print(prepared.existing, arguments)
        return 0
    say(prepared.cost)

    def finish(view: RunView) -> None:
        (made,) = view.made
        found = read_cause(ResultsRoot(arguments.results), "heads", prepared.id)
        if found is not None:
            _print(found, arguments)
        else:
            say(f"{made.path} is gone")

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
    from emoact.causes.heads import document, sentences_of, table_of

    if arguments.json:
        print_json(document(saved))
        return
    for sentence in sentences_of(saved):
        say(sentence) if arguments.csv else print_line(sentence)
    write_table(table_of(saved), arguments.csv)
