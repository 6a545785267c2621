"""Units that a question about causes is asked of, and what they must allow."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from emoact.causes.asked import Checked, basis_of, option
from emoact.causes.contributions import Target
from emoact.decode import encode, sha256_of
from emoact.errors import RequestError
from emoact.jobs.controls import model_of
from emoact.models.alike import ModelRequest
from emoact.models.resolve import resolve_model
from emoact.positions import Pooling
from emoact.sites import SiteName
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read_named
from emoact.store.unit import Unit


@dataclass(frozen=True, kw_only=True)
class CauseRequest(Checked):
    """A request about causes; `model`: a folder or its model, None for the only one there is."""

    results: str | os.PathLike[str] = option("--results", "results", names=False)
    model: str | None = option("--model", None, names=False)
    run_id: str | None = option("--run-id", None, said=False, names=False)
    allow_pickle_weights: bool = option("--allow-pickle-weights", False, said=False, names=False)

    @property
    def root(self) -> ResultsRoot:
        """The results folder."""
        return ResultsRoot(self.results)

    @property
    def labels(self) -> tuple[str, ...] | None:
        """Classes whose files are read; None for all."""
        return None

    @property
    def about(self) -> tuple[str, ...] | None:
        """Classes that the run is about; None for those of the files."""
        return self.labels

    @property
    def own(self) -> dict[str, Any]:
        """What is asked of the files, in plain JSON."""
        shared = {each.name for each in dataclasses.fields(CauseRequest)}
        return {name: each for name, each in encode(self).items() if name not in shared}

    def units(self) -> tuple[Unit, ...]:
        """The files that are read.

        Raises:
            RequestError: A name is unknown, or these files do not allow the question.
        """
        return units_of(self.root, self.model, self.labels)

    def model_of(self, units: Sequence[Unit], *sites: SiteName) -> ModelRequest:
        """The model of these files, with the sites to read.

        Raises:
            RequestError: The files do not say how they were made, or it is not installed.
        """
        return model_of(units, self.root, sites, self.allow_pickle_weights)

    def raw_model_of(self, units: Sequence[Unit], *sites: SiteName) -> ModelRequest:
        """The same of a question about what the layers add, which needs unprocessed weights."""
        model = self.model_of(units, *sites)
        check_raw(model, units[0].folder)
        return model


@dataclass(frozen=True, kw_only=True)
class DirectionRequest(CauseRequest):
    """A request about one direction."""

    emotion: str = option("--emotion")
    target: Target

    @property
    def neutral(self) -> str:
        """The class that the direction is measured from."""
        return str(self.own["settings"]["neutral"])

    @property
    def labels(self) -> tuple[str, str]:
        """The emotion, and the class that it is measured from."""
        return self.emotion, self.neutral

    def units(self) -> tuple[Unit, ...]:
        """The files of both classes; `RequestError` if these cannot have the pooling."""
        return direction_units(self.root, self.model, self.emotion, self.neutral, self.target)


def units_of(
    root: ResultsRoot, model: str | None, labels: Sequence[str] | None = None
) -> tuple[Unit, ...]:
    """Units of a model: of the labels in their order, or of all classes.

    Raises:
        RequestError: There is no such model or class, or several models where none is named.
    """
    there: dict[str, dict[str, str]] = {}
    for folder, emotion, path in root.units():
        there.setdefault(folder, {})[emotion] = path.name
    if not there:
        raise RequestError(
            f"there are no activations in {root.path}",
            remedy="`emoact extract --model smollm2-135m` makes some.",
        )
    if model is None and len(there) > 1:
        raise RequestError(
            f"there are several models in {root.path}: {', '.join(there)}",
            remedy="Name one with --model.",
        )
    folder = next(iter(there)) if model is None else model
    if folder not in there:
        with suppress(RequestError):
            folder = resolve_model(folder).folder
    if folder not in there:
        raise RequestError(
            f"there are no activations of {model} in {root.path}; models are {', '.join(there)}",
            remedy=f"`emoact extract --model {model}` makes some.",
        )
    names = there[folder]
    for label in labels or ():
        if label not in names:
            raise RequestError(f"{folder} has no class {label!r}; it has {', '.join(names)}")
    return tuple(read_named(root, folder, names[label]) for label in labels or names)


def direction_units(
    root: ResultsRoot, model: str | None, emotion: str, neutral: str, target: Target
) -> tuple[Unit, ...]:
    """The units of a direction, the emotion first.

    Raises:
        RequestError: A name is unknown, or these files cannot have the pooling.
    """
    if emotion == neutral:
        raise RequestError(f"{emotion!r} cannot be contrasted with itself")
    units = units_of(root, model, (emotion, neutral))
    check_pooling(target.pooling, units)
    return units


def named_by(version: int, units: Sequence[Unit], request: CauseRequest) -> dict[str, Any]:
    """Basis of a result, which names it: version of the method, prompts, and the question.

    Activations are not part of it; they follow from these.
    """
    return {
        "method_version": version,
        "folder": units[0].folder,
        **basis_of(request),
        "units": {unit.emotion: _digest(unit) for unit in units},
    }


def _digest(unit: Unit) -> str:
    """Hash of everything about a unit that decides its activations, and of its scenarios."""
    prompts = [[prompt.get("id"), prompt.get("scenario_id")] for prompt in unit.prompts or ()]
    return sha256_of(
        {
            "configuration": unit.made,
            "content": [list(span) for span in unit.content],
            "tokens": [[int(token) for token in ids] for ids in unit.tokens],
            "prompts": prompts,
        }
    )


def check_pooling(pooling: Pooling, units: Sequence[Unit]) -> None:
    """Raise `RequestError` for a pooling that a prompt alone, or these files, do not have."""
    if pooling == "mean_typical":
        raise RequestError(
            "pooling is mean_typical, which needs every layer of all prompts of a class; a prompt "
            "alone has none",
            remedy="Take --pooling mean_content.",
        )
    if pooling == "mean_response" and any(unit.response_spans is None for unit in units):
        raise RequestError(
            f"pooling is mean_response, and the files of {units[0].folder} hold no responses",
            remedy="Extract with --generate, or take another --pooling.",
        )


def check_raw(model: ModelRequest, folder: str) -> None:
    """Raise `RequestError` for files whose processing changes what the layers add."""
    if model.options.processing != "raw":
        raise RequestError(
            f"the files of {folder} were made with the processing {model.options.processing}, "
            "which changes what the layers add",
            remedy="Extract with --processing raw.",
        )
