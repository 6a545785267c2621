"""Weight files of a Hugging Face directory: complete, counted, and small enough for the memory."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from emoact import numbers
from emoact.errors import RequestError

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
"""Bytes of a parameter in memory."""
_CGROUP = Path("/sys/fs/cgroup")
_AGAIN = "The download is incomplete or damaged: delete that file and fetch the model again."


class IncompleteError(RequestError):
    """A weight file is missing or cut off."""


def weight_files(directory: Path, *, allow_pickle_weights: bool = False) -> list[Path]:
    """Weight files of a Hugging Face directory; reads the headers of safetensors files only.

    Raises:
        IncompleteError: One is missing, cut off, or lacks a tensor that the index says it has.
        RequestError: There are none, the index names other files than safetensors of its own
            folder, or they are pickles and `allow_pickle_weights` is False.
    """
    index = directory / "model.safetensors.index.json"
    if index.is_file():
        places = _places(index)
        names = sorted(set(places.values()))
        missing = [name for name in names if not (directory / name).is_file()]
        if missing:
            raise IncompleteError(
                f"{directory} lacks {missing[0]} ({len(missing)} of {len(names)} weight files)",
                remedy="The download is incomplete; fetch the model again.",
            )
        held = {name: _tensors(directory / name) for name in names}
        for tensor, name in places.items():
            if tensor not in held[name]:
                raise IncompleteError(
                    f"{index} says that {name} holds {tensor}, which it does not", remedy=_AGAIN
                )
        return [directory / name for name in names]
    single = directory / "model.safetensors"
    if single.is_file():
        _tensors(single)
        return [single]
    pickled = sorted(directory.glob("pytorch_model*.bin"))
    if pickled and allow_pickle_weights:
        return pickled
    if pickled:
        raise RequestError(
            f"{directory} has its weights as a pickle ({pickled[0].name}), which can run code",
            remedy="Convert them to safetensors, or pass --allow-pickle-weights if you trust them.",
        )
    raise IncompleteError(
        f"{directory} holds no weights (model.safetensors or its index with the parts)",
        remedy="A model directory holds config.json, tokenizer.json and *.safetensors, as "
        "`save_pretrained` writes them.",
    )


def _places(index: Path) -> dict[str, str]:
    """File name of each tensor."""
    try:
        found = json.loads(index.read_bytes())["weight_map"]
        places = {str(tensor): name for tensor, name in found.items()}
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise RequestError(f"{index} is not a safetensors index: {error!r}") from error
    for name in places.values():
        # A pickle among them would be loaded without being asked about.
        if not isinstance(name, str) or not name.endswith(".safetensors"):
            raise RequestError(f"{index} names {name!r}, which is not a safetensors file")
        if Path(name).name != name:
            raise RequestError(f"{index} names a file outside its own folder: {name!r}")
    return places


def _tensors(file: Path) -> Mapping[str, int]:
    """Number of parameters of each tensor in a safetensors file."""
    # Imported here to keep page loads fast.
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as tensors:
            names = tensors.keys()
            return {name: math.prod(tensors.get_slice(name).get_shape()) for name in names}
    except (OSError, SafetensorError) as error:
        raise IncompleteError(
            f"{file} is not a complete safetensors file: {error}", remedy=_AGAIN
        ) from error


def count_parameters(files: Sequence[Path]) -> int | None:
    """Number of parameters in weight files, or None for pickles."""
    if any(file.suffix != ".safetensors" for file in files):
        return None
    return sum(sum(_tensors(file).values()) for file in files)


def check_memory(name: str, n_parameters: int | None, dtype: str) -> None:
    """Return when weights fit into the memory that is free, or where one of the two is unknown.

    Raises:
        RequestError: They do not; says what would help.
    """
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
