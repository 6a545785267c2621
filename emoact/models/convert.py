"""One-time conversion of a GGUF file to a plain Hugging Face directory."""

from __future__ import annotations

import contextlib
import copy
import fcntl
import functools
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emoact.errors import EmoactError
from emoact.models.cache import RECORD, cache_root, converted_dir, file_sha256, is_converted
from emoact.models.source import OnStep, silent


@contextlib.contextmanager
def install_lock(name: str) -> Iterator[None]:
    """Lock that lets one process at a time install the named entry of the cache."""
    folder = cache_root() / "locks"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f"{name}.lock").open("w")
    except OSError as error:
        raise EmoactError(
            f"the cache folder {cache_root()} cannot be written ({error.strerror})",
            remedy="Set EMOACT_CACHE to a folder with about 700 MB of free space.",
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def convert_gguf(gguf: Path, *, sha256: str, weight_source: str, on_step: OnStep = silent) -> Path:
    """Hugging Face directory of a GGUF file, converted on the first call.

    Args:
        gguf: GGUF file.
        sha256: Hash of the file, which names the directory.
        weight_source: Origin of the weights, for the record.
        on_step: Called once before the conversion starts.

    Raises:
        EmoactError: transformers cannot read the file, or the cache cannot be written.
    """
    target = converted_dir(sha256)
    with install_lock(target.name):
        if is_converted(target):
            return target
        on_step("install", detail=f"converting {gguf.name} once (about 20 s)")
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        try:
            _write_directory(gguf, work, weight_source=weight_source, sha256=sha256)
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


@contextlib.contextmanager
def _no_bar() -> Iterator[None]:
    """Hide the progress bar of transformers' dequantisation, which has no setting of its own.

    The step that emoact reports would otherwise be shown twice, in the log and on the terminal.
    """
    from transformers import modeling_gguf_pytorch_utils

    reading: Any = modeling_gguf_pytorch_utils  # its import of tqdm is not public
    drawn = reading.tqdm
    reading.tqdm = functools.partial(drawn, disable=True)
    try:
        yield
    finally:
        reading.tqdm = drawn


def _write_directory(gguf: Path, work: Path, *, weight_source: str, sha256: str) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    with _no_bar():
        read: Any = AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float32, local_files_only=True
        )
    tokenizer = AutoTokenizer.from_pretrained(
        gguf.parent, gguf_file=gguf.name, local_files_only=True
    )
    config = copy.deepcopy(read.config)
    # transformers does not save a dequantised model, so a new one takes the weights.
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    # The bridge chooses its adapter by this name, which GGUF does not hold.
    config.architectures = [type(read).__name__]
    config.dtype = torch.float32
    fresh: Any = type(read)(config)
    fresh.load_state_dict(read.state_dict())
    fresh.save_pretrained(work, max_shard_size="1000GB")
    tokenizer.save_pretrained(work)
    weights = work / "model.safetensors"
    record = {
        "weight_source": weight_source,
        "gguf": gguf.name,
        "gguf_sha256": sha256,
        "weight_bytes": weights.stat().st_size,
        "weight_sha256": file_sha256(weights),
    }
    (work / RECORD).write_text(json.dumps(record, indent=2))
