"""`emoact heads`, `lens`, `project` and `transfer`: what a direction is made of, and finds."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from emoact.cli.cause_commands import answer, print_answer
from emoact.cli.output import say
from emoact.cli.parsing import (
    RUN,
    add_class,
    add_command,
    add_number,
    add_options,
    add_sites,
    values_of,
)
from emoact.errors import RequestError
from emoact.sites import in_order, vector_sites

if TYPE_CHECKING:
    from emoact.causes.project import Along
    from emoact.host.client import Looked


def add(commands: Any) -> None:
    """Add the commands."""
    _add_transfer(commands)
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
    _add_direction(heads)
    about = "take the projection of one sentence apart, token by token, through the warm model"
    heads.add_argument("--text", metavar="TEXT", help=about)
    rows, about = ("component", "token"), "with --text, what a row of the table is"
    heads.add_argument("--by", choices=rows, default=rows[0], help=about)
    add_number(heads, "--permutations", 2000, help="relabellings within scenarios")
    add_options(heads, "--seed", *RUN)
    lens = add_command(
        commands,
        "lens",
        about="Read a direction through the final norm and the unembedding: the tokens that it "
        "raises and lowers most, beside random directions.",
        example="emoact lens --model smollm2-135m --emotion gratitude --layer 15",
        run=_lens,
    )
    _add_direction(lens)
    add_number(lens, "--random", 100, help="random directions, at least 20")
    add_number(lens, "--top", 10, help="tokens at each end")
    add_options(lens, "--seed", *RUN)
    project = add_command(
        commands,
        "project",
        about="Find the tokens and prompts that project most and least on a direction, over saved "
        "prompts or a text file of any size, or follow the projection along one sentence.",
        example="emoact project --model smollm2-135m --emotion gratitude --layer 15\n"
        "emoact project --model smollm2-135m --emotion gratitude --layer 15 --text 'Thank you!'\n"
        "emoact project --model smollm2-135m --emotion gratitude --layer 15 --file book.txt",
        run=_project,
    )
    _add_direction(project)
    what = project.add_mutually_exclusive_group()
    what.add_argument("--text", metavar="TEXT", help="one sentence, through the warm model")
    what.add_argument("--file", metavar="FILE", help="UTF-8 text, a passage a line; as a run")
    project.add_argument(
        "--by", choices=("token", "passage"), default="token", help="what a row of the table is"
    )
    add_number(project, "--top", 20, help="tokens and passages at each end")
    add_options(project, *RUN)


def _add_transfer(commands: Any) -> None:
    parser = add_command(
        commands,
        "transfer",
        about="Test directions and probes of one data set on another data set of the same model, "
        "beside classifiers of the texts.",
        example="emoact transfer --from results --to results_goemotions\n"
        "emoact transfer --from results --to results_goemotions --map apology=remorse --json",
        run=_transfer,
    )
    for name, dest, about in (("--from", "source", "train on"), ("--to", "target", "test on")):
        about = f"results folder to {about}"
        parser.add_argument(name, dest=dest, metavar="RESULTS", required=True, help=about)
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="LABEL=LABEL",
        help="label of the first folder and its counterpart in the second; repeatable (default: "
        "labels of the same name)",
    )
    about = "folder of the model (default: the one that both have)"
    parser.add_argument("--model", metavar="NAME", help=about)
    add_sites(parser, vector_sites(), "; repeatable (default: resid_pre)")
    add_options(parser, "--pooling", "--neutral", "--seed", "--csv", "--json")


def _add_direction(parser: argparse._ActionsContainer) -> None:
    add_class(parser, "class that the direction points to")
    add_options(parser, "--neutral")
    add_number(parser, "--layer", required=True, help="of the direction, counted from 0")
    streams = ("resid_pre", "resid_mid", "resid_post")
    parser.add_argument(
        "--site", choices=streams, default=streams[0], help="stream of the direction"
    )
    add_options(parser, "--pooling")


def _heads(arguments: argparse.Namespace) -> int:
    from emoact.causes.heads import HEADS
    from emoact.views.trajectory import Apart

    if arguments.text is not None:
        along, looked = _looked_along(arguments, apart=True)
        found = Apart(along=along, looked=looked)
        table = found.by_token if arguments.by == "token" else found.table
        return print_answer(found.document, found.sentences, table, arguments)
    if arguments.by == "token":
        raise RequestError("--by token is of one sentence", remedy="Name it with --text.")
    return answer(HEADS, arguments)


def _lens(arguments: argparse.Namespace) -> int:
    from emoact.causes.lens import LENS

    return answer(LENS, arguments)


def _project(arguments: argparse.Namespace) -> int:
    from emoact.causes import project
    from emoact.views.trajectory import Trajectory

    if arguments.file is not None:
        return answer(project.PROJECT, arguments)
    if arguments.text is not None:
        along, looked = _looked_along(arguments)
        found = Trajectory(along=along, looked=looked)
        return print_answer(found.document, found.sentences, found.table, arguments)
    saved = _along(arguments, n_top=arguments.top).document
    said = [project.said_of(saved)]
    table = project.table_by(saved, arguments.by)
    return print_answer({**saved, "sentences": said}, said, table, arguments)


def _along(arguments: argparse.Namespace, **how: Any) -> Along:
    from emoact.causes.asked import given
    from emoact.causes.contributions import Target
    from emoact.causes.project import along_saved
    from emoact.store.layout import ResultsRoot

    root, target = ResultsRoot(arguments.results), given(Target, arguments)
    return along_saved(root, arguments.model, arguments.emotion, arguments.neutral, target, **how)


def _looked_along(arguments: argparse.Namespace, *, apart: bool = False) -> tuple[Along, Looked]:
    """The direction of a command, and the answer of the model to its text.

    Raises:
        RequestError: The request is wrong.
        EmoactError: The model gave no answer.
    """
    from emoact.causes.chosen import check_raw
    from emoact.host.client import check_text, is_warm, look_at
    from emoact.models.alike import check_bos, request_like

    text = check_text(arguments.text)
    along = _along(arguments)
    target = along.target
    request = request_like(
        along.folder,
        along.configuration,
        target.sites if apart else (target.site,),
        allow_pickle_weights=arguments.allow_pickle_weights,
    )
    if apart:
        check_raw(request, along.folder)
    if not is_warm(request):
        say(f"loading {request.model}; it stays for ten minutes after the last sentence")
    place = (along.direction.unit, target.site, target.layer)
    looked = look_at(request, text, along=place, apart=apart)
    check_bos(looked.bos, along.configuration or {})
    return along, looked


def _transfer(arguments: argparse.Namespace) -> int:
    from emoact.analysis.transfer import TransferRequest, compute_transfer
    from emoact.views.transfer import label_pairs, sentences

    sites = in_order(arguments.site or ("resid_pre",))
    found = compute_transfer(
        TransferRequest(
            **values_of(arguments, "source", "target", "model", "pooling", "neutral", "seed"),
            labels=label_pairs(" ".join(arguments.map)),
            sites=sites,
        )
    )
    said = [sentence for site in sites for sentence in sentences(found, site)]
    document = {
        "from": arguments.source,
        "to": arguments.target,
        "labels": dict(found.labels),
        "left_out": list(found.left_out),
        "n_repeated": found.n_repeated,
        "n_shared_scenarios": found.n_shared_scenarios,
        "answer": said,
        **{name: table.to_dict("records") for name, table in found.tables.items()},
    }
    table = found.tables["transfer"] if arguments.csv else None
    return print_answer(document, list(dict.fromkeys(said)), table, arguments)
