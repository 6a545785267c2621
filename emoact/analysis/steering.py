"""A direction for steering: one vector for each block, and the control vector of llama.cpp."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from emoact.analysis.direction_files import SIGN, contrast_of
from emoact.analysis.saved import SavedAnalysis
from emoact.errors import EmoactError, RequestError
from emoact.sites import SiteName
from emoact.store.atomic import write_error


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockVectors:
    """Direction of one emotion in one model, by block.

    Attributes:
        vectors: By block, in the model's own units: the difference of the class means.
    """

    vectors: dict[int, Float32[np.ndarray, " d_model"]]
    model: str
    folder: str
    emotion: str
    described: dict[str, str]


def block_vectors(analysis: SavedAnalysis, folder: str, emotion: str) -> BlockVectors:
    """The direction of an emotion in the residual stream, by block.

    The input of layer l + 1 (`resid_pre`) is the output of block l, so that the direction of layer
    l + 1 belongs to block l. Layer 0 is the embedding and the output of no block; it is left out.
    The output of the last block is the input of no layer and has no direction.

    Raises:
        RequestError: The analysis has no such model or emotion, or not the residual stream.
        FileRefusedError: The file of directions is not the one that was written.
    """
    site: SiteName = "resid_pre"
    if site not in analysis.sites:
        raise RequestError(
            f"analysis {analysis.id} has no {site}; vectors of {', '.join(analysis.sites)} are not "
            "what steering adds to the residual stream",
            remedy=f"Analyse with --site {site}.",
        )
    directions = analysis.directions(folder, site)
    if emotion not in directions:
        raise RequestError(
            f"analysis {analysis.id} has no direction of {emotion!r} in {folder}; it has "
            f"{', '.join(directions)}"
        )
    by_layer = directions[emotion]
    if len(by_layer) < 2:
        raise RequestError(f"{folder} has a single layer, so that no block's output was analysed")
    return BlockVectors(
        vectors={layer - 1: by_layer[layer] for layer in range(1, len(by_layer))},
        model=next(each.model for each in analysis.inputs if each.folder == folder),
        folder=folder,
        emotion=emotion,
        described={
            "analysis": analysis.id,
            "contrast": contrast_of(emotion, analysis.settings),
            "sign": SIGN,
            "pooling": analysis.settings.pooling,
            "site": f"{site} of layer l + 1, as the output of block l",
            "badges": "; ".join(analysis.badges),
        },
    )


def write_control_vector(path: Path, vectors: BlockVectors, *, model_hint: str) -> None:
    """Write a GGUF control vector, the file that repeng's `ControlVector.import_gguf` reads.

    repeng and llama.cpp number blocks from 0 and have no vector for block 0, so that the first
    tensor is `direction.1`. `model_hint` is transformers' `model_type`, such as `gpt2`; a file that
    is there is replaced.

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
        writer = GGUFWriter(hidden, "controlvector")
        writer.add_name(f"{vectors.emotion} in {vectors.model}")
        writer.add_string("controlvector.model_hint", model_hint)
        writer.add_uint32("controlvector.layer_count", len(chosen))
        for key, value in vectors.described.items():
            writer.add_string(f"emoact.{key}", value)
        for block, vector in chosen.items():
            writer.add_tensor(f"direction.{block}", np.ascontiguousarray(vector))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        hidden.replace(path)
    except OSError as error:
        raise write_error(error, path=path) from error
    finally:
        hidden.unlink(missing_ok=True)
