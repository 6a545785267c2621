"""Weight files of a Hugging Face directory: complete, counted, and small enough for the memory."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from emoact import numbers
from emoact.decode import read_json
from emoact.errors import EmoactError, RequestError
from emoact.files import check_header
from emoact.models.cache import MAX_RECORD_BYTES, RECORD, cache_root, file_sha256, keep
from emoact.models.source import ModelSource

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of a parameter in memory."""
_CGROUP = Path("/sys/fs/cgroup")
_SHA256 = re.compile("[0-9a-f]{64}")
_MAX_INDEX_BYTES = 50_000_000
_AGAIN = "The download is incomplete or damaged: delete that file and fetch the model again."


class IncompleteError(RequestError):
    """A weight file is missing or cut off."""


class ChangedWeightsError(EmoactError):
    """Weights are not those that were downloaded, converted or loaded before."""


def weight_files(directory: Path, *, allow_pickle_weights: bool = False) -> list[Path]:
    """Weight files that transformers loads from a Hugging Face directory, in its order.

    Only headers of safetensors files are read. Where a directory has `model.safetensors` and an
    index, or both of pickles, transformers takes the single file, and so the hash is of that.

    Raises:
        IncompleteError: One is missing, cut off, or lacks a tensor that the index says it has.
        RequestError: There are none, the index names other files than safetensors of its own
            folder, or they are pickles and `allow_pickle_weights` is False.
    """
    single = directory / "model.safetensors"
    if single.is_file():
        _tensors(single)
        return [single]
    index = directory / "model.safetensors.index.json"
    if index.is_file():
        places = _places(index)
        names = _present(directory, places)
        held = {name: _tensors(directory / name) for name in names}
        for tensor, name in places.items():
            if tensor not in held[name]:
                raise IncompleteError(
                    f"{index} says that {name} holds {tensor:.100}, which it does not",
                    remedy=_AGAIN,
                )
        return [directory / name for name in names]
    pickled = sorted(directory.glob("pytorch_model*.bin"))
    parts = directory / "pytorch_model.bin.index.json"
    if allow_pickle_weights and (directory / "pytorch_model.bin").is_file():
        return [directory / "pytorch_model.bin"]
    if allow_pickle_weights and parts.is_file():
        return [directory / name for name in _present(directory, _places(parts, ".bin"))]
    if pickled and not allow_pickle_weights:
        raise RequestError(
            f"{directory} has its weights as a pickle ({pickled[0].name}), which can run code",
            remedy="Convert them to safetensors, or pass --allow-pickle-weights if you trust them.",
        )
    raise IncompleteError(
        f"{directory} holds no weights (model.safetensors or its index with the parts)",
        remedy="A model directory holds config.json, tokenizer.json and *.safetensors, as "
        "`save_pretrained` writes them.",
    )


def _present(directory: Path, places: Mapping[str, str]) -> list[str]:
    """Names of an index, whose files are all there."""
    names = sorted(set(places.values()))
    # Unlike Path, it takes a name of any length.
    missing = [each for each in names if not os.path.isfile(directory / each)]  # noqa: PTH113
    if missing:
        raise IncompleteError(
            f"{directory} lacks {len(missing)} of {len(names)} weight files: {missing[0]:.100}",
            remedy="The download is incomplete; fetch the model again.",
        )
    return names


def _places(index: Path, suffix: str = ".safetensors") -> dict[str, str]:
    try:
        # Files of the hub's cache are links.
        found = read_json(index, limit=_MAX_INDEX_BYTES, follow=True)["weight_map"]
        places = {str(tensor): name for tensor, name in found.items()}
    except (KeyError, AttributeError, TypeError, RequestError) as error:
        raise RequestError(f"{index} is not a {suffix[1:]} index: {error!r}") from error
    for name in places.values():
        # A pickle among them would be loaded without being asked about.
        if not isinstance(name, str) or not name.endswith(suffix):
            raise RequestError(f"{index} names {name!r:.100}, which is not a {suffix[1:]} file")
        if Path(name).name != name:
            raise RequestError(f"{index} names a file outside its own folder: {name!r:.100}")
    return places


def _tensors(file: Path) -> Mapping[str, int]:
    # Imported here to keep page loads fast.
    from safetensors import SafetensorError, safe_open

    try:
        # Files of the hub's cache are links.
        check_header(file)
        with safe_open(file, framework="numpy") as tensors:
            names = tensors.keys()
            return {name: math.prod(tensors.get_slice(name).get_shape()) for name in names}
    except (OSError, SafetensorError, ValueError, TypeError, OverflowError) as error:
        raise IncompleteError(
            f"{file} is not a complete safetensors file: {error}", remedy=_AGAIN
        ) from error


def count_parameters(files: Sequence[Path]) -> int | None:
    """Number of parameters in weight files, or None for pickles."""
    if any(file.suffix != ".safetensors" for file in files):
        return None
    return sum(sum(_tensors(file).values()) for file in files)


def check_weights(source: ModelSource, files: Sequence[Path], *, again: bool = False) -> str:
    """Hash of the weights of an installed model, once they are known to be unchanged.

    A converted model has the hash of its conversion. In the cache of the hub a large file has the
    name of its hash; any other file of a commit keeps the hash of its first loading. `again` reads
    files whose hash is remembered.

    Returns:
        The SHA-256 of the only file, or of the names and hashes of several.

    Raises:
        ChangedWeightsError: A file has another hash.
        EmoactError: A file cannot be read.
    """
    hashes = {file.name: file_sha256(file, again=again) for file in files}
    for file in files:
        blob = file.resolve().name
        if source.kind == "hub" and _SHA256.fullmatch(blob) and blob != hashes[file.name]:
            raise _changed(file, hashes[file.name], "its download")
    found = next(iter(hashes.values()))
    if len(hashes) > 1:
        found = hashlib.sha256(json.dumps(sorted(hashes.items())).encode()).hexdigest()
    folder = files[0].parent
    if source.kind in ("embedded", "gguf"):
        recorded = read_json(folder / RECORD, limit=MAX_RECORD_BYTES)
        if not isinstance(recorded, dict) or recorded.get("weight_sha256") != found:
            raise _changed(files[0], found, "its conversion")
    elif source.kind == "hub" and _first_hash(folder, found) != found:
        raise _changed(files[0], found, "it was first loaded")
    return found


def _first_hash(snapshot: Path, found: str) -> str:
    """Hash of the weights of a snapshot at their first loading; now, where there was none."""
    state = snapshot.stat()
    # A snapshot that was downloaded again is another folder.
    named = json.dumps([str(snapshot.resolve()), state.st_ino, state.st_mtime_ns])
    memory = cache_root() / "weights" / hashlib.sha256(named.encode()).hexdigest()[:32]
    with suppress(OSError, ValueError):
        first = memory.read_text(encoding="ascii")
        if _SHA256.fullmatch(first):
            return first
    # Without the cache there is no comparison with an earlier loading.
    keep(memory, found)
    return found


def _changed(file: Path, found: str, since: str) -> ChangedWeightsError:
    return ChangedWeightsError(
        f"{file} has changed since {since} (SHA-256 {found})",
        remedy=f"Remove {file.parent} and install the model again, then extract again what was "
        "made since.",
    )


def check_memory(name: str, n_parameters: int | None, dtype: str) -> None:
    """Raise `RequestError`, with what would help, for weights that the free memory cannot hold."""
    free = free_memory()
    if n_parameters is None or free is None or n_parameters * BYTES[dtype] <= free:
        return
    half = n_parameters * BYTES["bfloat16"]
    fits = f"Pass --dtype bfloat16 ({numbers.size(half)}), or c" if half <= free else "C"
    raise RequestError(
        f"the weights of {name} take {numbers.size(n_parameters * BYTES[dtype])} in {dtype}, and "
        f"{numbers.size(free)} of memory are free",
        remedy=f"{fits}hoose a smaller model, close other programs, or use a machine with more "
        "memory.",
    )


def free_memory() -> int | None:
    """Bytes of memory that a new process can have, a container's limit included, or None."""
    found = [size for size in (_system_memory(), _container_memory()) if size is not None]
    return min(found, default=None)


def _system_memory() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        return None
    return None


def _container_memory() -> int | None:
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
        return None if limit == "max" else max(0, int(limit) - used)
    except (OSError, ValueError):
        return None
