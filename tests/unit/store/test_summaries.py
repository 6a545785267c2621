import hashlib
import json
import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save

from emoact.errors import FileRefusedError
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read
from emoact.store.summaries import (
    grid,
    kept_measures,
    measures_of,
    summary_file,
    unit_measures,
    unit_outline,
)
from emoact.store.summaries.measures import ARRAYS, UnitMeasures
from emoact.store.summaries.measuring import measure_file
from emoact.store.verify import is_ok, verify_files
from tests.support.planted import plant_grid, plant_unit

DEEP = "[" * 900 + "]" * 900


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One file of activations whose summary is kept."""

    path: Path
    root: ResultsRoot
    summary: Path

    def again(self) -> UnitMeasures:
        return unit_measures(self.root, "gpt2", "anger")

    def is_measured_again(self) -> bool:
        return same(self.again(), measure_file(self.path))


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    path = plant_unit(tmp_path, "gpt2", "anger")
    root = ResultsRoot(tmp_path)
    unit_measures(root, "gpt2", "anger")
    (summary,) = root.summaries.iterdir()
    return Kept(path=path, root=root, summary=summary)


def same(one: UnitMeasures, other: UnitMeasures) -> bool:
    arrays = all(
        np.array_equal(one.sites[site].arrays[name], other.sites[site].arrays[name])
        for site in one.sites
        for name in ARRAYS
    )
    steps = all(np.array_equal(one.steps[name], other.steps[name]) for name in one.steps)
    fields = ("emotion", "lengths", "token_strings", "prompts", "configuration", "provenance")
    return arrays and steps and all(getattr(one, f) == getattr(other, f) for f in fields)


def count_measuring(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    measured: list[Path] = []

    def counted(path: Path) -> UnitMeasures:
        measured.append(path)
        return measure_file(path)

    monkeypatch.setattr(grid, "measure_file", counted)
    return measured


def test_a_summary_gives_back_what_was_measured_without_reading_the_file_also_of_a_copied_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plant_unit(tmp_path / "one", "gpt2", "anger")
    first = unit_measures(ResultsRoot(tmp_path / "one"), "gpt2", "anger")
    measured = count_measuring(monkeypatch)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    for folder in ("one", "two"):
        second = unit_measures(ResultsRoot(tmp_path / folder), "gpt2", "anger")
        assert same(first, second)
        assert same(second, measure_file(path))
        assert not second.sites["resid_pre"].l2.flags.writeable
    assert measured == []


def _forge(summary: Path, scale: float = 1.0, **changes: Any) -> Path:
    """Change the norms or the words of a summary, and give the file the name of its new content."""
    with safe_open(summary, framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        words = file.metadata()
    ((key, text),) = words.items()
    words = {key: json.dumps({**json.loads(text), **changes}).replace('"DEEP"', DEEP)}
    content = save({k: v * scale if k.endswith(".l2") else v for k, v in arrays.items()}, words)
    return _replace(summary, content)


def _replace(summary: Path, content: bytes) -> Path:
    """Put a content in place of a summary, under the name that belongs to it."""
    summary.unlink()
    digest = hashlib.sha256(content).hexdigest()[:32]
    named = summary.with_name(f"{summary.stem.partition('-')[0]}-{digest}.safetensors")
    named.write_bytes(content)
    return named


def test_numbers_that_were_changed_in_a_summary_are_not_shown(kept: Kept) -> None:
    _forge(kept.summary, 1000.0).rename(kept.summary)
    assert kept.is_measured_again()


def test_verify_measures_again_what_a_summary_with_its_own_hash_says(
    tmp_path: Path, kept: Kept
) -> None:
    assert is_ok(verify_files(tmp_path).findings)
    _forge(kept.summary, 1000.0)
    (finding,) = [f for f in verify_files(tmp_path).findings if f.code == "summary_differs"]
    assert finding.severity == "error"
    assert finding.message.startswith("resid_pre.l2 is not what activations_anger.pkl holds")


@pytest.mark.parametrize(
    "changes",
    [
        {"lengths": [math.inf] * 5},
        {"lengths": [10**400] * 5},
        {"lengths": [-4, 14, 6, 4, 5]},
        {"n_layers": 1e300},
        {"d_model": 2**62},
        {"sites": ["resid_pre"] * 1000},
        {"sites": "DEEP"},
        {"prompts": [5] * 5},
        {"token_strings": [["a"]] * 5},
        {"token_strings": [["a"] * 4]},
        {"configuration": {"bos": "DEEP"}},
        {"content_spans": [[0, 2**62]] * 5},
        {"content_spans": [[0, 1]]},
    ],
    ids=str,
)
def test_words_that_no_summary_has_are_measured_again(kept: Kept, changes: dict[str, Any]) -> None:
    _forge(kept.summary, **changes)
    assert kept.is_measured_again()


@pytest.mark.parametrize("kind", ["pipe", "folder", "link"])
def test_another_thing_in_place_of_a_summary_is_passed_over(
    tmp_path: Path, kept: Kept, kind: str
) -> None:
    kept.summary.rename(tmp_path / "aside")
    place = {
        "pipe": os.mkfifo,
        "folder": os.mkdir,
        "link": lambda at: at.symlink_to(tmp_path / "aside"),
    }
    place[kind](kept.summary)
    assert kept.is_measured_again()


def test_a_file_that_was_written_again_is_measured_again_and_its_old_summary_goes(
    tmp_path: Path,
) -> None:
    plant_unit(tmp_path, "gpt2", "anger")
    plant_unit(tmp_path, "gpt2", "neutral")
    root = ResultsRoot(tmp_path)
    before = unit_measures(root, "gpt2", "anger").sites["resid_pre"].l2
    unit_measures(root, "gpt2", "neutral")
    plant_unit(tmp_path, "gpt2", "anger", scale=3.0)
    after = unit_measures(root, "gpt2", "anger").sites["resid_pre"].l2
    np.testing.assert_allclose(after, 3 * before, rtol=1e-5)
    (root.summaries / "note-of-an-earlier-version.json").touch()
    measures_of(tmp_path)
    assert list(root.summaries.glob("*.json")) == []
    assert len(list(root.summaries.glob("*.safetensors"))) == 2


def test_a_change_that_keeps_size_and_time_is_seen(tmp_path: Path) -> None:
    path = plant_unit(tmp_path, "gpt2", "anger")
    root = ResultsRoot(tmp_path)
    before = unit_measures(root, "gpt2", "anger").sites["resid_pre"].l2
    status = path.stat()
    other = plant_unit(tmp_path / "other", "gpt2", "anger", scale=2.0)
    path.write_bytes(other.read_bytes())
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    np.testing.assert_allclose(
        unit_measures(root, "gpt2", "anger").sites["resid_pre"].l2, 2 * before, rtol=1e-5
    )


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data[:8] + b"[" + data[9:],
        lambda data: (1 << 62).to_bytes(8, "little") + data[8:],
        lambda data: data.replace(b'"data_offsets":[0', b'"data_offsets":[8', 1),
        lambda data: data.replace(b'"dtype":"F64"', b'"dtype":"F16"', 1),
        # Of an earlier emoact, which took templates and responses for text.
        lambda data: data.replace(b'\\"version\\": 2', b'\\"version\\": 1', 1),
        lambda data: data.replace(b'\\"notes\\"', b'\\"notez\\"', 1),
    ],
)
def test_a_damaged_summary_is_measured_again(tmp_path: Path, kept: Kept, damage: object) -> None:
    whole = kept.summary.read_bytes()
    broken = damage(whole)  # type: ignore[operator]
    assert broken != whole
    kept.summary.write_bytes(broken)
    assert [found.code for found in verify_files(tmp_path).findings] == [
        "unrecorded",
        "summary_damaged",
    ]
    assert kept.is_measured_again()
    assert kept.summary.read_bytes() == whole


def test_what_was_measured_can_be_asked_for_without_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plant_unit(tmp_path, "gpt2", "anger")
    root = ResultsRoot(tmp_path)
    assert kept_measures(root, "gpt2", "anger") is None
    unit_measures(root, "gpt2", "anger")
    measured = count_measuring(monkeypatch)
    kept = kept_measures(root, "gpt2", "anger")
    assert kept is not None
    assert same(kept, measure_file(path))
    plant_unit(tmp_path, "gpt2", "anger", scale=2.0)
    assert kept_measures(root, "gpt2", "anger") is None
    assert measured == []


def test_an_outline_is_read_once_for_each_state_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plant_unit(tmp_path / "results", "gpt2", "anger")
    root = ResultsRoot(tmp_path / "results")
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    unit_measures(root, "gpt2", "anger")
    first = unit_outline(root, "gpt2", "anger")
    assert (first.n_samples, first.n_layers) == (len(read(path).labels), read(path).n_layers)
    monkeypatch.setattr(grid, "known_measures", lambda *_, **__: pytest.fail("read again"))
    assert unit_outline(root, "gpt2", "anger") == first
    (remembered,) = (tmp_path / "cache" / "outlines").iterdir()
    known = remembered.read_text()
    monkeypatch.undo()
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    for damaged in ("", "{}", known.replace(first.emoact, "0.0.9"), known[:-1]):
        remembered.write_text(damaged)
        assert unit_outline(root, "gpt2", "anger") == first
        assert remembered.read_text() == known
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FileRefusedError):
        unit_outline(root, "gpt2", "anger")


def test_what_a_false_summary_says_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plant_unit(tmp_path / "results", "gpt2", "anger")
    root = ResultsRoot(tmp_path / "results")
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    for emotion, believed in (("joy", 5), ("anger", 9)):
        other = plant_unit(tmp_path / "other", "gpt2", emotion, n_samples=9)
        summary_file.save_summary(root.summaries, measure_file(other), sha256=sha256)
        assert unit_outline(root, "gpt2", "anger").n_samples == believed
    shutil.rmtree(root.summaries)
    assert unit_outline(root, "gpt2", "anger").n_samples == 5


def test_measures_outlive_the_removal_of_their_summary(kept: Kept) -> None:
    held = kept.again()
    shutil.rmtree(kept.root.summaries)
    assert same(held, measure_file(kept.path))


def test_a_folder_that_cannot_be_written_is_measured_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from emoact.errors import EmoactError

    path = plant_unit(tmp_path, "gpt2", "anger")

    def refused(*_: object, **__: object) -> None:
        raise EmoactError("read-only")

    # A folder's mode does not stop root, whom containers run tests as.
    monkeypatch.setattr(grid, "save_summary", refused)
    root = ResultsRoot(tmp_path)
    assert same(unit_measures(root, "gpt2", "anger"), measure_file(path))
    assert not root.summaries.exists()


def test_a_file_replaced_while_it_is_measured_is_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant_unit(tmp_path, "gpt2", "anger")
    replaced: list[bool] = []

    def slow(path: Path) -> UnitMeasures:
        found = measure_file(path)
        if not replaced:
            replaced.append(True)
            plant_unit(tmp_path, "gpt2", "anger", scale=5.0)
        return found

    monkeypatch.setattr(grid, "measure_file", slow)
    found = unit_measures(ResultsRoot(tmp_path), "gpt2", "anger")
    expected = measure_file(tmp_path / "activations/gpt2/activations_anger.pkl")
    assert same(found, expected)


def test_refused_files_are_problems_and_never_summarised(tmp_path: Path) -> None:
    plant_grid(tmp_path, ["gpt2"], ["anger", "neutral"])
    (tmp_path / "activations/gpt2/activations_joy.pkl").write_bytes(b"nonsense")
    found = measures_of(tmp_path)
    assert [unit.emotion for unit in found.units] == ["anger", "neutral"]
    assert [problem.code for problem in found.problems] == ["file_refused"]
    assert found.problems[0].where.endswith("activations_joy.pkl")
    with pytest.raises(FileRefusedError):
        unit_measures(ResultsRoot(tmp_path), "gpt2", "joy")
    assert len(list(ResultsRoot(tmp_path).summaries.glob("*.safetensors"))) == 2


def test_the_version_of_the_summary_is_part_of_it(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary_file, "SUMMARY_VERSION", summary_file.SUMMARY_VERSION + 1)
    measured = count_measuring(monkeypatch)
    kept.again()
    assert len(measured) == 1


@pytest.mark.parametrize(
    ("found", "forged"),
    [
        ('"resid_pre.l2": {"dtype": "F64"', '"resid_pre.l2": {"dtype": "I64"'),
        ('"mlp_out.pooled": {"dtype": "F32"', '"mlp_out.pooled": {"dtype": "I32"'),
        ('"steps.step": {"dtype": "F64"', '"steps.step": {"dtype": "U64"'),
        ('\\"token_strings\\": [[\\"', '\\"token_strings\\": [[\\"\\\\ud800'),
        (
            '"resid_pre.l2": {"dtype": "F64", "shape": [',
            '"resid_pre.l2": {"dtype": "F64", "shape": [1e999, ',
        ),
    ],
)
def test_a_summary_of_other_types_or_texts_is_measured_again(
    kept: Kept, found: str, forged: str
) -> None:
    data = kept.summary.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    assert found in json.dumps(header)
    text = json.dumps(header).replace(found, forged).encode()
    content = len(text).to_bytes(8, "little") + text + data[8 + size :]
    _replace(kept.summary, content)
    assert kept.is_measured_again()
