"""`emoact view`: the table of a view of the analysis pages, as the page shows it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from emoact.cli.output import print_json, print_table, write_table
from emoact.cli.parsing import add_command, add_options
from emoact.errors import RequestError

if TYPE_CHECKING:
    from emoact.views.view import Choice, View

_EXAMPLE = """\
emoact view
emoact view strength --choice model=smollm2-135m site=resid_pre measure=cv --csv strength.csv"""


def add(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "view",
        about="Write the table of a view of a saved analysis; without a name, list the views.",
        example=_EXAMPLE,
        run=_view,
    )
    about = "name of the view, as `view` in the address of its page"
    parser.add_argument("name", nargs="?", metavar="NAME", help=about)
    parser.add_argument(
        "--choice",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="choices as in the address of the page; a name that takes several values is repeated",
    )
    add_options(parser, "--analysis", "--csv", "--results", "--json")


def _view(arguments: argparse.Namespace) -> int:
    from emoact.analysis.listing import read_analysis
    from emoact.views import catalogue
    from emoact.views.analysed import Analysed, texts_in

    if arguments.name is None:
        _list(as_json=arguments.json)
        return 0
    views = {view.name: view for view in catalogue.of_analyses()}
    if arguments.name not in views:
        raise RequestError(
            f"there is no view {arguments.name!r} of an analysis; there are {', '.join(views)}",
            remedy="`emoact view` lists them with their choices.",
        )
    view = views[arguments.name]
    saved = read_analysis(arguments.results, arguments.analysis)
    source = Analysed(
        saved=saved, read=saved.table, texts=lambda model: texts_in(arguments.results, saved, model)
    )
    choice = checked_choice(view, source, _asked(arguments.choice))
    shown = view.show(source, choice)
    if arguments.json:
        print_json(
            {
                "view": view.name,
                "analysis": saved.id,
                "choice": dict(choice),
                "badges": list(saved.badges),
                "answer": [said for said in view.answer(source, choice, shown) if said],
                "caption": shown.caption,
                "rows": shown.table.astype(object).to_dict("records"),
            }
        )
    else:
        write_table(shown.table, arguments.csv, badges=saved.badges)
    return 0


def _list(*, as_json: bool) -> None:
    from emoact.views import catalogue

    rows = [
        (view.name, view.page, " ".join(control.name for control in view.controls), view.question)
        for view in catalogue.of_analyses()
    ]
    header = ("view", "page", "choices", "question")
    if as_json:
        print_json({"views": [dict(zip(header, row, strict=True)) for row in rows]})
    else:
        print_table(header, rows)


def _asked(words: Sequence[str]) -> dict[str, list[str]]:
    asked: dict[str, list[str]] = {}
    for word in words:
        name, found, value = word.partition("=")
        if not found:
            raise RequestError(
                f"{word!r} is no choice", remedy="Write NAME=VALUE, such as measure=cv."
            )
        asked.setdefault(name, []).append(value)
    return asked


def checked_choice(view: View[Any], source: Any, asked: Mapping[str, Sequence[str]]) -> Choice:
    """The choice of a view; `RequestError` if a name or a value is unknown to the view."""
    choice = view.choice(source, asked)
    unknown = [name for name in asked if name not in choice]
    if unknown:
        raise RequestError(
            f"the view {view.name} has no choice {unknown[0]!r}; it has {', '.join(choice)}"
        )
    for control in view.controls:
        wrong = control.unknown(asked.get(control.name, ()), source, choice)
        if wrong:
            allowed = ", ".join(map(str, control.allowed(source, choice)))
            raise RequestError(f"{control.name} is {wrong[0]!r}; allowed are {allowed}")
    return choice
