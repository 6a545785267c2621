"""A results folder is read in spite of bad files, and any file can be described."""

import json
import pickle
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoact.errors import RequestError
from emoact.sites import site_names
from emoact.store.reading import inspect_file, read, read_all
from emoact.store.unit import Unit
from tests.support.honest import payload
from tests.support.planted import plant_grid, plant_unit


def test_a_folder_without_results_has_no_units(tmp_path: Path) -> None:
    grid = read_all(tmp_path / "nothing here")
    assert len(grid) == 0
    assert list(grid) == []
    assert grid.problems == ()


def test_units_come_in_the_order_of_folder_and_emotion(tmp_path: Path) -> None:
    plant_grid(tmp_path, ["pythia-160m", "gpt2"], ["neutral", "anger"], n_layers=3)
    grid = read_all(tmp_path)
    assert [(unit.folder, unit.emotion) for unit in grid] == [
        ("gpt2", "anger"),
        ("gpt2", "neutral"),
        ("pythia-160m", "anger"),
        ("pythia-160m", "neutral"),
    ]
    assert grid.folders == ("gpt2", "pythia-160m")
    assert grid.emotions == ("anger", "neutral")


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut": (lambda path: path.write_bytes(pickle.dumps(payload(), protocol=4)[:700]), "frame"),
    "hostile": (lambda path: path.write_bytes(b"\x80\x04cos\nsystem\n)R."), "os.system"),
    "empty": (lambda path: path.touch(), "empty"),
    "folder": (lambda path: path.mkdir(), "it is a folder"),
    "other": (lambda path: path.write_bytes(pickle.dumps([1])), "no dict"),
    "link": (lambda path: path.symlink_to("/etc/hostname"), "leads out of the results folder"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_bad_file_is_a_problem_and_hides_no_other(damage: str, tmp_path: Path) -> None:
    good = plant_unit(tmp_path)
    bad = good.with_name("activations_apology.pkl")
    DAMAGE[damage][0](bad)
    grid = read_all(tmp_path)
    assert [unit.path for unit in grid] == [good]
    (problem,) = grid.problems
    assert problem.where == str(bad)
    assert problem.severity == "error"
    assert DAMAGE[damage][1] in problem.message
    assert problem.remedy


def test_files_with_other_names_are_passed_over(tmp_path: Path) -> None:
    good = plant_unit(tmp_path)
    good.with_name("notes.txt").write_text("x")
    good.with_name("activations_anger.pkl.tmp").write_bytes(b"half")
    (tmp_path / "activations" / "README").write_text("x")
    grid = read_all(tmp_path)
    assert (len(grid), grid.problems) == (1, ())


def test_a_name_that_is_no_label_is_a_problem(tmp_path: Path) -> None:
    good = plant_unit(tmp_path)
    good.rename(good.with_name("activations_a b.pkl"))
    grid = read_all(tmp_path)
    assert len(grid) == 0
    assert [problem.code for problem in grid.problems] == ["name_refused"]


def described(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(inspect_file(path), allow_nan=False))
    return document


def test_a_file_of_emoact_is_described_with_who_made_it_and_how(tmp_path: Path) -> None:
    path = plant_unit(tmp_path, n_samples=3)
    told = described(path)
    assert told["refused"] is None
    assert told["size"] == path.stat().st_size
    assert told["sha256"] == sha256(path.read_bytes()).hexdigest()
    assert (told["model"], told["emotion"]) == ("gpt2", "anger")
    assert (told["n_samples"], told["n_layers"], told["d_model"]) == (3, 4, 12)
    assert told["tokens"] == {"total": 15, "min": 4, "median": 5.0, "max": 6}
    assert told["prompts"] is True
    assert told["configuration_known"] is True
    assert told["provenance"]["run_id"] == "planted"
    assert told["findings"] == []
    assert told["ok"] is True


def test_values_without_a_json_form_are_described_in_words(tmp_path: Path) -> None:
    provenance = {
        "nan": float("nan"), "bytes": b"abc", "array": np.zeros(3), "scalar": np.float32(0.5),
        "long": "x" * 9999, 7: ("a", None, True), "kind": np.dtype("f4"), "large": 2**300,
    }  # fmt: skip
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(payload(metadata={"provenance": provenance}), protocol=4))
    told = described(path)["provenance"]
    assert told["nan"] == "nan"
    assert told["bytes"] == "3 bytes"
    assert told["array"] == "array of shape (3,)"
    assert told["scalar"] == 0.5
    assert len(told["long"]) < 2100
    assert told["7"] == ["a", None, True]
    assert told["large"] == 2**300


def test_a_file_with_nan_is_described_and_not_ok(tmp_path: Path) -> None:
    value = payload()
    value["residual_stream"][0][0][0, 0] = np.nan
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(value))
    told = described(path)
    assert told["ok"] is False
    assert told["refused"] is None
    assert "not_finite_resid_pre" in [finding["code"] for finding in told["findings"]]


def test_what_is_hostile_or_no_file_is_described_by_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(b"\x80\x04K\x01cos\nsystem\n)R.")
    told = described(path)
    assert (told["ok"], told["size"]) == (False, 18)
    assert told["sha256"] == sha256(path.read_bytes()).hexdigest()
    assert told["refused"]["offset"] == 4
    assert "os.system" in told["refused"]["reason"]
    assert told["refused"]["remedy"]
    told = described(tmp_path)
    assert told["refused"]["reason"] == "it is a folder, not a regular file"
    assert "sha256" not in told


def test_a_file_that_breaks_the_contract_is_described_with_every_finding(tmp_path: Path) -> None:
    value = payload()
    del value["tokens"]
    value["labels"] = []
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(value))
    told = described(path)
    assert told["refused"]["reason"].startswith("labels: ")
    assert {"labels", "tokens"} <= {finding["code"] for finding in told["findings"]}


LENGTHS = (3, 5, 4)


def unit_of(tmp_path: Path, value: dict[str, Any]) -> Unit:
    folder = tmp_path / "gpt2"
    folder.mkdir()
    path = folder / "activations_anger.pkl"
    path.write_bytes(pickle.dumps(value))
    return read(path)


@pytest.fixture
def old(tmp_path: Path) -> Unit:
    return unit_of(tmp_path, payload(lengths=LENGTHS))


def test_a_file_of_the_reports_time_is_read_with_position_zero_left_out(old: Unit) -> None:
    assert old.content_start == 1
    assert old.provenance is None
    assert old.configuration is None
    assert old.prompts is None
    assert not old.random_weights
    assert [note.code for note in old.notes] == ["configuration_unknown"]


def test_a_unit_knows_its_model_and_sizes(old: Unit) -> None:
    assert (old.folder, old.model_name, old.emotion) == ("gpt2", "gpt2", "anger")
    assert (old.n_layers, old.d_model, old.n_samples) == (2, 6, 3)
    assert old.lengths == LENGTHS
    assert old.labels == ("anger",) * 3
    assert [len(strings) for strings in old.token_strings] == list(LENGTHS)
    assert not any(ids.flags.writeable for ids in old.tokens)


def test_layers_and_samples_are_sequences(old: Unit) -> None:
    assert (len(old.residual_stream), len(old.residual_stream[0])) == (2, 3)
    assert [array.shape for array in old.residual_stream[1]] == [(3, 6), (5, 6), (4, 6)]
    assert [array.shape for array in old.residual_stream[1][1:]] == [(5, 6), (4, 6)]
    assert len(old.residual_stream[:1]) == 1
    np.testing.assert_array_equal(old.mlp_output[-1][-1], old.mlp_output[1][2])
    with pytest.raises(IndexError):
        old.residual_stream[2]
    with pytest.raises(IndexError):
        old.residual_stream[0][3]


def test_a_site_that_was_not_saved_is_empty_and_says_so(old: Unit) -> None:
    assert old.sites == ("resid_pre", "mlp_out")
    assert [len(old.by_site[name]) for name in ("attn_out", "resid_post", "pattern")] == [0, 0, 0]
    with pytest.raises(RequestError, match="attn_out was not saved; the file has resid_pre"):
        old.site("attn_out")


def test_a_file_without_mlp_outputs_has_one_site(tmp_path: Path) -> None:
    value = payload(metadata={"save_mlp_output": False})
    value["mlp_output"] = []
    assert unit_of(tmp_path, value).sites == ("resid_pre",)


def test_every_site_that_emoact_writes_is_found_in_its_shape(tmp_path: Path) -> None:
    path = plant_unit(tmp_path, n_layers=3, d_model=4, n_samples=2, sites=("resid_pre", "attn_out"))
    unit = read(path)
    assert unit.sites == ("resid_pre", "attn_out")
    assert (len(unit.site("attn_out")), unit.site("attn_out")[2][1].shape) == (3, (5, 4))
    assert {note.code for note in unit.notes} <= {"said_twice"}


def test_the_stream_after_the_last_layer_is_one_layer(tmp_path: Path) -> None:
    value = payload()
    value["residual_post"] = value["residual_stream"][1]
    value["attention_pattern"] = [[np.ones((2, n, n), np.float32) for n in LENGTHS]] * 2
    unit = unit_of(tmp_path, value)
    assert len(unit.site("resid_post")) == 1
    np.testing.assert_array_equal(unit.site("resid_post")[0][2], unit.residual_stream[1][2])
    assert unit.site("pattern")[1][1].shape == (2, 5, 5)
    assert unit.sites == ("resid_pre", "mlp_out", "resid_post", "pattern")
    assert all(len(unit.site(site)) for site in unit.sites)
    assert set(unit.by_site) == set(site_names())


def test_a_unit_of_emoact_states_the_configuration_that_comparisons_look_at(tmp_path: Path) -> None:
    unit = read(plant_unit(tmp_path, provenance={"commit": "c0ffee", "random_weights": True}))
    configuration = unit.configuration
    assert configuration is not None
    assert configuration["processing"] == "raw"
    assert configuration["bos"]["prepended"] is True
    assert configuration["dataset"] == "d" * 64
    # The commit that was loaded counts as the revision.
    assert configuration["revision"] == "c0ffee"
    assert unit.random_weights
    assert unit.prompts is not None
    assert unit.prompts[0]["text"] == "Prompt number 0 about a bicycle."


def test_a_file_whose_name_says_another_emotion_is_noted(tmp_path: Path) -> None:
    path = plant_unit(tmp_path)
    other = path.with_name("activations_apology.pkl")
    path.rename(other)
    assert "name_differs" in [note.code for note in read(other).notes]


def test_a_unit_outlives_its_file_being_replaced(tmp_path: Path) -> None:
    path = plant_unit(tmp_path)
    unit = read(path)
    before = unit.residual_stream[0][0].copy()
    path.unlink()
    path.write_bytes(b"something else")
    np.testing.assert_array_equal(unit.residual_stream[0][0], before)
