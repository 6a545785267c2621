"""Contents of a unit: arrays by layer and sample, and metadata."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoact.errors import RequestError
from emoact.sites import site_names
from emoact.store.reading import read
from emoact.store.unit import Unit
from tests.support.honest import payload
from tests.support.planted import plant_unit

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
