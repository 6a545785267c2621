"""`emoact ablate`: what changes further up when a part of the model is taken out."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from emoact.cli.causes_following import answer
from emoact.cli.parsing import add_command, add_folder, add_number, add_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emoact.causes.ablate import PartKind


def add(commands: Any) -> None:
    """Add `emoact ablate`."""
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
    add_options(what, "--results")
    add_folder(what, required=False)
    what.add_argument(
        "--emotion", metavar="LABEL", required=True, help="class whose direction is read out"
    )
    add_number(
        what,
        "--layer",
        required=True,
        help="layer at whose input the direction is read out, from 1 on",
    )
    what.add_argument(
        "--part",
        action="append",
        choices=("direction", "directions", "layer", "mlp", "head", "group"),
        help="kind of part that is ablated, one at a time; repeatable (default: direction, layer, "
        "mlp and head); group: the heads that share keys and values; directions: the direction at "
        "all these layers at once",
    )
    add_number(
        what,
        "--at",
        action="append",
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
    run = parser.add_argument_group("run")
    add_options(run, "--allow-pickle-weights", "--run-id", "--detach", "--csv", "--json")


def _ablate(arguments: argparse.Namespace) -> int:
    from emoact.causes import ablate
    from emoact.causes.ablate import AblateRequest, AblateSettings, prepare_ablate

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
                words=tuple(dict.fromkeys(arguments.word or ())),
            ),
            run_id=arguments.run_id,
            allow_pickle_weights=arguments.allow_pickle_weights,
        )
    )
    return answer(prepared, ablate, arguments)
