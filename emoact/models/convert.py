"""One-time conversion of a GGUF file to a plain Hugging Face directory."""

from __future__ import annotations

import contextlib
import copy
import fcntl
import json
import math
import shutil
import struct
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from emoact.errors import EmoactError
from emoact.models.cache import RECORD, cache_root, converted_dir, file_sha256, is_converted
from emoact.models.source import OnStep, silent


@contextlib.contextmanager
def install_lock(name: str, *, wait: bool = True) -> Iterator[None]:
    """Lock that lets one process at a time install the named entry of the cache.

    Raises:
        BlockingIOError: Another process has it, and `wait` is False.
        EmoactError: The cache cannot be written.
    """
    folder = cache_root() / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f"{name}.lock").open("w")
    except OSError as error:
        raise EmoactError(
            f"the cache folder {cache_root()} cannot be written ({error.strerror})",
            remedy="Set EMOACT_CACHE to a folder with 2 GB of free space.",
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def remove_leftovers() -> None:
    """Remove the folders that killed installations of any model left in the cache.

    Those of an installation at work stay: it holds the lock of its model.
    """
    places = {"": cache_root() / "models", "wheel-": cache_root() / "wheels"}
    for lock, folder in places.items():
        for abandoned in folder.glob(".*-*"):
            name = lock + abandoned.name[1:].rpartition("-")[0]
            with contextlib.suppress(EmoactError, BlockingIOError), install_lock(name, wait=False):
                shutil.rmtree(abandoned, ignore_errors=True)


def convert_gguf(
    gguf: Path,
    *,
    sha256: str,
    weight_source: str,
    beside: Sequence[Path] = (),
    on_step: OnStep = silent,
) -> Path:
    """Hugging Face directory of a GGUF file, converted on the first call.

    The hash names the directory, in which the files `beside` are kept, such as terms of use.
    `on_step` receives the number of bytes written and may raise to stop.

    Raises:
        EmoactError: transformers cannot read the file, or the cache cannot be written.
    """
    target = converted_dir(sha256)
    remove_leftovers()
    with install_lock(target.name):
        if is_converted(target):
            return target
        on_step("install", detail=f"reading the vocabulary of {gguf.name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            _write_directory(gguf, work, on_step=on_step)
            for file in beside:
                shutil.copy(file, work)
            weights = work / "model.safetensors"
            record = {
                "weight_source": weight_source,
                "gguf": gguf.name,
                "gguf_sha256": sha256,
                "weight_bytes": weights.stat().st_size,
                "weight_sha256": file_sha256(weights),
            }
            (work / RECORD).write_text(json.dumps(record, indent=2))
            if target.exists():
                shutil.rmtree(target)
            work.rename(target)
        except (OSError, ValueError, KeyError, NotImplementedError, RuntimeError) as error:
            raise EmoactError(
                f"{gguf.name} could not be converted: {error}",
                remedy="Check that its architecture is one that transformers reads from GGUF, and "
                f"that {cache_root()} has space for its float32 weights.",
            ) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return target


def _write_directory(gguf: Path, work: Path, *, on_step: OnStep) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    # In a folder of its own: transformers would add what lies beside the file, such as tokens.
    with _read_once(gguf) as parsed, tempfile.TemporaryDirectory() as alone:
        (Path(alone) / gguf.name).symlink_to(gguf.absolute())
        config = AutoConfig.from_pretrained(alone, gguf_file=gguf.name, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(alone, gguf_file=gguf.name, local_files_only=True)
    tokenizer.save_pretrained(work)
    del tokenizer
    # Only names and shapes are needed; on this device the weights take no memory.
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    # The bridge chooses its adapter by this name, which GGUF does not hold.
    config.architectures = [type(model).__name__]
    config.dtype = torch.float32
    config.save_pretrained(work)
    if model.can_generate():
        model.generation_config.save_pretrained(work)
    _write_weights(gguf, work / "model.safetensors", model, parsed, on_step=on_step)


@contextlib.contextmanager
def _read_once(path: Path) -> Iterator[dict[str, Any]]:
    """Parse the header once; transformers does so for the configuration and for the tokenizer."""
    import gguf
    from transformers import modeling_gguf_pytorch_utils

    from emoact.models.gguf_file import GgufFile

    # transformers has no argument for the parsed header or for another reader.
    library: Any = gguf
    reading: Any = modeling_gguf_pytorch_utils
    theirs = reading.load_gguf_checkpoint, library.GGUFReader
    library.GGUFReader = GgufFile
    try:
        parsed: dict[str, Any] = reading.load_gguf_checkpoint(path)
        reading.load_gguf_checkpoint = lambda *_, **__: copy.deepcopy({"config": parsed["config"]})
        yield parsed
    finally:
        reading.load_gguf_checkpoint, library.GGUFReader = theirs


def _write_weights(
    gguf: Path, path: Path, model: Any, parsed: dict[str, Any], *, on_step: OnStep
) -> None:
    """Write `model.safetensors` tensor by tensor, so that the model is never in memory."""
    from transformers import modeling_gguf_pytorch_utils

    from emoact.models.gguf_file import GgufFile, blocks

    reading: Any = modeling_gguf_pytorch_utils
    reader = GgufFile(gguf)
    architecture = str(reader.fields["general.architecture"].contents())
    processor = reading.TENSOR_PROCESSORS.get(architecture, reading.TensorProcessor)(
        config=parsed["config"]
    )
    names = reading.get_gguf_hf_weights_map(model, processor)
    # Tied weights are one parameter, under its first name.
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    parsed["tensors"] = {}
    with path.open("wb") as raw:
        file = _SafetensorsFile(raw, shapes)
        for tensor in reader.tensors:
            for values in blocks(tensor):
                on_step(
                    "install",
                    detail=f"converting {gguf.name}, once",
                    done=float(file.written),
                    total=float(file.total),
                )
                found = processor.process(
                    weights=values,
                    name=tensor.name,
                    tensor_key_mapping=names,
                    parsed_parameters=parsed,
                )
                file.add(names.get(found.name, ""), found.weights)
        # Experts are stacked by their processor, which returns no values for them.
        for name, stacked in parsed["tensors"].items():
            file.add(name, stacked.numpy())
        file.check_complete()


class _SafetensorsFile:
    """Safetensors file of float32 tensors that are written one after the other."""

    def __init__(self, file: BinaryIO, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._sizes = {name: 4 * math.prod(shape) for name, shape in shapes.items()}
        self._next: dict[str, int] = {}
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        start = 0
        for name, shape in shapes.items():
            self._next[name] = start
            offsets = [start, start + self._sizes[name]]
            header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": offsets}
            start += self._sizes[name]
        self._left = dict(self._sizes)
        encoded = json.dumps(header).encode()
        encoded += b" " * (-len(encoded) % 8)
        self._data_start = 8 + len(encoded)
        self.total = start
        self.written = 0
        self._file = file
        self._file.write(struct.pack("<Q", len(encoded)) + encoded)

    def add(self, name: str, values: np.ndarray) -> None:
        """Append values to a tensor, row by row; names of other tensors are ignored."""
        if name not in self._left:
            return
        raw = np.ascontiguousarray(values, dtype="<f4")
        self._file.seek(self._data_start + self._next[name])
        self._file.write(raw.data)
        self._next[name] += raw.nbytes
        self._left[name] -= raw.nbytes
        self.written += raw.nbytes

    def check_complete(self) -> None:
        """Raise ValueError unless every tensor has all of its values."""
        wrong = [name for name, left in self._left.items() if left]
        if wrong:
            raise ValueError(
                f"the file lacks values of {wrong[0]} ({len(wrong)} of {len(self._left)} tensors)"
            )
