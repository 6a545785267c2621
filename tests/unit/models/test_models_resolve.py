"""From what a user typed to a model on disk, or to an error that says what to do, quickly."""

import json
import os
from pathlib import Path
from typing import NoReturn

import huggingface_hub
import numpy as np
import pytest
from safetensors.numpy import save_file

from emoact.errors import RequestError
from emoact.models.resolve import list_models, resolve_model

pytestmark = pytest.mark.fault

CONFIG = {
    "model_type": "gpt2",
    "n_layer": 12,
    "n_embd": 768,
    "n_head": 12,
    "vocab_size": 50257,
    "n_positions": 1024,
}


@pytest.fixture(autouse=True)
def _caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def _directory(folder: Path, **changes: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **changes}))
    save_file({"weights": np.zeros(3)}, folder / "model.safetensors")
    (folder / "tokenizer.json").write_text("{}")
    return folder


def _cached(home: Path, hub_id: str, commit: str = "c" * 40) -> Path:
    repository = home / "hub" / f"models--{hub_id.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    return _directory(repository / "snapshots" / commit)


def test_a_cached_model_resolves_offline_by_short_name_and_by_hub_id(tmp_path: Path) -> None:
    snapshot = _cached(tmp_path / "hf", "EleutherAI/pythia-160m")
    for text in ("pythia-160m", "EleutherAI/pythia-160m", "EleutherAI/pythia-160m@main"):
        source = resolve_model(text)
        assert source.path == snapshot
        assert (source.folder, source.model_name) == ("pythia-160m", "EleutherAI/pythia-160m")
        assert source.commit == "c" * 40
        assert source.installed
    assert source.shape is not None
    assert (source.shape.n_layers, source.shape.d_model) == (12, 768)


@pytest.mark.parametrize("thing", ["pipe", "device", "bytes"])
def test_a_commit_that_is_no_text_in_a_file_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thing: str
) -> None:
    ref = _cached(tmp_path / "hf", "lab/odd").parents[1] / "refs" / "main"
    ref.unlink()
    if thing == "pipe":
        os.mkfifo(ref)
    elif thing == "bytes":
        ref.write_bytes(b"\xff\0")
    else:
        ref.symlink_to("/dev/zero")

    def asked(*_: object, **__: object) -> NoReturn:
        raise AssertionError("the client was asked, and would wait")

    if thing != "bytes":
        monkeypatch.setattr(huggingface_hub, "snapshot_download", asked)
    with pytest.raises(RequestError, match="the hub is switched off"):
        resolve_model("lab/odd")


def test_a_commit_resolves_to_its_own_folder(tmp_path: Path) -> None:
    _cached(tmp_path / "hf", "gpt2", "d" * 40)
    source = resolve_model(f"gpt2@{'d' * 40}")
    assert source.folder == f"gpt2@{'d' * 40}"
    assert source.commit == "d" * 40


@pytest.mark.parametrize("offline", ["1", "0"])
def test_a_missing_model_says_what_where_and_two_ways_to_get_it_within_seconds(
    offline: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", offline)
    # A closed port, as on a machine without a network.
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(RequestError) as caught:
        resolve_model("some-lab/some-model")
    message = str(caught.value)
    assert "some-lab/some-model@main is not in the hub cache" in message
    assert str(tmp_path / "hf" / "hub") in message
    assert "hf download some-lab/some-model" in message
    assert "local Hugging Face directory" in message


def test_a_close_name_is_suggested() -> None:
    with pytest.raises(RequestError, match=r"Did you mean gpt2\?"):
        resolve_model("gtp2")


def test_every_registry_model_is_listed_with_whether_it_is_installed(tmp_path: Path) -> None:
    _cached(tmp_path / "hf", "gpt2")
    listed = {source.name: source for source in list_models()}
    assert {"smollm2-135m", "gemma-3-270m", "gpt2", "pythia-160m"} <= set(listed)
    assert listed["gpt2"].installed
    assert not listed["pythia-160m"].installed
    assert listed["smollm2-135m"].needs == "install"
    assert listed["smollm2-135m"].download_bytes == 92_871_040


def test_a_local_directory_is_named_after_its_content(tmp_path: Path) -> None:
    one = resolve_model(str(_directory(tmp_path / "one" / "mine")))
    same = resolve_model(str(_directory(tmp_path / "two" / "mine")))
    other_folder = _directory(tmp_path / "three" / "mine")
    save_file({"weights": np.ones(3)}, other_folder / "model.safetensors")
    other = resolve_model(str(other_folder))
    assert one.kind == "local"
    assert one.model_name == "mine"
    assert one.folder == same.folder
    assert one.folder != other.folder


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"model_type": "own", "auto_map": {"AutoModel": "x.py"}}, "requires code from the model"),
        ({"model_type": "x" * 300, "auto_map": {"A": "x.py"}}, "requires code from the model"),
        ({"model_type": "../auto", "auto_map": {"A": "x.py"}}, "requires code from the model"),
        ({"text_config": {"nested": {"auto_map": {"A": "b"}}}}, "requires code from the model"),
        ({"attn_implementation": "a/kernel"}, "requires code from a repository of kernels"),
        ({"_attn_implementation": {"": "a/kernel@v1"}}, "requires code from a repository of"),
        ({"text_config": {"experts_implementation": "a/b"}}, "requires code from a repository of"),
        ({"model_type": "gemma3", "text_config": {"n_layer": 3}}, "gemma3 reads more than text"),
        ({"n_layer": None}, "does not state n_layers"),
        ({"vocab_size": "many"}, "does not state d_vocab"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(
    change: dict[str, object], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(RequestError, match=expected):
        resolve_model(str(_directory(tmp_path / "model", **change)))


def test_weights_stored_as_a_pickle_need_the_users_word(tmp_path: Path) -> None:
    folder = _directory(tmp_path / "model")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(RequestError, match=r"can run code[^$]*--allow-pickle-weights"):
        resolve_model(str(folder))
    assert resolve_model(str(folder), allow_pickle_weights=True).installed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "../../etc/passwd",
        "a/b/c",
        "/nowhere/at/all",
        "a\0b",
        "no such model",
        "missing.gguf",
        "gpt2@../../x",
        "gpt2@",
        "a--b/c",
        "https://example.org/model",
        "x" * 5000,
        "ｇｐｔ２",
        "a/../b",
        "~/nothing-here",
        "$(touch x)",
    ],
)
def test_what_is_no_model_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        resolve_model(text)
    assert len(caught.value.message) > 20
