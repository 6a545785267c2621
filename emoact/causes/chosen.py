"""Units that a question about causes is asked of, and what they must allow."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

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
class CauseRequest:
    """A request about causes; `model`: a folder or its model, None for the only one there is."""

    results: str | os.PathLike[str] = "results"
    model: str | None = None
    run_id: str | None = None
    allow_pickle_weights: bool = False

    @property
    def root(self) -> ResultsRoot:
        """The results folder."""
        return ResultsRoot(self.results)

    def model_of(self, units: Sequence[Unit], *sites: SiteName) -> ModelRequest:
        """The model of these files, with the sites to read.

        Raises:
            RequestError: The files do not say how they were made, or it is not installed.
        """
        return model_of(units, self.root, sites, self.allow_pickle_weights)


def cause_words(name: str, results: str | os.PathLike[str], model: str | None) -> list[str]:
    """Words that every shell command about causes begins with."""
    return [name, "--results", os.fspath(results), *(["--model", model] if model else [])]


@dataclass(frozen=True, kw_only=True)
class DirectionRequest(CauseRequest):
    """A request about one direction."""

    emotion: str
    target: Target

    def units(self, neutral: str) -> tuple[Unit, ...]:
        """The files of the emotion and of the class that it is measured from.

        Raises:
            RequestError: A name is unknown, or these files cannot have the pooling.
        """
        return direction_units(self.root, self.model, self.emotion, neutral, self.target)

    def words_of(self, name: str, own: Sequence[str]) -> list[str]:
        """Words of the shell command of a request with these options of its own."""
        words = direction_words(name, self.results, self.model, self.emotion, encode(self.target))
        return [*words, *own]


def direction_words(
    name: str,
    results: str | os.PathLike[str],
    model: str | None,
    emotion: str,
    target: Mapping[str, Any],
) -> list[str]:
    """Words of a shell command about a direction, whose place is encoded."""
    words = [*cause_words(name, results, model), "--emotion", emotion]
    words += ["--layer", str(target["layer"]), "--site", target["site"]]
    return [*words, "--pooling", target["pooling"]]


@dataclass(frozen=True, kw_only=True)
class DirectionWork:
    """Task of a run about one direction. `units`: file names of the emotion and of neutral."""

    folder: str
    units: tuple[str, str]
    emotion: str
    target: Target


def direction_work(units: Sequence[Unit], request: DirectionRequest) -> dict[str, Any]:
    """Fields of a `DirectionWork` on the units of the emotion and of neutral."""
    return {
        "folder": units[0].folder,
        "units": (units[0].path.name, units[1].path.name),
        "emotion": request.emotion,
        "target": request.target,
    }


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


def named_by(version: int, units: Sequence[Unit], **own: Any) -> dict[str, Any]:
    """Basis of a result, which names it: version of the method, prompts, and the question.

    Activations are not part of it; they follow from these.
    """
    digests = {unit.emotion: _digest(unit) for unit in units}
    return {
        "method_version": version,
        "folder": units[0].folder,
        **{name: encode(value) for name, value in own.items()},
        "units": digests,
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
