"""`emoact attention`, `ablate` and `steer`, and what commands about causes print."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from emoact.cli.following import start_and_follow
from emoact.cli.output import print_json, print_line, say, write_table
from emoact.cli.parsing import (
    RUN,
    add_class,
    add_command,
    add_folder,
    add_number,
    add_options,
)

if TYPE_CHECKING:
    import pandas as pd

    from emoact.causes.prepared import Kind
    from emoact.causes.saved import SavedCause
    from emoact.jobs.views import RunView


def add(commands: Any) -> None:
    """Add the commands."""
    _add_attention(commands)
    _add_ablate(commands)
    _add_steer(commands)


def _add_attention(commands: Any) -> None:
    attention = add_command(
        commands,
        "attention",
        about="Write the attention patterns of the saved prompts of a class (float16, lower "
        "triangles), with entropy and the weight on the first and the previous position by head.",
        example="emoact attention --model smollm2-135m --emotion gratitude",
        run=_attention,
    )
    add_class(attention, "class whose prompts are read")
    add_number(
        attention,
        "--budget",
        1_000,
        metavar="MB",
        help="megabytes above which patterns are reduced to entropy, masses and the 8 largest "
        "weights of a query",
    )
    add_options(attention, *RUN)


def _add_ablate(commands: Any) -> None:
    parser = add_command(
        commands,
        "ablate",
        about="Take heads, MLPs, layers or the direction out one by one, and measure held-out "
        "sentences further up.",
        example="emoact ablate --model smollm2-135m --emotion apology --layer 15 --part layer\n"
        "emoact ablate --model smollm2-135m --emotion anger --layer 15 --at 14 --csv heads.csv\n"
        "emoact ablate --model smollm2-135m --emotion apology --layer 15 --part mlp --word sorry",
        run=_ablate,
    )
    what = parser.add_argument_group("what")
    add_class(what, "class whose direction is read out", model_required=False)
    about = "layer at whose input the direction is read out, from 1 on"
    add_number(what, "--layer", required=True, help=about)
    what.add_argument(
        "--part",
        action="append",
        choices=("direction", "directions", "layer", "mlp", "head", "group"),
        help="kind of part that is ablated, one at a time; repeatable (default: direction, layer, "
        "mlp and head); group: the heads that share keys and values; directions: the direction at "
        "all these layers at once",
    )
    about = "layer of the parts; repeatable (default: all before --layer)"
    add_number(what, "--at", action="append", help=about)
    how = parser.add_argument_group("how")
    how.add_argument(
        "--by",
        choices=("zero", "mean", "resample"),
        default="mean",
        help="what stands in place of a part: nothing, its mean over neutral training prompts, or "
        "its mean over the neutral prompt of the same scenario",
    )
    add_options(how, "--neutral")
    add_number(
        how, "--sentences", help="most test scenarios whose sentences are read out (default: all)"
    )
    how.add_argument(
        "--word",
        action="append",
        metavar="WORD",
        help="class word whose log-odds as the next token after a sentence are read out, by its "
        "first token; repeatable, taken together (default: the label of the emotion)",
    )
    add_options(how, "--seed")
    add_options(parser.add_argument_group("run"), *RUN)


def _add_steer(commands: Any) -> None:
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
    about = "random directions, at least 100 (default: %(default)s)"
    add_number(how, "--random", 100, help=about)
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
    add_options(parser.add_argument_group("run"), *RUN)


def _attention(arguments: argparse.Namespace) -> int:
    from emoact.causes.patterns import PATTERNS

    return answer(PATTERNS, arguments)


def _ablate(arguments: argparse.Namespace) -> int:
    from emoact.causes.ablate import ABLATE

    return answer(ABLATE, arguments)


def _steer(arguments: argparse.Namespace) -> int:
    from emoact.causes.steer import STEER

    return answer(STEER, arguments)


def answer(kind: Kind[Any], arguments: argparse.Namespace) -> int:
    """Print the result of a command; where there is none yet, start its run and follow it."""
    from emoact.causes.asked import given
    from emoact.causes.saved import read_cause
    from emoact.jobs.launch import start
    from emoact.store.layout import ResultsRoot

    def show(saved: SavedCause) -> None:
        said = kind.sentences(saved)
        print_answer({**saved.document, "sentences": said}, said, kind.table(saved), arguments)

    prepared = kind.prepare(given(kind.request, arguments))
    if prepared.existing is not None:
        show(prepared.existing)
        return 0
    say(prepared.cost)

    def finish(view: RunView) -> None:
        found = read_cause(ResultsRoot(arguments.results), prepared.kind, prepared.id)
        if found is not None:
            show(found)
        else:
            say(f"{view.made[0].path} is gone")

    config = prepared.config
    return start_and_follow(arguments, config.run_id, lambda: start(config), finish=finish)


def print_answer(
    document: Mapping[str, Any],
    sentences: Sequence[str],
    table: pd.DataFrame | None,
    arguments: argparse.Namespace,
) -> int:
    """Print a document, or sentences and a table where there is one; returns the exit code."""
    if arguments.json:
        print_json(document)
        return 0
    for sentence in sentences:
        say(sentence) if arguments.csv else print_line(sentence)
    if table is not None:
        write_table(table, arguments.csv)
    return 0
