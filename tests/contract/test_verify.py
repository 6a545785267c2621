"""`verify` finds what happened to saved files, and recomputes what they hold."""

import dataclasses
import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from emoact.cli import main
from emoact.errors import EmoactError
from emoact.extraction.extractor import ActivationExtractor
from emoact.extraction.parity import check_parity
from emoact.models.source import ModelSource
from emoact.models.weights import ChangedWeightsError, check_weights
from emoact.schema import ExtractionOptions
from emoact.store import manifest
from emoact.store.keys import unit_key
from emoact.store.layout import ResultsRoot
from emoact.store.verify import is_ok, verify_files
from tests.support.families import tiny_config
from tests.support.tiny_models import save_in_hub_cache, seeded_model, small_tokenizer
from tests.support.typed import Typed

pytestmark = pytest.mark.fault

TEXTS = {"joy": ["We won the match.", "You came."], "fear": ["Something moved.", "A", "Run."]}
OPTIONS = ExtractionOptions(sites=("resid_pre", "mlp_out", "attn_out"))
UNIT = Path("activations") / "lab~tiny@main"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("hf")
    d_vocab = len(small_tokenizer(d_vocab=2_000))
    save_in_hub_cache(seeded_model(tiny_config("gpt2", d_vocab)), "lab/tiny", home)
    return home


@pytest.fixture(scope="module")
def saved(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    rows = [{"text": text, "emotion": emotion} for emotion in TEXTS for text in TEXTS[emotion]]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HOME", str(home))
        patch.setenv("HF_HUB_OFFLINE", "1")
        extractor = ActivationExtractor("lab/tiny", options=OPTIONS)
        extractor.extract_dataset(folder / "data.jsonl", results=folder / "results")
    return folder / "results"


@pytest.fixture
def results(saved: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HOME", str(home))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return Path(shutil.copytree(saved, tmp_path / "results"))


def _codes(results: Path) -> list[str]:
    return [finding.code for finding in verify_files(results).findings]


def _file(results: Path, emotion: str = "joy") -> Path:
    return results / UNIT / f"activations_{emotion}.pkl"


def test_what_was_just_saved_has_no_finding_and_is_in_parity(results: Path, typed: Typed) -> None:
    document = typed("verify", "--results", results, "--samples", "2", "--json").json
    assert document["ok"]
    assert document["findings"] == []
    assert document["files"] == 2
    assert {entry["emotion"] for entry in document["parity"]} == {"joy", "fear"}
    for entry in document["parity"]:
        assert len(entry["samples"]) == 2
        for layers in entry["differences"].values():
            assert len(layers) == 3
            assert max(layers) <= 1e-5


def test_every_flipped_bit_is_found(results: Path) -> None:
    path = _file(results)
    whole = path.read_bytes()
    chooser = random.Random(7)
    for _ in range(60):
        place, bit = chooser.randrange(len(whole)), chooser.randrange(8)
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        path.write_bytes(damaged)
        assert "hash_mismatch" in _codes(results), (place, bit)
    path.write_bytes(whole)
    assert _codes(results) == []


def test_every_truncation_and_every_extra_byte_is_found(results: Path) -> None:
    path = _file(results)
    whole = path.read_bytes()
    for length in [0, 1, 2, len(whole) - 1, *range(3, len(whole), len(whole) // 17)]:
        path.write_bytes(whole[:length])
        codes = _codes(results)
        assert "size_mismatch" in codes
        assert "file_refused" in codes
    path.write_bytes(whole + b"\0")
    assert "size_mismatch" in _codes(results)


def _swap(results: Path) -> None:
    one, other = _file(results, "joy"), _file(results, "fear")
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def _tear_manifest(results: Path) -> None:
    path = results / "manifest.json"
    path.write_bytes(path.read_bytes()[:40])


def _replace_by_executable(results: Path) -> None:
    _file(results).write_bytes(b"cos\nsystem\n(S'touch canary'\ntR.")


def _replace_by_pipe(results: Path) -> None:
    path = _file(results)
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda results: _file(results).unlink(), "file_missing"),
        (_replace_by_pipe, "size_mismatch"),
        (_swap, "size_mismatch"),
        (_tear_manifest, "manifest_damaged"),
        (_replace_by_executable, "file_refused"),
    ],
)
def test_damage_of_other_kinds_is_found_and_fails_the_command(
    results: Path, damage: Callable[[Path], None], code: str, typed: Typed
) -> None:
    damage(results)
    document = typed("verify", "--results", results, "--samples", "0", "--json", code=1).json
    assert not document["ok"]
    found = [finding for finding in document["findings"] if finding["code"] == code]
    assert found
    assert all(finding["where"] and finding["message"] for finding in found)
    assert all(finding["remedy"] for finding in found)


def test_a_foreign_file_is_a_note_and_no_failure(results: Path) -> None:
    root = ResultsRoot(results)
    manifest.forget(root, "lab~tiny@main", "joy")
    report = verify_files(results)
    assert [finding.code for finding in report.findings] == ["unrecorded"]
    assert is_ok(report.findings)


def _rewrite(results: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Change a unit by plain pickle and let the manifest acknowledge the new bytes."""
    import dataclasses
    import pickle

    path = _file(results)
    with path.open("rb") as file:
        content = pickle.load(file)
    change(content)
    path.write_bytes(pickle.dumps(content, protocol=4))
    root = ResultsRoot(results)
    entry = manifest.entry(root, "lab~tiny@main", "joy")
    assert entry is not None
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    size = path.stat().st_size
    manifest.record(root, dataclasses.replace(entry, sha256=sha256, size=size))


def test_activations_of_another_model_are_caught_by_recomputing(results: Path) -> None:
    def scale(content: dict[str, object]) -> None:
        layers = content["mlp_output"]
        assert isinstance(layers, list)
        layers[1][0] = np.ascontiguousarray(layers[1][0] * np.float32(1.01))

    _rewrite(results, scale)
    report = verify_files(results)
    assert [finding.code for finding in report.findings] == ["not_additive"]
    _, findings = check_parity(report.units, n_samples=2)
    (finding,) = findings
    assert finding.code == "not_in_parity"
    assert "mlp_out layer 1" in finding.where


def test_nan_and_foreign_tokens_are_named(results: Path) -> None:
    def spoil(content: dict[str, object]) -> None:
        layers, tokens = content["residual_stream"], content["tokens"]
        assert isinstance(layers, list)
        assert isinstance(tokens, list)
        layers[0][1][2, 3] = np.nan
        tokens[0][1] += 1

    _rewrite(results, spoil)
    report = verify_files(results)
    codes = {finding.code: finding for finding in report.findings}
    assert "key_mismatch" in codes
    assert any("residual_stream" in finding.where for finding in report.findings)


def _flip(weights: Path) -> None:
    """Change one bit of the last value, and keep size, inode and time of change of the file."""
    state = weights.stat()
    with weights.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        (last,) = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    os.utime(weights, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_a_flipped_bit_of_the_weights_is_found_by_verify_and_refused_by_a_run(
    results: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(home, tmp_path / "hf"))
    monkeypatch.setenv("HF_HOME", str(copy))
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    ActivationExtractor("lab/tiny")
    (weights,) = copy.rglob("model.safetensors")
    _flip(weights)
    recomputed, findings = check_parity(verify_files(results).units, n_samples=1)
    assert (recomputed, [finding.code for finding in findings]) == ([], ["weights_changed"])
    with pytest.raises(EmoactError, match="has changed since it was first loaded"):
        ActivationExtractor("lab/tiny")


def test_files_that_were_made_with_other_weights_are_named(
    results: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(home, tmp_path / "hf"))
    monkeypatch.setenv("HF_HOME", str(copy))
    # Here the weights were never loaded before.
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    (weights,) = copy.rglob("model.safetensors")
    _flip(weights)
    _, findings = check_parity(verify_files(results).units, n_samples=1)
    assert {finding.code for finding in findings} >= {"weights_differ"}
    assert not is_ok(tuple(findings))


def extract_again(results: Path) -> list[str]:
    """Extract the same once more; returns the keys of the units afterwards."""
    extractor = ActivationExtractor("lab/tiny", options=OPTIONS)
    extractor.extract_dataset(results.parent / "data.jsonl", results=results)
    return [entry.key for entry in manifest.load(ResultsRoot(results)).values()]


def test_the_hash_of_the_weights_is_part_of_the_key_and_units_from_before_are_still_skipped(
    results: Path, saved: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(saved.parent / "data.jsonl", results.parent / "data.jsonl")
    root = ResultsRoot(results)
    entries = manifest.load(root).values()
    stated = {entry.configuration["weight_sha256"] for entry in entries}
    units = verify_files(results).units
    assert stated == {(unit.provenance or {})["weight_sha256"] for unit in units}
    before = [entry.key for entry in entries]
    written = [unit.path.stat().st_mtime_ns for unit in units]
    assert extract_again(results) == before

    # As an older emoact recorded them: without the hash.
    older = []
    for unit, entry in zip(units, entries, strict=True):
        configuration = {k: v for k, v in entry.configuration.items() if k != "weight_sha256"}
        key = unit_key(configuration, list(unit.tokens))
        assert key != entry.key
        older.append(key)
        manifest.record(root, dataclasses.replace(entry, key=key, configuration=configuration))
    assert extract_again(results) == older
    assert [unit.path.stat().st_mtime_ns for unit in units] == written

    # Other weights under the same commit, never loaded here before.
    for entry in entries:
        manifest.record(root, entry)
    copy = Path(shutil.copytree(home, tmp_path / "hf"))
    monkeypatch.setenv("HF_HOME", str(copy))
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    (weights,) = copy.rglob("model.safetensors")
    _flip(weights)
    with pytest.raises(EmoactError, match="weight_sha256: saved"):
        extract_again(results)


def test_a_large_file_of_the_hub_is_compared_with_its_name(tmp_path: Path) -> None:
    blob = tmp_path / hashlib.sha256(b"as downloaded").hexdigest()
    weights = tmp_path / "model.safetensors"
    weights.symlink_to(blob)
    source = ModelSource(
        name="m", model_name="m", kind="hub", folder="m", revision="", commit="", weight_source=""
    )
    blob.write_bytes(b"as downloaded")
    assert check_weights(source, [weights]) == blob.name
    blob.write_bytes(b"as downloadee")
    with pytest.raises(ChangedWeightsError, match="has changed since its download"):
        check_weights(source, [weights])


def test_a_model_that_is_not_here_is_a_note(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "empty"))
    results_, findings = check_parity(verify_files(results).units, n_samples=1)
    assert results_ == []
    assert [finding.code for finding in findings] == ["not_recomputed"]
    assert is_ok(tuple(findings))


def test_an_empty_folder_is_a_wrong_request(tmp_path: Path) -> None:
    assert main(["verify", "--results", str(tmp_path)]) == 2
