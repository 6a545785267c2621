"""A direction as the fields of `steering_vectors.SteeringVector`, in a file that torch reads."""

from __future__ import annotations

from pathlib import Path

from emoact.analysis.block_vectors import BlockVectors
from emoact.store.atomic import replace_atomically, write_json

LAYER_TYPE = "decoder_block"


def write_steering_vector(path: Path, vectors: BlockVectors) -> Path:
    """Write the file, and beside it a `.json` that says what it is; returns the latter.

    `SteeringVector(**torch.load(path, weights_only=True))` makes the vector. The library has no
    file format of its own; these are the two fields of its class, and loading them runs no code.

    Args:
        path: A `.pt` file; replaced when it is there.
        vectors: The direction.

    Raises:
        EmoactError: A file cannot be written.
    """
    import torch

    layers = {block: torch.from_numpy(vector.copy()) for block, vector in vectors.vectors.items()}
    with replace_atomically(path) as file:
        torch.save({"layer_activations": layers, "layer_type": LAYER_TYPE}, file)
    beside = path.with_suffix(".json")
    write_json(beside, {"model": vectors.model, "emotion": vectors.emotion, **vectors.described})
    return beside
