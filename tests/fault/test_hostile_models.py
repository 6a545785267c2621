"""Configurations and headers of models that ask for more than there is, or are no such files."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from emoact.errors import EmoactError, RequestError
from emoact.models.cache import file_sha256
from emoact.models.resolve import resolve_model

pytestmark = pytest.mark.fault

HONEST = {"model_type": "gpt2", "n_layer": 2, "n_embd": 8, "n_head": 2, "vocab_size": 9}
UINT32, STRING, ARRAY = 4, 8, 9


def plant_model(folder: Path, config: str | dict[str, object]) -> Path:
    folder.mkdir()
    text = config if isinstance(config, str) else json.dumps({**HONEST, **config})
    (folder / "config.json").write_text(text)
    save_file({"a": np.ones(2)}, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize(
    "config",
    [
        {"n_layer": 10**6},
        {"n_layer": 10**30},
        {"n_layer": None, "num_hidden_layers": 10**6},
        {"num_local_experts": 10**9},
        {"num_key_value_heads": -1},
        {"n_embd": 10**12},
        {"vocab_size": 10**12},
        "[" * 300_000,
        '{"n_layer": 1' + "0" * 5_000 + "}",
        "[]",
        "",
        "\0",
    ],
    ids=lambda config: str(config)[:40],
)
def test_a_configuration_with_counts_that_no_model_has_is_refused(
    tmp_path: Path, config: str | dict[str, object]
) -> None:
    with pytest.raises(RequestError):
        resolve_model(str(plant_model(tmp_path / "model", config)))


@pytest.mark.parametrize("name", [5, None, ["a"], "../a.safetensors", "a.bin", "a\0.safetensors"])
def test_an_index_that_names_no_file_of_its_folder_is_refused(tmp_path: Path, name: object) -> None:
    folder = plant_model(tmp_path / "model", {})
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(RequestError):
        resolve_model(str(folder))


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_another_thing_in_place_of_a_model_file_is_refused(
    tmp_path: Path, file: str, kind: str
) -> None:
    folder = plant_model(tmp_path / "model", {})
    place = folder / file
    place.unlink()
    if kind == "device":
        place.symlink_to("/dev/zero")
    else:
        {"pipe": os.mkfifo, "folder": os.mkdir}[kind](place)
    with pytest.raises(RequestError):
        resolve_model(str(folder))


def _text(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def _gguf(*fields: tuple[bytes, int, bytes], tensors: int = 0, count: int | None = None) -> bytes:
    head = struct.pack("<4sIQQ", b"GGUF", 3, tensors, len(fields) if count is None else count)
    return head + b"".join(
        _text(key) + struct.pack("<I", kind) + data for key, kind, data in fields
    )


def _sizes(**changed: int) -> list[tuple[bytes, int, bytes]]:
    sizes = {
        "block_count": 2,
        "embedding_length": 8,
        "attention.head_count": 2,
        "vocab_size": 9,
        "context_length": 16,
        **{name.replace("__", "."): value for name, value in changed.items()},
    }
    return [
        (b"general.architecture", STRING, _text(b"llama")),
        *((f"llama.{k}".encode(), UINT32, struct.pack("<I", v)) for k, v in sizes.items()),
    ]


def _array(kind: int, length: int, data: bytes = b"") -> bytes:
    return struct.pack("<IQ", kind, length) + data


NESTED = _array(ARRAY, 1) * 5_000 + _array(UINT32, 1, b"\0" * 4)
HEADERS = {
    "2³²-1 blocks": _gguf(*_sizes(block_count=2**32 - 1)),
    "no blocks": _gguf(*_sizes(block_count=0)),
    "a width of 2³²-1": _gguf(*_sizes(embedding_length=2**32 - 1)),
    "an array of 2⁶² numbers": _gguf(*_sizes(), (b"a", ARRAY, _array(UINT32, 2**62))),
    "an array of 2⁶² texts": _gguf(*_sizes(), (b"a", ARRAY, _array(STRING, 2**62))),
    "5,000 nested arrays": _gguf(*_sizes(), (b"a", ARRAY, NESTED)),
    "2⁶² fields": _gguf(*_sizes(), count=2**62),
    "2⁶² tensors": _gguf(*_sizes(), tensors=2**62),
    "another byte order": struct.pack(">4sIQQ", b"GGUF", 3, 0, 0),
    "nothing": b"",
    "its name alone": b"GGUF",
}


@pytest.mark.parametrize("header", HEADERS)
def test_a_gguf_file_with_counts_beyond_its_size_is_refused(tmp_path: Path, header: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(HEADERS[header])
    with pytest.raises(RequestError):
        resolve_model(str(path))


def test_the_hash_of_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(EmoactError, match="named pipe"):
        file_sha256(tmp_path / "pipe")
