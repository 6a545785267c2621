"""Configurations and headers of models that ask for more than there is, or are no such files."""

import json
import os
import resource
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from emoact import child
from emoact.errors import EmoactError, RequestError
from emoact.models import shape, tokenizer_file
from emoact.models.cache import file_sha256
from emoact.models.resolve import resolve_model
from tests.support.packaged import write_gguf

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
        {"remark": "x" * 4_000_000},
        "[" * 300_000,
        '{"n_layer": 1' + "0" * 5_000 + "}",
        "[]",
        "",
        "\0",
    ],
    ids=lambda config: str(config)[:40],
)
def test_counts_of_no_model_are_refused(tmp_path: Path, config: str | dict[str, object]) -> None:
    with pytest.raises(RequestError):
        resolve_model(str(plant_model(tmp_path / "model", config)))


@pytest.mark.parametrize(
    "name",
    [
        5,
        None,
        ["a"],
        "../a.safetensors",
        "a.bin",
        "a\0.safetensors",
        f"{'x' * 300}.safetensors",
        "DEEP",
    ],
)
def test_an_index_that_names_no_file_of_its_folder_is_refused(tmp_path: Path, name: object) -> None:
    folder = plant_model(tmp_path / "model", {})
    # Beside the single file transformers reads no index.
    (folder / "model.safetensors").unlink()
    index = folder / "model.safetensors.index.json"
    text = json.dumps({"weight_map": {"a": name}})
    index.write_text(text.replace('"DEEP"', "[" * 300_000))
    with pytest.raises(RequestError, match=r"index\.json|lacks 1 of 1 weight files"):
        resolve_model(str(folder))


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_another_thing_for_a_model_file_is_refused(tmp_path: Path, file: str, kind: str) -> None:
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


def test_a_gguf_header_of_many_fields_has_limits_of_its_own(tmp_path: Path) -> None:
    field = _text(b"k" * 8) + struct.pack("<I", UINT32) + b"\0" * 4
    path = tmp_path / "model.gguf"
    count = 2_000_000
    with path.open("wb") as file:
        file.write(struct.pack("<4sIQQ", b"GGUF", 3, 0, count))
        for number in range(count // 1000):
            file.write(field.replace(b"k" * 8, b"%08d" % number) * 1000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RequestError):
        resolve_model(str(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


def test_a_gguf_is_sized_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    path = write_gguf(tmp_path / "model.gguf")
    first = resolve_model(str(path)).shape
    monkeypatch.setattr(shape, "ask", None)
    assert resolve_model(str(path)).shape == first
    # What cannot be read again is asked for again.
    (remembered,) = (tmp_path / "cache" / "gguf").iterdir()
    remembered.write_text("{")
    with pytest.raises(TypeError):
        resolve_model(str(path))


HONEST_TOKENIZER: dict[str, Any] = {
    "version": "1.0",
    "added_tokens": [],
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]},
}
PANIC = {"SpecialToken": {"id": "X", "type_id": 0}}
TOKENIZERS: dict[str, Any] = {
    "a panic when it is read": {
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": "/////wAAAAAAAAAA"}
    },
    "a panic when a text is encoded": {
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": "CAAAAP//////////YWJj"}
    },
    "a panic behind a text": {
        "post_processor": {
            "type": "TemplateProcessing", "single": [PANIC], "pair": [], "special_tokens": {}
        }
    },
    "a pattern of 100,000 brackets": {
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": "(" * 100_000},
            "behavior": "Isolated",
            "invert": False,
        }
    },
    "merges of tokens that are not there": {
        "model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["x y"]}
    },
    "no model": {"model": None},
}  # fmt: skip


@pytest.mark.parametrize("name", [*TOKENIZERS, "deep", "empty", "pipe", "huge"])
def test_a_hostile_tokenizer_is_refused_by_counting_and_by_loading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tokenizer_file, "_LARGEST", 1_000_000)
    path = tmp_path / "tokenizer.json"
    if name == "pipe":
        os.mkfifo(path)
    elif name == "huge":
        path.write_bytes(b" " * 1_000_001)
    else:
        hostile = json.dumps({**HONEST_TOKENIZER, **TOKENIZERS.get(name, {})})
        path.write_text({"deep": "[" * 300_000, "empty": ""}.get(name, hostile))
    with pytest.raises(EmoactError):
        tokenizer_file.check_tokenizer(path)
    with pytest.raises(EmoactError):
        tokenizer_file.count_tokens(path, ["a text"])


def test_an_honest_tokenizer_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(HONEST_TOKENIZER))
    assert tokenizer_file.count_tokens(path, ["ab", "aab"]).tolist() == [1, 2]
    monkeypatch.setattr(tokenizer_file, "ask", None)
    assert tokenizer_file.count_tokens(path, ["ab"]).tolist() == [1]


def test_a_process_with_limits_sees_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_canary")
    assert "hf_canary" not in json.dumps(child.environment())
    with pytest.raises(RequestError) as refused:
        child.ask("os:getenv_no_such", "HF_TOKEN")
    assert "hf_canary" not in str(refused.value)
    assert child.ask("os:getenv", "HF_TOKEN") is None
    assert child.ask("resource:getrlimit", resource.RLIMIT_AS, memory=1 << 30) == [1 << 30] * 2
    assert child.ask("resource:getrlimit", resource.RLIMIT_CPU) == [60, 60]


def test_a_long_header_of_safetensors_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    folder = plant_model(tmp_path / "model", {})
    names = ",".join(
        f'"{number:x}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
        for number in range(200_000)
    )
    header = f"{{{names}}}".encode()
    weights = folder / "model.safetensors"
    weights.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(RequestError, match="at most 8,000,000 are read"):
        resolve_model(str(folder))


MEASURED = """
import resource, sys
from pathlib import Path
import safetensors, numpy
from emoact.models.weights import count_parameters, weight_files
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
count_parameters(weight_files(Path(sys.argv[1])))
print(peak() - before)
"""


def test_the_longest_header_that_is_parsed_takes_less_than_200_mb(tmp_path: Path) -> None:
    most, shape_ = 7_900_000, "1," * 100_000
    for number, (rank, count) in enumerate((("", 140_000), (shape_, 39))):
        names = ",".join(
            f'"{place:x}":{{"dtype":"U8","shape":[{rank}0],"data_offsets":[0,0]}}'
            for place in range(count)
        )
        header = f"{{{names}}}".encode()
        assert 6_000_000 < len(header) < most
        folder = plant_model(tmp_path / f"model{number}", {})
        weights = folder / "model.safetensors"
        weights.write_bytes(len(header).to_bytes(8, "little") + header)
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, str(folder)], check=True, capture_output=True
        )
        assert int(done.stdout) < 200_000


@pytest.mark.parametrize("kind", ["pipe", "device", "huge"])
@pytest.mark.parametrize("file", ["generation_config.json", "chat_template.jinja", "vocab.txt"])
def test_other_small_files_are_refused_before_loading(tmp_path: Path, file: str, kind: str) -> None:
    folder = plant_model(tmp_path / "model", {})
    shape.check_files(folder)
    if kind == "pipe":
        os.mkfifo(folder / file)
    elif kind == "device":
        (folder / file).symlink_to("/dev/zero")
    else:
        with (folder / file).open("wb") as sparse:
            sparse.truncate(1 << 40)
    with pytest.raises(RequestError, match=file):
        shape.check_files(folder)


def test_a_token_of_megabytes_is_refused_before_loading(tmp_path: Path) -> None:
    folder = plant_model(tmp_path / "model", {})
    for name in ("special_tokens_map.json", "tokenizer_config.json", "added_tokens.json"):
        (folder / name).write_text(json.dumps({"bos_token": "x" * 4_000_000}))
        with pytest.raises(RequestError, match=f"{name} has 4,000,017 bytes; at most 4,000,000"):
            shape.check_files(folder)
        (folder / name).unlink()


def test_a_configuration_that_needs_more_than_its_weights_is_refused(tmp_path: Path) -> None:
    source = resolve_model(str(plant_model(tmp_path / "model", {"vocab_size": 10**7})))
    assert source.shape is not None
    with pytest.raises(RequestError, match="at least 80,000,000 parameters"):
        shape.check_against_weights(source.shape, source.n_parameters, tmp_path)
    shape.check_against_weights(source.shape, 80_000_000, tmp_path)
    shape.check_against_weights(source.shape, None, tmp_path)


def test_the_hash_of_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(EmoactError, match="named pipe"):
        file_sha256(tmp_path / "pipe")
