"""Units that a question about causes is asked of, and what they must allow."""

from __future__ import annotations

from collections.abc import Sequence

from emoact.decode import sha256_of
from emoact.errors import RequestError
from emoact.models.alike import ModelRequest
from emoact.models.resolve import resolve_model
from emoact.positions import Pooling
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read_named
from emoact.store.unit import Unit


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
        try:
            folder = resolve_model(folder).folder
        except RequestError:
            folder = str(model)
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


def unit_digest(unit: Unit) -> str:
    """Hash of everything about a unit that decides its activations, and of its scenarios."""
    made = {k: v for k, v in (unit.configuration or {}).items() if k != "dataset"}
    prompts = [[prompt.get("id"), prompt.get("scenario_id")] for prompt in unit.prompts or ()]
    return sha256_of(
        {
            "configuration": made,
            "content": [list(span) for span in unit.content],
            "tokens": [[int(token) for token in ids] for ids in unit.tokens],
            "prompts": prompts,
        }
    )


def check_pooling(pooling: Pooling, units: Sequence[Unit]) -> None:
    """Refuse a pooling that a prompt alone, or these files, do not have.

    Raises:
        RequestError: It is one of those.
    """
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
    """Refuse files whose processing changes what the layers add.

    Raises:
        RequestError: They were not made with raw weights.
    """
    if model.options.processing != "raw":
        raise RequestError(
            f"the files of {folder} were made with the processing {model.options.processing}, "
            "which changes what the layers add",
            remedy="Extract with --processing raw.",
        )
