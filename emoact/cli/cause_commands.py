"""`emoact attention`, `ablate` and `steer`, and what commands about causes print."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from types import ModuleType
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
    values_of,
)

if TYPE_CHECKING:
    import pandas as pd

    from emoact.causes.ablate import PartKind
    from emoact.causes.prepared import Prepared
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


def cause_fields(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fields that every request about causes has."""
    return values_of(arguments, "results", "model", "run_id", "allow_pickle_weights")


def _attention(arguments: argparse.Namespace) -> int:
    from emoact.causes import patterns
    from emoact.causes.patterns import PatternsRequest, prepare_patterns

    fields = {**cause_fields(arguments), "emotion": arguments.emotion}
    request = PatternsRequest(**fields, budget_mb=arguments.budget)
    return answer(prepare_patterns(request), patterns, arguments)


def _ablate(arguments: argparse.Namespace) -> int:
    from emoact.causes import ablate
    from emoact.causes.ablate import AblateRequest, AblateSettings, prepare_ablate

    parts: Sequence[PartKind] = arguments.part or ("direction", "layer", "mlp", "head")
    settings = AblateSettings(
        **values_of(arguments, "emotion", "layer", "by", "neutral", "seed"),
        parts=tuple(dict.fromkeys(parts)),
        at=tuple(dict.fromkeys(arguments.at or ())),
        n_sentences=arguments.sentences,
        words=tuple(dict.fromkeys(arguments.word or ())),
    )
    request = AblateRequest(**cause_fields(arguments), settings=settings)
    return answer(prepare_ablate(request), ablate, arguments)


def _steer(arguments: argparse.Namespace) -> int:
    from emoact.causes import steer_result
    from emoact.causes.steer import SteerRequest, prepare_steer

    def given(name: str) -> tuple[Any, ...] | None:
        values = getattr(arguments, name)
        return None if values is None else tuple(dict.fromkeys(values))

    pairs = [str(each).partition("=") for each in arguments.prefix or ()]
    request = SteerRequest(
        **cause_fields(arguments),
        **values_of(arguments, "neutral", "pooling", "seed"),
        emotions=given("emotion"),
        layers=given("layer"),
        doses=given("dose"),
        control_doses=given("control_dose"),
        n_random=arguments.random,
        n_shuffled=arguments.shuffled,
        n_sentences=arguments.sentences,
        prefixes={label: sentence for label, _, sentence in pairs},
    )
    return answer(prepare_steer(request), steer_result, arguments)


def answer(prepared: Prepared, words: ModuleType, arguments: argparse.Namespace) -> int:
    """Print the result; where there is none yet, start its run and follow it.

    `words` shows the kind of result: `sentences_of` and `table_of`.
    """
    from emoact.causes.saved import read_cause
    from emoact.jobs.launch import start
    from emoact.store.layout import ResultsRoot

    if prepared.existing is not None:
        _print(prepared.existing, words, arguments)
        return 0
    say(prepared.cost)

    def finish(view: RunView) -> None:
        found = read_cause(ResultsRoot(arguments.results), prepared.kind, prepared.id)
        if found is not None:
            _print(found, words, arguments)
        else:
            say(f"{view.made[0].path} is gone")

    config = prepared.config
    return start_and_follow(arguments, config.run_id, lambda: start(config), finish=finish)


def _print(saved: SavedCause, words: ModuleType, arguments: argparse.Namespace) -> None:
    said = words.sentences_of(saved)
    print_answer({**saved.document, "sentences": said}, said, words.table_of(saved), arguments)


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
