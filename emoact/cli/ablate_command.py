"""`emoact ablate`: what changes further up when a part of the model is taken out."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from emoact.cli.following import start_and_follow
from emoact.cli.output import print_json, print_line, say, write_table
from emoact.cli.parsing import add_command, add_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emoact.causes.ablate import PartKind
    from emoact.causes.saved import SavedCause


def add(commands: Any) -> None:
    """Add `emoact ablate`."""
    parser = add_command(
        commands,
        "ablate",
        about="Take heads, MLPs, layers or the direction out one by one, and measure held-out "
        "sentences further up.",
        example="emoact ablate --model smollm2-135m --emotion apology --layer 15 --part layer\n"
        "emoact ablate --model smollm2-135m --emotion anger --layer 15 --at 14 --csv heads.csv",
        run=_ablate,
    )
    what = parser.add_argument_group("what")
    add_options(what, "--results")
    what.add_argument(
        "--model",
        metavar="NAME",
        help="a folder under activations, or the name it was extracted by; not needed where there "
        "is one model",
    )
    what.add_argument(
        "--emotion", metavar="LABEL", required=True, help="class whose direction is read out"
    )
    what.add_argument(
        "--layer",
        type=int,
        metavar="N",
        required=True,
        help="layer at whose input the direction is read out, from 1 on",
    )
    what.add_argument(
        "--part",
        action="append",
        choices=("direction", "layer", "mlp", "head", "group"),
        help="kind of part that is ablated, one at a time; repeatable (default: direction, layer, "
        "mlp and head); group: the heads that share keys and values",
    )
    what.add_argument(
        "--at",
        type=int,
        action="append",
        metavar="N",
        help="layer of the parts; repeatable (default: all before --layer)",
    )
    how = parser.add_argument_group("how")
    how.add_argument(
        "--by",
        choices=("zero", "mean", "resample"),
        default="mean",
        help="what stands in place of a part: nothing, its mean over neutral training prompts, or "
        "its mean over the neutral prompt of the same scenario",
    )
    add_options(how, "--neutral")
    how.add_argument(
        "--sentences",
        type=int,
        metavar="N",
        help="most test scenarios whose sentences are read out (default: all)",
    )
    add_options(how, "--seed")
    run = parser.add_argument_group("run")
    add_options(run, "--allow-pickle-weights", "--run-id", "--detach", "--csv", "--json")


def _ablate(arguments: argparse.Namespace) -> int:
    from emoact.causes.ablate import KIND, AblateRequest, AblateSettings, prepare_ablate
    from emoact.causes.saved import read_cause
    from emoact.jobs.launch import start
    from emoact.jobs.views import RunView
    from emoact.store.layout import ResultsRoot

    parts: Sequence[PartKind] = arguments.part or ("direction", "layer", "mlp", "head")
    prepared = prepare_ablate(
        AblateRequest(
            results=arguments.results,
            model=arguments.model,
            settings=AblateSettings(
                emotion=arguments.emotion,
                layer=arguments.layer,
                parts=tuple(dict.fromkeys(parts)),
                at=tuple(dict.fromkeys(arguments.at or ())),
                by=arguments.by,
                neutral=arguments.neutral,
                n_sentences=arguments.sentences,
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
    from emoact.causes.ablate import document, sentences_of, table_of

    if arguments.json:
        print_json(document(saved))
        return
    for sentence in sentences_of(saved):
        say(sentence) if arguments.csv else print_line(sentence)
    write_table(table_of(saved), arguments.csv)
