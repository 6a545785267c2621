"""A direction as the GGUF control vector of repeng and llama.cpp."""

from __future__ import annotations

import secrets
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from emoact.analysis.block_vectors import BlockVectors
from emoact.errors import EmoactError, FileRefusedError
from emoact.store.atomic import write_error

ARCHITECTURE = "controlvector"
_TENSOR = "direction."


def write_control_vector(path: Path, vectors: BlockVectors, *, model_hint: str) -> None:
    """Write the file that repeng's `ControlVector.import_gguf` reads.

    repeng and llama.cpp number blocks from 0 and have no vector for block 0, so that the first
    tensor is `direction.1`.

    Args:
        path: A `.gguf` file; replaced when it is there.
        vectors: The direction.
        model_hint: transformers' `model_type`, such as `gpt2` or `llama`.

    Raises:
        EmoactError: The file cannot be written.
    """
    from gguf import GGUFWriter

    chosen = {block: vector for block, vector in vectors.vectors.items() if block > 0}
    if not chosen:
        raise EmoactError(f"{vectors.folder} has too few layers for a control vector")
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = GGUFWriter(hidden, ARCHITECTURE)
        writer.add_name(f"{vectors.emotion} in {vectors.model}")
        writer.add_string(f"{ARCHITECTURE}.model_hint", model_hint)
        writer.add_uint32(f"{ARCHITECTURE}.layer_count", len(chosen))
        for key, value in vectors.described.items():
            writer.add_string(f"emoact.{key}", value)
        for block, vector in chosen.items():
            writer.add_tensor(f"{_TENSOR}{block}", np.ascontiguousarray(vector))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        hidden.replace(path)
    except OSError as error:
        raise write_error(error, path=path) from error
    finally:
        hidden.unlink(missing_ok=True)


def read_control_vector(path: Path) -> dict[int, Float32[np.ndarray, " d_model"]]:
    """The vectors of a control vector file by block.

    Raises:
        FileRefusedError: It is no such file.
    """
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)
        field = reader.get_field("general.architecture")
        if field is None or bytes(field.parts[-1]) != ARCHITECTURE.encode():
            raise FileRefusedError("it is no control vector", path=str(path))
        return {
            int(tensor.name.removeprefix(_TENSOR)): np.array(tensor.data)
            for tensor in reader.tensors
            if tensor.name.startswith(_TENSOR)
        }
    except (OSError, ValueError, IndexError) as error:
        raise FileRefusedError(f"it is no GGUF file ({error})", path=str(path)) from error
