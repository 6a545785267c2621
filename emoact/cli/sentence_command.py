"""`emoact sentence`: one sentence through an installed model, beside the saved classes."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from emoact.cli.output import nothing_in, print_json, print_line, print_table, say, write_table
from emoact.cli.parsing import add_command, add_options
from emoact.errors import RequestError
from emoact.sites import SiteName, site, vector_sites

if TYPE_CHECKING:
    import pandas as pd

    from emoact.host.client import Looked
    from emoact.stats.norms.sentence import NearClasses
    from emoact.store.summaries.measures import UnitMeasures

_TABLES = ("class", "token", "layer")


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
        choices=_TABLES,
        default="class",
        help="what a row is: a saved class and the distance to it; a token with its norm at a "
        "layer; a layer with the sentence's norm beside the classes'",
    )
    sentence.add_argument(
        "--site",
        choices=_known(),
        metavar="SITE",
        help=f"one of {', '.join(_known())} (default: the first that was saved)",
    )
    sentence.add_argument(
        "--layer",
        type=int,
        metavar="N",
        help="of distances, counted from 0 (default: the middle one)",
    )
    add_options(sentence, "--norm", help="kind of norm, by token and by layer")
    add_options(sentence, "--csv", "--json")


def _sentence(arguments: argparse.Namespace) -> int:
    from emoact.host.client import check_text, is_warm, look_at
    from emoact.models.alike import check_bos, request_alike

    text = check_text(arguments.text)
    units = _units(arguments.results, arguments.model)
    site = _site(units, arguments.site)
    own = [unit for unit in units if site in unit.sites]
    layer = _layer(own, site, arguments.layer)
    configurations = [unit.configuration for unit in units]
    # All sites, as the page asks for them, so that both are answered by one worker.
    request = request_alike(units[0].folder, configurations, _sites(units))
    if not is_warm(request):
        say(f"loading {request.model}; it stays for ten minutes after the last sentence")
    looked = look_at(request, text)
    check_bos(looked.bos, configurations[0] or {})
    table, near = _table(own, looked, site, layer, arguments)
    _tell(arguments, looked, table, near, {"model": units[0].folder, "site": site, "layer": layer})
    return 0


def _tell(
    arguments: argparse.Namespace,
    looked: Looked,
    table: pd.DataFrame,
    near: NearClasses | None,
    where: Mapping[str, Any],
) -> None:
    said = list(near.sentences()) if near else []
    if looked.random_weights:
        said.append("The weights are random; this says nothing about emotion.")
    if arguments.json:
        named = {"text": looked.text, "tokens": looked.token_strings, **where}
        rows = table.to_dict("records")
        print_json({**named, "sentences": said, "seconds": looked.seconds, "rows": rows})
    else:
        for line in said:
            say(line) if arguments.csv or arguments.by != "class" else print_line(line)
    if not (arguments.csv or arguments.json) and arguments.by == "class":
        print_table(list(table), [_cells(row) for row in table.to_dict("records")])
    elif arguments.csv or not arguments.json:
        write_table(table, arguments.csv)


def _cells(row: Mapping[str, Any]) -> list[str]:
    name, distance, share = row.values()
    return [str(name), f"{distance:.3f}", "" if share is None else f"{100 * share:.0f} %"]


def _table(
    units: Sequence[UnitMeasures],
    looked: Looked,
    site: SiteName,
    layer: int,
    arguments: argparse.Namespace,
) -> tuple[pd.DataFrame, NearClasses | None]:
    from emoact.stats.norms import sentence

    if arguments.by == "class":
        near = sentence.near_classes(units, site, layer, looked.arrays[f"{site}.pooled"][layer])
        if near is None:
            raise RequestError(
                f"no saved prompt has finite values of {site} at layer {layer}",
                remedy="Choose another --layer; `emoact verify` says what is wrong with the files.",
            )
        return near.frame(), near
    norms = sentence.sentence_norms(looked.arrays, site, arguments.norm)
    if arguments.by == "token":
        found = sentence.sentence_token_table(norms, looked.token_strings)
    else:
        found = sentence.sentence_layer_table(
            norms, looked.content_start, units, site, arguments.norm
        )
    return found, None


def _units(results: str, model: str | None) -> list[UnitMeasures]:
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
    return sorted(own, key=lambda unit: order.index(unit.emotion))


def _known() -> tuple[SiteName, ...]:
    """Sites that a sentence is compared at: with vectors, at every layer."""
    return tuple(name for name in vector_sites() if site(name).layers == "all")


def _sites(units: Sequence[UnitMeasures]) -> tuple[SiteName, ...]:
    saved = {name for unit in units for name in unit.sites}
    return tuple(name for name in _known() if name in saved)


def _site(units: Sequence[UnitMeasures], asked: SiteName | None) -> SiteName:
    sites = _sites(units)
    if asked is None and sites:
        return sites[0]
    if asked is None or asked not in sites:
        raise RequestError(
            f"{asked or 'a site'} was not saved for {units[0].folder}; there is "
            f"{', '.join(sites) or 'none'}",
            remedy="Choose one that was, or extract with --site.",
        )
    return asked


def _layer(units: Sequence[UnitMeasures], site: SiteName, asked: int | None) -> int:
    n_layers = min(unit.sites[site].n_layers for unit in units)
    if asked is None:
        return n_layers // 2
    if not 0 <= asked < n_layers:
        raise RequestError(f"--layer is {asked}; {units[0].folder} has layers 0 to {n_layers - 1}")
    return asked
