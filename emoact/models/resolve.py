"""Resolution of a model's name, id or path to a model on disk, or to the step that is missing.

torch is not imported here, so that a wrong request fails at once, also in the dashboard's process.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from emoact.errors import RequestError
from emoact.models.cache import converted_dir, file_sha256, is_converted
from emoact.models.hub import cached_snapshot, is_offline, remote_size
from emoact.models.registry import (
    REGISTRY,
    ModelSpec,
    PackagedModel,
    configured,
    content_folder,
    find_spec,
    hub_folder,
    split_configured,
)
from emoact.models.shape import read_config, shape_of_config, shape_of_gguf
from emoact.models.source import ModelSource
from emoact.models.weights import IncompleteError, count_parameters, weight_files

_HUB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")


def resolve_model(text: str, *, allow_pickle_weights: bool = False) -> ModelSource:
    """Model of a short name, a hub id with or without `@revision`, a folder or a GGUF file.

    Behind `~~` may stand a label, by which the files of one configuration of the model are kept
    apart from those of another.

    Raises:
        RequestError: No such model is available; says the places that were searched and the ways
            to get it. Takes a few seconds at most when the hub cannot be reached.
    """
    if not text or len(text) > 4096 or any(ord(character) < 32 for character in text):
        raise RequestError(f"model {text[:80]!r} is not a name, a hub id or a path")
    model, label = split_configured(text)
    if label and not Path(text).expanduser().exists():
        source = resolve_model(model, allow_pickle_weights=allow_pickle_weights)
        return replace(
            source,
            name=configured(source.name, label),
            folder=configured(source.folder, label),
        )
    spec = find_spec(text)
    if spec is not None and spec.packaged is not None:
        return _embedded(spec, spec.packaged)
    if spec is None:
        path = Path(text).expanduser()
        if text.endswith(".gguf"):
            return _gguf(path)
        looks_like_path = text.startswith((".", "/", "~")) or text.count("/") > 1
        if looks_like_path or (path / "config.json").is_file():
            return _local(path, allow_pickle_weights=allow_pickle_weights)
    hub_id, _, revision = (spec.hub_id if spec else text).partition("@")
    by_name = find_spec(hub_id)
    if by_name is not None and revision:
        hub_id = by_name.hub_id
    _check_hub_name(text, hub_id, revision if "@" in text else None)
    return _hub(hub_id, revision or "main", allow_pickle_weights=allow_pickle_weights)


def list_models() -> list[ModelSource]:
    """Every model of the registry, installed or not; uses no network."""
    return [
        _registered(spec) if spec.packaged is None else _embedded(spec, spec.packaged)
        for spec in REGISTRY
    ]


def _check_hub_name(text: str, hub_id: str, revision: str | None) -> None:
    if not _HUB_ID.fullmatch(hub_id) or ".." in hub_id or "--" in hub_id:
        raise RequestError(
            f"model {text!r} is neither a name of the registry, nor a hub id, nor a path that "
            f"exists; the registry has {', '.join(spec.name for spec in REGISTRY)}",
            remedy=_did_you_mean(text),
        )
    if revision is not None and (not _REVISION.fullmatch(revision) or ".." in revision):
        raise RequestError(
            f"model {text!r}: revision {revision!r} is not a branch, tag or commit",
            remedy="Write it as NAME@REVISION, for example gpt2@main.",
        )


def _did_you_mean(text: str) -> str:
    close = difflib.get_close_matches(text.lower(), [spec.name for spec in REGISTRY], n=1)
    hint = f"Did you mean {close[0]}? " if close and close[0] != text else ""
    return f"{hint}`emoact models list` shows what is installed."


def _embedded(spec: ModelSpec, packaged: PackagedModel) -> ModelSource:
    directory = converted_dir(packaged.gguf_sha256)
    source = ModelSource(
        name=spec.name,
        model_name=spec.hub_id,
        kind="embedded",
        folder=spec.name,
        revision=packaged.wheels[0].requirement,
        commit=packaged.gguf_sha256,
        weight_source=packaged.source,
        needs="install",
        download_bytes=packaged.n_bytes,
        shape=spec.shape,
        terms=packaged.terms,
    )
    if not is_converted(directory):
        return source
    shape = shape_of_config(read_config(directory), directory)
    return replace(source.ready(directory), shape=shape)


def _registered(spec: ModelSpec) -> ModelSource:
    # An incomplete download counts as missing here; extraction names the missing file.
    with suppress(RequestError):
        found = _cached(spec.hub_id, "main", allow_pickle_weights=False)
        if found is not None:
            return found
    return _to_download(spec.hub_id, "main")


def _hub(hub_id: str, revision: str, *, allow_pickle_weights: bool) -> ModelSource:
    try:
        found = _cached(hub_id, revision, allow_pickle_weights=allow_pickle_weights)
        if found is not None:
            return found
    except IncompleteError:
        # The download goes on where it was interrupted.
        if is_offline():
            raise
    size = remote_size(
        hub_id,
        revision,
        suggestion=_did_you_mean(hub_id),
        allow_pickle_weights=allow_pickle_weights,
    )
    source = _to_download(hub_id, revision)
    return replace(
        source,
        commit=size.commit,
        download_bytes=size.total,
        n_parameters=size.n_parameters,
    )


def _to_download(hub_id: str, revision: str) -> ModelSource:
    folder = hub_folder(hub_id, revision)
    spec = next((spec for spec in REGISTRY if spec.hub_id == hub_id), None)
    plain = hub_id if revision == "main" else f"{hub_id}@{revision}"
    return ModelSource(
        name=folder if find_spec(folder) is not None else plain,
        model_name=hub_id,
        kind="hub",
        folder=folder,
        revision=revision,
        commit=None,
        weight_source="Hugging Face hub",
        needs="download",
        shape=spec.shape if spec else None,
    )


def _cached(hub_id: str, revision: str, *, allow_pickle_weights: bool) -> ModelSource | None:
    """The model in the cache of the hub; None where it is not there."""
    snapshot = cached_snapshot(hub_id, revision)
    if snapshot is None:
        return None
    return replace(
        _to_download(hub_id, revision),
        commit=snapshot.name,
        path=snapshot,
        needs=None,
        shape=shape_of_config(read_config(snapshot), snapshot),
        n_parameters=count_parameters(
            weight_files(snapshot, allow_pickle_weights=allow_pickle_weights)
        ),
    )


def _local(path: Path, *, allow_pickle_weights: bool) -> ModelSource:
    if not path.is_dir():
        raise RequestError(
            f"model folder {path} does not exist"
            if not path.exists()
            else f"{path} is a file; a model is a Hugging Face directory or a .gguf file",
            remedy="Give a folder with config.json, tokenizer.json and *.safetensors.",
        )
    path = path.resolve()
    config = read_config(path)
    weights = weight_files(path, allow_pickle_weights=allow_pickle_weights)
    deciding = [path / "config.json", *weights]
    deciding += [file for file in sorted(path.glob("tokenizer*")) if file.is_file()]
    digest = hashlib.sha256()
    for file in deciding:
        digest.update(f"{file.name}\0{file_sha256(file)}\n".encode())
    sha256 = digest.hexdigest()
    return ModelSource(
        name=path.name,
        model_name=path.name,
        kind="local",
        folder=content_folder("local", path.name, sha256),
        revision="",
        commit=sha256,
        weight_source="local directory",
        path=path,
        shape=shape_of_config(config, path),
        n_parameters=count_parameters(weights),
    )


def _gguf(path: Path) -> ModelSource:
    if not path.is_file():
        raise RequestError(
            f"model file {path} does not exist"
            if not os.path.lexists(path)
            else f"{path} is not a regular file",
            remedy="Give the path of a .gguf file.",
        )
    path = path.resolve()
    sha256 = file_sha256(path)
    directory = converted_dir(sha256)
    source = ModelSource(
        name=path.name,
        model_name=path.name,
        kind="gguf",
        folder=content_folder("gguf", path.stem, sha256),
        revision="",
        commit=sha256,
        weight_source=f"dequantised from {path.name}",
        origin=path,
        needs="convert",
        shape=shape_of_gguf(path, sha256),
    )
    return source.ready(directory) if is_converted(directory) else source
