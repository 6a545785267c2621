"""Making and saving a report, for the command line, the page and notebooks."""

from __future__ import annotations

import errno
import itertools
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

from emoact.decode import read_regular
from emoact.errors import RequestError
from emoact.files import is_there, names_in
from emoact.report.document import Document, to_html
from emoact.report.material import Material, gather
from emoact.report.parts_activations import activations
from emoact.report.parts_causes import causes, heads
from emoact.report.parts_data import data
from emoact.report.parts_models import conclusion, limits, models, overview, when
from emoact.report.parts_phase3 import phase3
from emoact.report.parts_technical import structure, technical, timing, verification
from emoact.report.words import FORMATS, Format, Words, words_of
from emoact.store.atomic import write_error
from emoact.store.layout import ResultsRoot
from emoact.store.locks import make_folder, sync_folder

STEPS = ("files", "findings", "audit", "analysis", "write")
"""Names of the steps that `on_step` gets, in order."""
_MOST_BYTES = 200_000_000


@dataclass(frozen=True, kw_only=True)
class MadeReport:
    """A report on disk."""

    path: Path
    files: tuple[Path, ...]
    size: int
    lang: str
    format: Format
    models: tuple[str, ...]
    n_files: int
    random_weights: bool

    def to_json(self) -> dict[str, Any]:
        """A mapping of plain scalars and lists."""
        return {
            "path": str(self.path),
            "files": [str(path) for path in self.files],
            "size": self.size,
            "lang": self.lang,
            "format": self.format,
            "models": list(self.models),
            "activation_files": self.n_files,
            "random_weights": self.random_weights,
        }


def make_report(
    results: str | os.PathLike[str] = "results",
    *,
    lang: str = "en",
    form: str = "html",
    out: str | os.PathLike[str] | None = None,
    now: datetime | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> MadeReport:
    """Write the report of a results folder, whole or not at all.

    Args:
        results: The folder.
        lang: `en` or `ja`.
        form: `html`, one file; or `md`, a file with its figures in a folder beside it.
        out: The file; by default one in `results/reports` named by the moment.
        now: The moment that it names as its own; by default this one.
        on_step: Called with the name of each step before it; may raise to cancel.

    Raises:
        RequestError: Language or format is unknown, or there is nothing to report on.
        EmoactError: The report cannot be written.
    """
    words = words_of(lang)
    chosen = next((known for known in FORMATS if known == form), None)
    if chosen is None:
        raise RequestError(f"format is {form!r}; allowed are {', '.join(FORMATS)}")
    made = now or datetime.now(UTC)
    target = (
        report_path(results, lang=words.lang, form=chosen, made=made) if out is None else Path(out)
    )
    # Gathering takes up to a minute, which nobody should wait for a refusal.
    nearest = next(place for place in target.absolute().parents if is_there(place))
    if not os.access(nearest, os.W_OK):
        raise write_error(PermissionError(errno.EACCES, "Permission denied"), path=target)
    material = gather(results, on_step=on_step)
    on_step("write")
    document = compose(material, words, made=made)
    if chosen == "html":
        files = {target: to_html(document, labels=material.emotions)}
    else:
        folder = target.with_name(f"{target.stem}_figures")
        files = {
            folder / f"{figure.name}.svg": figure.svg(material.emotions) + "\n"
            for figure in document.figures
        }
        # Last, so that a report never stands there without its figures.
        files[target] = document.markdown(folder.name)
    _write(files, target)
    return MadeReport(
        path=target,
        files=tuple(files),
        size=sum(len(text.encode()) for text in files.values()),
        lang=words.lang,
        format=chosen,
        models=material.folders,
        n_files=len(material.units),
        random_weights=any(unit.random_weights for unit in material.units),
    )


def report_path(
    results: str | os.PathLike[str], *, lang: str, form: Format, made: datetime
) -> Path:
    """Default path of a report; a name that is taken gets a number."""
    root, stem = ResultsRoot(results), f"report-{made.astimezone(UTC):%Y%m%d-%H%M%S}-{lang}"
    endings = itertools.chain([""], (f"-{number}" for number in itertools.count(2)))
    paths = (root.report_path(f"{stem}{ending}.{form}") for ending in endings)
    return next(path for path in paths if not os.path.lexists(path))


def compose(material: Material, words: Words, *, made: datetime) -> Document:
    """The report; everything in it but `made` follows from the material."""
    return Document(
        lang=words.lang,
        title=words("title"),
        subtitle=words(
            "subtitle",
            folder=PurePath(material.results).name,
            models=words.joined(material.folders),
        ),
        contents=words.plain("contents"),
        sections=(
            when(material, words, made),
            overview(material, words),
            *models(material, words),
            *data(material, words),
            *activations(material, words),
            structure(material, words),
            timing(material, words),
            *technical(material, words),
            verification(material, words),
            *phase3(material, words),
            *heads(material, words),
            *causes(material, words),
            limits(material, words),
            conclusion(material, words),
        ),
    )


def _write(files: Mapping[Path, str], target: Path) -> None:
    """Write all files beside their places, and only then put them there, the target last.

    Figures that the report in its place names, and this one does not, are removed.
    """
    stale = _stale(files, target)
    try:
        make_folder(target.parent)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as beside:
            ready = {path: Path(beside) / f"{number}" for number, path in enumerate(files)}
            for path, text in files.items():
                with ready[path].open("xb") as file:
                    file.write(text.encode())
                    file.flush()
                    os.fsync(file.fileno())
            for path in files:
                make_folder(path.parent)
                ready[path].replace(path)
                sync_folder(path.parent)
        for path in stale:
            path.unlink(missing_ok=True)
    except OSError as error:
        need = sum(len(text.encode()) for text in files.values())
        raise write_error(error, path=target, need=need) from error


def _stale(files: Mapping[Path, str], target: Path) -> list[Path]:
    """Figures of the report in the target's place that the new one does not have.

    Raises:
        RequestError: A figure would take the place of a file that is none of that report.
    """
    folder = target.with_name(f"{target.stem}_figures")
    there = [folder / name for name in names_in(folder) if name.endswith(".svg")]
    before = ""
    if there and is_there(target):
        before = read_regular(target, limit=_MOST_BYTES).decode(errors="replace")
    known = [path for path in there if f"]({folder.name}/{path.name})" in before]
    foreign = [path for path in there if path in files and path not in known]
    if foreign or (folder.is_symlink() and len(files) > 1):
        raise RequestError(
            f"{foreign[0] if foreign else folder} is no figure of an earlier report",
            remedy="Choose another --out.",
        )
    return [path for path in known if path not in files]
