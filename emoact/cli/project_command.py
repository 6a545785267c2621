"""`emoact project`: which tokens and texts lie where along a direction."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from emoact.cli.causes_following import answer
from emoact.cli.lens_command import add_direction, direction_fields
from emoact.cli.output import print_json, print_line, say, write_table
from emoact.cli.parsing import add_command, add_number, add_options

if TYPE_CHECKING:
    import pandas as pd

    from emoact.causes.project import Along
    from emoact.host.client import Looked
    from emoact.views.apart import Apart
    from emoact.views.trajectory import Trajectory


def add(commands: Any) -> None:
    """Add `emoact project`."""
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
    add_direction(project)
    what = project.add_mutually_exclusive_group()
    what.add_argument("--text", metavar="TEXT", help="one sentence, through the warm model")
    what.add_argument("--file", metavar="FILE", help="UTF-8 text, a passage a line; as a run")
    project.add_argument(
        "--by", choices=("token", "passage"), default="token", help="what a row of the table is"
    )
    add_number(project, "--top", default=20, help="tokens and passages at each end")
    add_options(project, "--allow-pickle-weights", "--run-id", "--detach", "--csv", "--json")


def _project(arguments: argparse.Namespace) -> int:
    from emoact.causes import project

    if arguments.file is not None:
        asked = project.ProjectRequest(
            **direction_fields(arguments),
            file=arguments.file,
            neutral=arguments.neutral,
            n_top=arguments.top,
        )
        return answer(project.prepare_project(asked), project, arguments)
    return _saved(arguments) if arguments.text is None else _text(arguments)


def _along(arguments: argparse.Namespace, **how: Any) -> Along:
    from emoact.causes.project import along_saved
    from emoact.store.layout import ResultsRoot

    root, target = ResultsRoot(arguments.results), direction_fields(arguments)["target"]
    return along_saved(root, arguments.model, arguments.emotion, arguments.neutral, target, **how)


def _saved(arguments: argparse.Namespace) -> int:
    from emoact.causes.project import said_of, table_by

    found = _along(arguments, n_top=arguments.top).document
    if arguments.json:
        print_json({**found, "sentences": [said_of(found)]})
        return 0
    say(said_of(found)) if arguments.csv else print_line(said_of(found))
    write_table(table_by(found, arguments.by), arguments.csv)
    return 0


def _text(arguments: argparse.Namespace) -> int:
    from emoact.views.trajectory import Trajectory

    along, looked = looked_along(arguments)
    found = Trajectory(along=along, looked=looked)
    return show(found, arguments, found.table)


def looked_along(arguments: argparse.Namespace, *, apart: bool = False) -> tuple[Along, Looked]:
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


def show(found: Trajectory | Apart, arguments: argparse.Namespace, table: pd.DataFrame) -> int:
    """Print what a text gave: JSON, or its sentences and a table."""
    if arguments.json:
        print_json(found.document)
        return 0
    for sentence in found.sentences:
        say(sentence) if arguments.csv else print_line(sentence)
    write_table(table, arguments.csv)
    return 0
