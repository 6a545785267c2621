"""`emoact sentence`: one sentence through an installed model, beside the saved classes."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emoact.cli.output import nothing_in, print_json, print_line, print_table, say, write_table
from emoact.cli.parsing import add_command, add_number, add_options, add_sites, values_of
from emoact.errors import RequestError
from emoact.sites import site, vector_sites

if TYPE_CHECKING:
    from emoact.store.summaries.measures import UnitMeasures


def add(commands: Any) -> None:
    """Add `emoact sentence`."""
    sentence = add_command(
        commands,
        "sentence",
        about="Compare one sentence with the saved classes. The first one loads the model, "
        "which then stays for ten minutes.",
        example='emoact sentence "I am sorry that I broke it." --model smollm2-135m\n'
        'emoact sentence "I am sorry that I broke it." --by token --csv tokens.csv',
        run=_sentence,
    )
    sentence.add_argument("text", metavar="TEXT", help="the sentence, in quotes")
    sentence.add_argument(
        "--model",
        metavar="NAME",
        help="whose files: a folder under activations, or the name it was extracted by; not needed "
        "where there is one model",
    )
    add_options(sentence, "--results")
    sentence.add_argument(
        "--by",
        choices=("class", "token", "layer"),
        default="class",
        help="what a row is: a saved class and the distance to it; a token with its norm at a "
        "layer; a layer with the sentence's norm beside the classes'",
    )
    sites = [name for name in vector_sites() if site(name).layers == "all"]
    add_sites(sentence, sites, " (default: the first that was saved)", action="store")
    add_number(sentence, "--layer", help="of distances, counted from 0 (default: the middle one)")
    add_options(sentence, "--norm", help="kind of norm, by token and by layer")
    add_options(sentence, "--csv", "--json")


def _sentence(arguments: argparse.Namespace) -> int:
    from emoact.cli.view_command import checked_choice
    from emoact.host.client import check_text, is_warm, look_at
    from emoact.jobs.controls import known_as
    from emoact.models.alike import check_bos, request_alike
    from emoact.store.layout import ResultsRoot
    from emoact.views import sentence as views
    from emoact.views.activations import Activations

    text = check_text(arguments.text)
    units = _units(arguments.results, arguments.model)
    source = Activations(results=arguments.results, units=units)
    given = values_of(arguments, "site", "layer", "norm")
    asked = {name: [str(value)] for name, value in given.items() if value is not None}
    choice = checked_choice(views.SENTENCE, source, {"model": source.folders, **asked})
    configurations = [unit.configuration for unit in units]
    # All sites, as the page asks for them, so that both are answered by one worker.
    folder, made = units[0].folder, units[0].provenance
    name = known_as(ResultsRoot(arguments.results), folder, made)
    request = request_alike(folder, configurations, tuple(source.sites), name=name)
    if not is_warm(request):
        say(f"loading {request.model}; it stays for ten minutes after the last sentence")
    looked = look_at(request, text)
    check_bos(looked.bos, configurations[0] or {})
    source = dataclasses.replace(source, typed=looked)
    near = views.near(source, choice) if arguments.by == "class" else None
    view = {"token": views.SENTENCE_TOKENS, "layer": views.SENTENCE_LAYERS}.get(arguments.by)
    table = (view or views.SENTENCE).show(source, choice).table
    if not len(table):
        raise RequestError(
            f"no saved prompt has finite values of {choice['site'][0]} at layer {choice['layer']}",
            remedy="Choose another --layer; `emoact verify` says what is wrong with the files.",
        )
    said = list(near.sentences()) if near else []
    if looked.random_weights:
        said.append("The weights are random; this says nothing about emotion.")
    if arguments.json:
        print_json(
            {
                "text": looked.text,
                "tokens": looked.token_strings,
                "model": units[0].folder,
                "site": choice["site"][0],
                "layer": choice["layer"],
                "sentences": said,
                "seconds": looked.seconds,
                "rows": table.to_dict("records"),
            }
        )
    else:
        for line in said:
            say(line) if arguments.csv or arguments.by != "class" else print_line(line)
    if not (arguments.csv or arguments.json) and arguments.by == "class":
        print_table(list(table), [_cells(row) for row in table.to_dict("records")])
    elif arguments.csv or not arguments.json:
        write_table(table, arguments.csv)
    return 0


def _cells(row: Mapping[str, Any]) -> list[str]:
    name, distance, share = row.values()
    return [str(name), f"{distance:.3f}", "" if share is None else f"{100 * share:.0f} %"]


def _units(results: str, model: str | None) -> tuple[UnitMeasures, ...]:
    from emoact.models.resolve import resolve_model
    from emoact.store.summaries import measures_of
    from emoact.views.theme import emotion_order

    grid = measures_of(results)
    for problem in grid.problems:
        say(f"left out: {problem.where}: {problem.message}")
    folders = list(dict.fromkeys(unit.folder for unit in grid.units))
    if not folders:
        raise nothing_in(results, " to compare with")
    if model is None and len(folders) > 1:
        raise RequestError(
            f"there are several models in {results}: {', '.join(folders)}",
            remedy="Name one with --model.",
        )
    folder = folders[0] if model is None else model
    if folder not in folders:
        # Files may be here without the model that made them; what is missing is said below.
        with contextlib.suppress(RequestError):
            folder = resolve_model(folder).folder
    if folder not in folders:
        raise RequestError(
            f"there are no activations of {model} in {results}; there are {', '.join(folders)}",
            remedy=f"Name one of these, or `emoact extract --model {model}` makes some.",
        )
    own = [unit for unit in grid.units if unit.folder == folder]
    order = emotion_order(unit.emotion for unit in own)
    return tuple(sorted(own, key=lambda unit: order.index(unit.emotion)))
