"""Honest files and what random damage makes of them."""

import pickle
import random

import numpy as np
import torch

from tests.support.honest import dump_in_python, payload, spell_as_numpy_1, without_frames

_EDGES = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFE,
    0xFF,
    *b"().KMJGXCBNRbqrhjtue\x85\x86\x87\x88\x8a\x8c\x93\x94\x96",
)


def seeds() -> list[bytes]:
    """Small honest files of every protocol, pickler and kind of array."""
    extra = {
        "prompts": [
            {"id": str(at), "text": f"prompt {at}", "scenario_id": None} for at in range(2)
        ],
        "content_start": 1,
        "scalars": [np.float64(1.5), np.str_("é"), np.bool_(True)],
        "views": [np.arange(6.0).reshape(2, 3).T, np.array(["ab"]), np.array([True])],
        "provenance": {"schema_version": 1, "model_name": "gpt2", "seed": 7},
    }
    kinds = (
        lambda array: array,
        lambda array: np.repeat(array, 2, axis=1)[:, ::2],
        torch.from_numpy,
        lambda array: torch.from_numpy(array).bfloat16(),
    )
    files = []
    for protocol in (2, 3, 4, 5):
        for kind in kinds:
            value = payload(n_layers=1, lengths=(2, 3), d_model=2, activation=kind, metadata=extra)
            files.append(without_frames(pickle.dumps(value, protocol=protocol)))
        files.append(dump_in_python(value, protocol))
        files.append(spell_as_numpy_1(files[-5]))
    return files


def mutate(random_: random.Random, files: list[bytes]) -> bytes:
    """One file after one to four random damages."""
    data = bytearray(random_.choice(files))
    for _ in range(random_.choice((1, 1, 1, 2, 4))):
        _damage(random_, data, files)
    return bytes(data)


def _damage(random_: random.Random, data: bytearray, files: list[bytes]) -> None:
    at = random_.randrange(len(data)) if data else 0
    end = min(len(data), at + random_.choice((1, 1, 2, 4, 8, 40)))
    kind = random_.randrange(8)
    if kind == 0:
        data[at:end] = b""
    elif kind == 1:
        data[at:at] = bytes(random_.choice(_EDGES) for _ in range(random_.choice((1, 2, 4, 8))))
    elif kind == 2:
        data[at:at] = data[at:end] * random_.choice((1, 2, 30))
    elif kind == 3:
        other = random_.choice(files)
        start = random_.randrange(len(other))
        data[at:end] = other[start : start + random_.choice((1, 4, 20, 200))]
    elif kind == 4 and data:
        data[at] ^= 1 << random_.randrange(8)
    elif kind == 5:
        del data[at:]
    elif data:
        data[at] = random_.choice(_EDGES)
