"""Weight files that are cut off, incomplete or too large are refused before they are loaded."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM

from emoact.errors import EmoactError, RequestError
from emoact.jobs.request import ExtractRequest, prepare
from emoact.models import load, weights
from emoact.models.load import load_model
from emoact.models.resolve import resolve_model
from emoact.schema import ExtractionOptions
from tests.support.tiny_models import save_tiny


@pytest.fixture(autouse=True)
def _caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny("llama", tmp_path_factory.mktemp("model"))


def _sharded(folder: Path, places: object) -> Path:
    folder.mkdir()
    save_file({"a": np.zeros((2, 3))}, folder / "model-1.safetensors")
    save_file({"b": np.zeros(5)}, folder / "model-2.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    return folder


def test_shards_are_found_by_their_index_and_counted(tmp_path: Path) -> None:
    folder = _sharded(tmp_path / "m", {"a": "model-1.safetensors", "b": "model-2.safetensors"})
    files = weights.weight_files(folder)
    assert [file.name for file in files] == ["model-1.safetensors", "model-2.safetensors"]
    assert weights.count_parameters(files) == 11


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ({"a": "model-1.safetensors", "c": "model-3.safetensors"}, "lacks 1 of 2 weight files"),
        ({"b": "model-1.safetensors"}, r"says that model-1.safetensors holds b"),
        ({"a": "../../secret.safetensors"}, "outside its own folder"),
        ({"a": "/etc/secret.safetensors"}, "outside its own folder"),
        ({"a": "pytorch_model.bin"}, "'pytorch_model.bin', which is not a safetensors file"),
        ({"a": 5}, "names 5, which is not a safetensors file"),
        (["a"], "is not a safetensors index"),
    ],
)
def test_a_wrong_index_is_refused(places: object, expected: str, tmp_path: Path) -> None:
    folder = _sharded(tmp_path / "m", places)
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(RequestError, match=expected):
        weights.weight_files(folder)


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.999])
def test_a_file_cut_off_is_refused(kept: float, model: Path, tmp_path: Path) -> None:
    whole = (model / "model.safetensors").read_bytes()
    folder = tmp_path / "cut"
    folder.mkdir()
    (folder / "config.json").write_bytes((model / "config.json").read_bytes())
    (folder / "model.safetensors").write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(RequestError, match=r"not a complete safetensors file[^$]*delete that file"):
        resolve_model(str(folder))


def test_a_tensor_that_is_missing_is_not_replaced_by_random_numbers(tmp_path: Path) -> None:
    folder = save_tiny("llama", tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EmoactError, match=r"lack model.layers.1.mlp.up_proj.weight \(1 tensors"):
        load_model(resolve_model(str(folder)), ExtractionOptions())


@pytest.mark.parametrize(
    ("size", "value", "expected"),
    [
        (
            "intermediate_size",
            10**9,
            "need 288,000,047,840 parameters, and its weights have 47,840",
        ),
        ("head_dim", 10**9, "parameters, and its weights have 47,840"),
        ("vocab_size", 10**8, "need at least 3,200,000,000 parameters"),
        ("intermediate_size", 32, r"down_proj.weight would have the shape 32 × 32, and .* 32 × 64"),
    ],
)
def test_a_size_that_the_weights_do_not_have_is_refused_before_it_takes_memory(
    size: str, value: int, expected: str, model: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, size: value}))
    if value > 32:
        # What is not there cannot have another shape: transformers would make it.
        tensors = load_file(folder / "model.safetensors")
        kept = {name: held for name, held in tensors.items() if "mlp" not in name}
        save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EmoactError, match=expected) as refused:
        load_model(resolve_model(str(folder)), ExtractionOptions())
    assert refused.value.remedy == "Compare the file with that of the model's publisher."


def test_too_many_positions_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = save_tiny("gpt_neo", tmp_path / "model")
    monkeypatch.setattr(load, "free_memory", lambda: 10_000)
    with pytest.raises(RequestError, match=r"tables of positions take 36\.9 kB, and 10\.0 kB"):
        load_model(resolve_model(str(folder)), ExtractionOptions())


@pytest.mark.parametrize(
    "change",
    [{"pad_token_id": 10**9}, {"head_dim": 0}, {"dtype": "load"}, {"tie_word_embeddings": "a"}],
)
def test_odd_values_are_refused(model: Path, tmp_path: Path, change: dict[str, object]) -> None:
    folder = Path(shutil.copytree(model, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(EmoactError, match=r"could not be loaded: \w+Error"):
        load_model(resolve_model(str(folder)), ExtractionOptions())


@pytest.mark.parametrize("alone", [True, False], ids=["beside an index", "by its index alone"])
@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_the_hash_is_of_what_is_loaded(model: Path, tmp_path: Path, kind: str, alone: bool) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    name = "model.layers.1.mlp.down_proj.weight"
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    stem = "model" if kind == "safetensors" else "pytorch_model"
    # Other numbers in each file; the part has a name that no pattern of names knows.
    for number, each in enumerate([f"{stem}.{kind}", f"part-1.{kind}"][0 if alone else 1 :]):
        of_file = {key: value + np.float32(number) for key, value in tensors.items()}
        if kind == "bin":
            torch.save({k: torch.from_numpy(v) for k, v in of_file.items()}, folder / each)
        else:
            save_file(of_file, folder / each, metadata={"format": "pt"})
    places = dict.fromkeys(tensors, f"part-1.{kind}")
    (folder / f"{stem}.{kind}.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": places})
    )
    (file,) = weights.weight_files(folder, allow_pickle_weights=True)
    read = load_file(file) if kind == "safetensors" else torch.load(file, weights_only=True)
    loaded = AutoModelForCausalLM.from_pretrained(folder).state_dict()
    np.testing.assert_array_equal(loaded[name].numpy(), np.asarray(read[name]))


def test_neighbours_of_weights_are_checked_first(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    source = resolve_model(str(folder))
    (folder / "additional_chat_templates").mkdir()
    template = folder / "additional_chat_templates" / "tool.jinja"
    with template.open("wb") as sparse:
        sparse.truncate(1 << 40)
    with pytest.raises(RequestError, match=r"tool\.jinja has 1,099,511,627,776 bytes"):
        load_model(source, ExtractionOptions())
    template.unlink()
    config = json.loads((folder / "config.json").read_text())
    config["transformers_weights"] = "other.safetensors"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(RequestError, match="which no hash would name"):
        load_model(source, ExtractionOptions())


def test_code_of_a_repository_is_left_alone(tmp_path: Path) -> None:
    folder = save_tiny("phi3", tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"}
    # Of published models, which would need a package or fetch a kernel from the hub.
    config["_attn_implementation"] = "flash_attention_2"
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own: ...\n")
    assert load_model(resolve_model(str(folder)), ExtractionOptions()).bridge.cfg.n_layers == 3
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(RequestError, match="holds an adapter"):
        load_model(resolve_model(str(folder)), ExtractionOptions())
    (folder / "adapter_config.json").unlink()
    tensors = load_file(folder / "model.safetensors")
    tensors["model.layers.1.mlp.own.weight"] = np.zeros(1, dtype=np.float32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EmoactError, match=r"phi3 of transformers does not know \(model.layers.1"):
        load_model(resolve_model(str(folder)), ExtractionOptions())
    assert not (tmp_path / "ran").exists()


def test_images_are_refused(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "qwen2_5_vl", "vision_config": {}}
    config["architectures"] = ["Qwen2_5_VLForConditionalGeneration"]
    (folder / "config.json").write_text(json.dumps(config))
    installed: list[object] = []
    # TransformerLens would install torchvision.
    monkeypatch.setattr(subprocess, "check_call", lambda *words, **_: installed.append(words))
    with pytest.raises(EmoactError, match="qwen2_5_vl reads more than text"):
        load_model(resolve_model(str(folder)), ExtractionOptions())
    assert not installed


def test_weights_that_do_not_fit_are_refused_with_what_would_help(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = resolve_model(str(model))
    n_parameters = sum(array.size for array in load_file(model / "model.safetensors").values())
    assert source.n_parameters == n_parameters
    request = ExtractRequest(models=(str(model),), results=tmp_path / "results")
    monkeypatch.setattr(weights, "free_memory", lambda: 3 * n_parameters)
    with pytest.raises(RequestError, match=r"take .* in float32, and [^$]*--dtype bfloat16 \("):
        prepare(request)
    with pytest.raises(RequestError, match="of memory are free"):
        load_model(source, ExtractionOptions())
    assert load_model(source, ExtractionOptions(dtype="bfloat16")).bridge is not None
    monkeypatch.setattr(weights, "free_memory", lambda: n_parameters)
    with pytest.raises(RequestError, match=r"free\nChoose a smaller model"):
        prepare(request)
    monkeypatch.setattr(weights, "free_memory", lambda: None)
    assert prepare(request).models[0].n_parameters == n_parameters
