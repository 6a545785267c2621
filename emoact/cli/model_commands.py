"""`emoact models`: list of models, installation, and folder of a model."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emoact import numbers
from emoact.cli.output import ask_to_agree, print_either, print_json, print_table, say
from emoact.cli.parsing import add_command, add_list, add_options
from emoact.errors import RequestError

if TYPE_CHECKING:
    from emoact.models.source import ModelSource, OnStep, Step


def add(commands: Any) -> None:
    """Add `emoact models`."""
    models = add_command(
        commands,
        "models",
        about="List models, install one, or print the folder of one.",
        example="emoact models list",
        run=_list,
    )
    add_options(models, "--json")
    actions = models.add_subparsers(title="actions", metavar="ACTION")
    about = "List the models with a short name, and whether they are installed."
    add_list(actions, "models", about=about, run=_list)
    install = add_command(
        actions,
        "install",
        about="Download a model, and convert it if needed.",
        example="emoact models install smollm2-135m",
        run=_install,
    )
    install.add_argument("name", metavar="NAME", help="short name, hub id, or .gguf file")
    add_options(install, "--yes", "--json")
    path = add_command(
        actions,
        "path",
        about="Print the folder that a model is loaded from.",
        example="emoact models path smollm2-135m",
        run=_path,
    )
    path.add_argument("name", metavar="NAME", help="short name, hub id, folder or .gguf file")
    add_options(path, "--json")


def _list(arguments: argparse.Namespace) -> int:
    from emoact.models.resolve import list_models

    sources = list_models()
    if arguments.json:
        print_json({"models": [_document(source) for source in sources]})
        return 0
    rows = [
        [
            source.name,
            source.model_name,
            "" if source.shape is None else str(source.shape.n_layers),
            "" if source.shape is None else str(source.shape.d_model),
            "installed" if source.installed else f"needs {source.needs}",
        ]
        for source in sources
    ]
    print_table(["NAME", "HUB ID", "LAYERS", "D_MODEL", "STATE"], rows)
    return 0


def _document(source: ModelSource) -> dict[str, Any]:
    shape = source.shape
    return {
        "name": source.name,
        "hub_id": source.model_name,
        "installed": source.installed,
        "needs": source.needs,
        "download_bytes": source.download_bytes,
        "path": None if source.path is None else str(source.path),
        "folder": source.folder,
        "revision": source.revision,
        "commit": source.commit,
        "weight_source": source.weight_source,
        "terms": None if source.terms is None else source.terms.name,
        "family": None if shape is None else shape.model_type,
        "n_layers": None if shape is None else shape.n_layers,
        "d_model": None if shape is None else shape.d_model,
        "d_vocab": None if shape is None else shape.d_vocab,
    }


def _install(arguments: argparse.Namespace) -> int:
    from emoact.jobs.request import AgreementError, check_agreed
    from emoact.models.install import ensure_model
    from emoact.models.resolve import resolve_model

    source = resolve_model(arguments.name)
    try:
        check_agreed([source], assume_yes=arguments.yes)
    except AgreementError as question:
        ask_to_agree(question)
    ready = ensure_model(source, accept_terms=True, on_step=_teller())
    if ready.path is not None and ready.terms is not None:
        kept = [ready.path / Path(member).name for member in ready.terms.members]
        say(f"The {ready.terms.name} are kept in {kept[0]}.")
    print_either(_document(ready), arguments.json, str(ready.path))
    return 0


def _path(arguments: argparse.Namespace) -> int:
    from emoact.models.resolve import resolve_model

    source = resolve_model(arguments.name)
    print_either(_document(source), arguments.json, str(installed(source)))
    return 0


def installed(source: ModelSource) -> Path:
    """Folder of an installed model; `RequestError` for another one."""
    if source.path is None:
        raise RequestError(
            f"{source.name} is not installed",
            remedy=f"`emoact models install {source.name}` installs it.",
        )
    return source.path


def _teller() -> OnStep:
    """Function that prints each step once, and on a terminal its progress."""
    told = set()
    moving = sys.stderr.isatty()

    def on_step(
        step: Step, *, detail: str = "", done: float | None = None, total: float | None = None
    ) -> None:
        line = f"{step}: {detail}" if detail else step
        if line not in told:
            told.add(line)
            say(line)
        if moving and done is not None:
            of = f" of {numbers.size(total)}" if total else ""
            sys.stderr.write(f"\r\x1b[2K{numbers.size(done)}{of}")
            if total and done >= total:
                sys.stderr.write("\n")
            sys.stderr.flush()

    return on_step
