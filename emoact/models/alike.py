"""Model and settings for further texts: those of saved files, or a refusal that says why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emoact.errors import EmoactError, RequestError
from emoact.models.registry import (
    configured,
    find_spec,
    is_local,
    parse_hub_folder,
    split_configured,
)
from emoact.models.resolve import resolve_model
from emoact.models.source import ModelSource
from emoact.schema import ChatFormat, ExtractionOptions
from emoact.sites import SiteName


@dataclass(frozen=True, kw_only=True)
class Loading:
    """What decides what is in memory; `commit`: that of a repository, or the hash of the files."""

    folder: str
    commit: str | None
    processing: str
    dtype: str
    device: str
    allow_pickle_weights: bool

    @classmethod
    def of(
        cls, folder: str, commit: str | None, options: ExtractionOptions, allow_pickle: bool
    ) -> Loading:
        """The part of a request that loading depends on."""
        return cls(
            folder=folder,
            commit=commit,
            processing=options.processing,
            dtype=options.dtype,
            device=options.device,
            allow_pickle_weights=allow_pickle,
        )


@dataclass(frozen=True, kw_only=True)
class ModelRequest:
    """A model with the settings for further texts.

    Attributes:
        model: What resolves to it: a short name, a hub id with its revision, or a path.
    """

    model: str
    folder: str
    commit: str | None
    options: ExtractionOptions
    allow_pickle_weights: bool = False

    @property
    def loading(self) -> Loading:
        """Settings that decide how the model is loaded."""
        return Loading.of(self.folder, self.commit, self.options, self.allow_pickle_weights)


def installed_source(request: ModelRequest) -> ModelSource:
    """The model of a request, which must still be installed as it was.

    Raises:
        RequestError: It cannot be found.
        EmoactError: It is no longer installed as it was.
    """
    source = resolve_model(request.model, allow_pickle_weights=request.allow_pickle_weights)
    if not source.installed or (source.folder, source.commit) != (request.folder, request.commit):
        raise EmoactError(
            f"{source.name} is no longer installed as it was",
            remedy=f"`emoact models install {source.name}` installs it.",
        )
    return source


def request_like(
    folder: str,
    configuration: Mapping[str, Any] | None,
    sites: Sequence[SiteName],
    *,
    name: str | None = None,
    allow_pickle_weights: bool = False,
) -> ModelRequest:
    """A request for the model and the settings that saved files were made with.

    All of the files record this configuration. `name` resolves to the model, where that is known;
    else the folder says it.

    Raises:
        RequestError: The files record no configuration, or another version of their model, or none,
            is installed.
    """
    if configuration is None:
        raise RequestError(
            f"the files of {folder} do not say how they were made, so no other text can be treated "
            "in the same way",
            remedy="Extract them again with emoact.",
        )
    name = name or _name(folder)
    source = resolve_model(name, allow_pickle_weights=allow_pickle_weights)
    if not source.installed:
        raise RequestError(
            f"{source.name} is not installed here",
            remedy=f"`emoact models install {source.name}` installs it.",
        )
    _compare(source, configuration)
    bos, chat = configuration["bos"], ChatFormat.of(configuration.get("chat"))
    prepended = isinstance(bos, Mapping) and bos.get("prepended")
    return ModelRequest(
        model=name,
        folder=folder,
        commit=source.commit,
        options=ExtractionOptions(
            bos="prepend" if prepended or chat is not None else "none",
            processing=configuration["processing"],
            dtype=configuration["dtype"],
            sites=tuple(sites),
            chat=chat,
        ),
        allow_pickle_weights=allow_pickle_weights,
    )


def request_alike(
    folder: str,
    configurations: Sequence[Mapping[str, Any] | None],
    sites: Sequence[SiteName],
    *,
    name: str | None = None,
) -> ModelRequest:
    """A request for several files, which must have been made with the same settings.

    Raises:
        RequestError: Their settings differ, or as for `request_like`.
    """
    for configuration in configurations[1:]:
        check_alike(folder, configurations[0], configuration)
    return request_like(folder, configurations[0], sites, name=name)


def check_alike(
    folder: str,
    one: Mapping[str, Any] | None,
    other: Mapping[str, Any] | None,
    names: tuple[str, str] = ("one file", "another"),
) -> None:
    """Refuse two files that were made with different settings.

    Raises:
        RequestError: They were; names the first such setting with both values.
    """
    found = _difference(one or {}, other or {})
    if found is not None:
        field, *values = found
        said = [f"{value!r:.80}" if value is not None else "not recorded" for value in values]
        raise RequestError(
            f"the files of {folder} were not made alike: {field} is {said[0]} in {names[0]} and "
            f"{said[1]} in {names[1]}",
            remedy="Extract them again with one configuration.",
        )


def _difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """The first field that differs, with its path, and its values."""
    for field in dict.fromkeys((*one, *other)):
        first, second = one.get(field), other.get(field)
        if first != second:
            if isinstance(first, Mapping) and isinstance(second, Mapping):
                inner = _difference(first, second)
                if inner is not None:
                    return f"{field}.{inner[0]}", inner[1], inner[2]
            return field, first, second
    return None


def check_bos(bos: Mapping[str, Any], configuration: Mapping[str, Any]) -> None:
    """Raise `RequestError` if the loaded model's begin-of-sequence token is not the files' one."""
    saved = configuration["bos"]
    fields = ("prepended", "token_id")
    if any(bos.get(field) != saved.get(field) for field in fields):
        raise RequestError(
            f"the loaded model begins with {bos.get('token')!r} and the files with "
            f"{saved.get('token')!r}",
            remedy="Extract the files again with the model that is installed now.",
        )


def _name(folder: str) -> str:
    if find_spec(folder) is not None:
        return folder
    if is_local(folder):
        raise RequestError(
            f"{folder} came from a file or folder on this machine, whose path its files do not say",
            remedy="Extract from it once more, or choose a model of the registry or of the hub.",
        )
    parsed = parse_hub_folder(folder)
    if parsed is None:
        raise RequestError(f"{folder} names no model that emoact knows how to find")
    return configured(f"{parsed[0]}@{parsed[1]}", split_configured(folder)[1])


def _compare(source: ModelSource, configuration: Mapping[str, Any]) -> None:
    here = {
        "model_name": source.model_name,
        "revision": source.commit or source.revision,
        "weight_source": source.weight_source,
    }
    for field, value in here.items():
        if configuration.get(field) != value:
            raise RequestError(
                f"{field} of the files is {str(configuration.get(field))[:80]!r} and that of the "
                f"installed {source.name} is {str(value)[:80]!r}; other texts cannot be compared",
                remedy="Extract the files again with the model that is installed now.",
            )
