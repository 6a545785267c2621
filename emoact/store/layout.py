"""Paths below a results folder, and the names that are allowed there."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from emoact.decode import is_text
from emoact.errors import EmoactError, RequestError, as_request_error
from emoact.files import is_there, names_in
from emoact.schema import Finding, check_emotion
from emoact.store import protocol
from emoact.store.atomic import check_folder
from emoact.store.parts import Part

_FOLDER = re.compile(r"[A-Za-z0-9_=@~][A-Za-z0-9._=@~-]{0,199}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
# Device names on Windows, with any extension; results folders are shared through WSL.
_RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)
_LONGEST_NAME = 255
_LONGEST_PATH = 4096


class _Place:
    """Path below the root, checked each time that it is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, root: ResultsRoot, _owner: type) -> Path:
        return root.inside(self._name)


@dataclass(frozen=True, init=False)
class ResultsRoot:
    """A results folder, which need not exist; every path it gives stays inside, links followed."""

    path: Path

    def __init__(self, path: str | os.PathLike[str]) -> None:
        text = os.fspath(path)
        # A name that is not UTF-8 could stand in no document and on no page.
        odd = "\0" in text or not is_text(text)
        if not text or odd or len(os.fsencode(text)) > _LONGEST_PATH:
            raise RequestError(
                f"results folder {_shown(text)} is empty, too long, not UTF-8 or holds a NUL",
                remedy="Choose another folder with --results.",
            )
        object.__setattr__(self, "path", Path(text))

    activations = _Place("activations")
    """Folder of one folder per model."""
    runs = _Place("runs")
    """Folder of the run directories."""
    manifest = _Place("manifest.json")
    """The record of every acknowledged unit."""
    notes = _Place("notes.json")
    """Notes of people on runs and analyses."""
    folders = _Place("folders.json")
    """Names of the results folders that pages have made beside this one."""
    manifest_lock = _Place(".manifest.lock")
    """Held while the manifest is read, changed and replaced."""
    summaries = _Place("summaries")
    """Folder of the per-unit summaries that pages read."""
    analysis = _Place("analysis")
    """Folder of one folder per saved analysis."""
    causes = _Place("causes")
    """Folder of one folder per result about causes."""
    reports = _Place("reports")
    """Folder of the written reports."""
    datasets = _Place("datasets")
    """Folder of the data sets that were imported on a page."""
    partial = _Place(".partial")
    """Folder of work in progress; a run removes what it made there."""

    def run_dir(self, run_id: str) -> Path:
        """Directory of one run."""
        return self.inside("runs", check_id(run_id, kind="run id"))

    def analysis_dir(self, analysis_id: str) -> Path:
        """Directory of one saved analysis."""
        return self.inside("analysis", check_id(analysis_id, kind="analysis id"))

    def causes_dir(self, name: str) -> Path:
        """Directory of one result about causes."""
        return self.inside("causes", check_id(name, kind="id of a result about causes"))

    def controls_dir(self, key: str) -> Path:
        """Directory of the control extractions of one unit."""
        return self.inside("controls", check_id(key, kind="key of control extractions"))

    def file(self, name: str) -> Path:
        """A file by its path below the root, as the manifest and analyses name it."""
        return self.inside(*PurePosixPath(name).parts)

    def report_path(self, name: str) -> Path:
        """File of one written report."""
        return self.inside("reports", check_id(name, kind="report name"))

    def dataset_path(self, name: str) -> Path:
        """File of one imported data set."""
        return self.inside("datasets", check_id(name, kind="data set name"))

    def unit_name(self, folder: str, emotion: str, *, store: str | None = None) -> str:
        """Path of a unit's file relative to the root; its name in the manifest."""
        return "/".join(self._unit(folder, emotion, store))

    def unit_path(self, folder: str, emotion: str, *, store: str | None = None) -> Path:
        """File of one (model folder, emotion, part).

        Without `store`, the file that is there in the order of `STORES`, and that of the default
        store where none is. An emotion whose parts are there has the ending of theirs.
        """
        return self.inside(*self._unit(folder, emotion, store))

    def lock_path(self, folder: str, emotion: str) -> Path:
        """Held by the run that works on a unit."""
        _, folder, name = _unit_parts(folder, emotion, ".lock")
        return self.inside(".partial", ".locks", folder, name)

    def units(self) -> Iterator[tuple[str, str, Path]]:
        """Folder, label and path of every unit file on disk, in the order of their names.

        The label is the emotion, with its part where there are several.
        Files with other names are not units and are passed over.

        Raises:
            RequestError: A unit's folder or file is a link that leaves the root.
        """
        for folder in filter(is_folder_name, names_in(self.activations)):
            names = names_in(self.inside("activations", folder))
            named = filter(None, map(protocol.split_unit_file_name, names))
            for label in dict.fromkeys(label for label, _ in named):
                if _is_label(label):
                    yield folder, label, self.unit_path(folder, label)

    def closed(self) -> list[Finding]:
        """Folders of units that this user may not read."""
        models = [self.activations / name for name in names_in(self.activations)]
        return [
            Finding(
                code="folder_refused",
                severity="error",
                where=str(folder),
                message="this user may not read it",
                remedy="Give yourself the right to read it.",
            )
            for folder in (self.path, self.activations, *models)
            # Below a folder that may not be entered nothing is seen.
            if os.path.isdir(folder) and not os.access(folder, os.R_OK | os.X_OK)  # noqa: PTH112
        ]

    def check_writable(self) -> None:
        """Raise `RequestError` unless results can be written there; makes no missing folder."""
        place = self.path.absolute()
        while not os.path.lexists(place):
            place = place.parent
        try:
            check_folder(place)
        except EmoactError as error:
            raise as_request_error(error) from error

    def _unit(self, folder: str, emotion: str, store: str | None) -> tuple[str, str, str]:
        stores = protocol.STORES if store is None else (protocol.find_store(store),)
        places = [_unit_parts(folder, emotion, one.suffix) for one in stores]
        if len(places) == 1:
            return places[0]
        there = [one for one in places if is_there(self.path.joinpath(*one))]
        if not there and Part.of(emotion).count == 1:
            names = names_in(self.path.joinpath("activations", folder))
            there = [
                place
                for place, one in zip(places, stores, strict=True)
                if fnmatch.filter(names, protocol.unit_file_name(f"{emotion}.part-*", one.suffix))
            ]
        return there[0] if there else places[0]

    def labels_of(self, folder: str, emotion: str) -> list[str]:
        """Labels of the files of an emotion on disk: its own, and those of its parts."""
        names = names_in(self.inside("activations", check_folder_name(folder)))
        named = (protocol.split_unit_file_name(name) for name in names)
        labels = dict.fromkeys(each[0] for each in named if each is not None)
        return [label for label in labels if Part.of(label).emotion == emotion]

    def inside(self, *parts: str) -> Path:
        """A path below the root; `RequestError` if a link leads out of it."""
        path = self.path.joinpath(*parts)
        root, real = os.path.realpath(self.path), os.path.realpath(path)
        if real != root and not real.startswith(root.rstrip(os.sep) + os.sep):
            raise RequestError(
                f"{path} leads out of the results folder, to {real}; links inside a results "
                "folder must stay inside it",
                remedy="Remove the link, or choose the folder it leads to with --results.",
            )
        return path


def results_folders(environment: Mapping[str, str] = os.environ) -> list[str]:
    """The folders of `EMOACT_RESULTS`, in its order and each once; `results` when it is not set.

    The small example of a folder follows it where there is one.
    """
    # The colon of a URL separates no folders.
    named = re.split(rf"{os.pathsep}(?!//)", environment.get("EMOACT_RESULTS", ""))
    found = (results_folder(each) for each in named if each)
    folders = list(dict.fromkeys(found)) or ["results"]
    examples = [example_of(folder) for folder in folders if os.path.isdir(example_of(folder))]  # noqa: PTH112
    return list(dict.fromkeys([*folders, *examples]))


def results_folder(text: str) -> str:
    """The folder; of a URL on object storage that of its local copy.

    Raises:
        RequestError: The URL is none that emoact can use.
        EmoactError: The folder of the copy cannot be made.
    """
    if "://" not in text:
        return text
    from emoact.store.remote import local_copy

    return local_copy(text)


def example_of(results: str) -> str:
    """Results folder of the small example that a page makes beside a results folder."""
    return f"{results.rstrip('/')}-demo"


def is_folder_name(name: str) -> bool:
    """True when a model's folder may have this name."""
    return bool(_FOLDER.fullmatch(name)) and _is_portable(name)


def check_folder_name(name: str) -> str:
    """Return the name when a model's folder may be called so, else refuse it.

    Raises:
        RequestError: It is not one plain name of at most 200 ASCII letters, digits and `._=@~-`.
    """
    if not is_folder_name(name):
        raise RequestError(
            f"model folder {_shown(name)} cannot name a folder; allowed are 1 to 200 ASCII "
            "letters, digits and the characters . _ = @ ~ -, not starting with '.' or '-', not "
            "ending with '.', and no device name such as CON or NUL"
        )
    return name


def is_id(name: str) -> bool:
    """True when a run, an analysis or a file of one may have this name."""
    return bool(_ID.fullmatch(name)) and _is_portable(name)


def check_id(name: str, *, kind: str = "run id") -> str:
    """Return the id when it may name a file or folder, else refuse it.

    Raises:
        RequestError: It is not one plain name of at most 80 ASCII letters, digits and `._-`.
    """
    if not is_id(name):
        raise RequestError(
            f"{kind} {_shown(name)} is not allowed; 1 to 80 ASCII letters, digits and the "
            "characters . _ - are, starting with a letter or digit, not ending with '.', and no "
            "device name such as CON or NUL"
        )
    return name


def _unit_parts(folder: str, emotion: str, suffix: str) -> tuple[str, str, str]:
    part = Part.of(emotion)
    part = replace(part, emotion=check_emotion(part.emotion))
    name = protocol.unit_file_name(part.label, suffix)
    if len(name.encode()) > _LONGEST_NAME:
        raise RequestError(
            f"emotion label {_shown(emotion)} is too long for a file name: "
            f"{len(name.encode())} bytes, at most {_LONGEST_NAME} are allowed",
            remedy="Shorten the label in the data set.",
        )
    return "activations", check_folder_name(folder), name


def _is_label(label: str) -> bool:
    emotion = Part.of(label).emotion
    try:
        return check_emotion(emotion) == emotion
    except RequestError:
        return False


def _is_portable(name: str) -> bool:
    return not name.endswith(".") and not _RESERVED.fullmatch(name)


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 80 else text[:77] + "...")
