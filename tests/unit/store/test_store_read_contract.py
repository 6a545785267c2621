"""The contract check names what is wrong, where, and how bad it is."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoact.errors import FileRefusedError
from emoact.store.contract import check_contract, check_finite
from emoact.store.reading import read
from emoact.store.unit import Unit
from tests.support.honest import payload

Payload = dict[str, Any]
PROVENANCE = {
    "schema_version": 1,
    "model_name": "gpt2",
    "revision": "main",
    "weight_source": "hub",
    "processing": "raw",
    "bos": {"policy": "prepend", "prepended": True, "token": "<|endoftext|>", "token_id": 50256},
    "dtype": "float32",
    "dataset": {"source": "p.jsonl", "sha256": "0" * 64},
    "sites": ["resid_pre", "mlp_out"],
}
ADDITIONS = {
    "prompts": [{"id": "a", "text": "x"}, {"id": "b", "text": "y"}, {"id": "c", "text": "z"}],
    "content_start": 1,
    "sites": ["resid_pre", "mlp_out"],
    "provenance": PROVENANCE,
}


def ours(**changes: Any) -> Payload:
    """A file with emoact's additions, numpy tokens, and some metadata replaced."""
    return payload(token=lambda array: array, metadata={**copy.deepcopy(ADDITIONS), **changes})


def codes(value: object, severity: str | None = None) -> set[str]:
    found = check_contract(value)
    return {each.code for each in found if severity in (None, each.severity)}


def changed(change: Callable[[Payload], object]) -> Payload:
    value = ours()
    change(value)
    return value


def put(*path: Any) -> Callable[[Payload], None]:
    """A change that sets the last of `path` at the place that the others name."""

    def change(value: Any) -> None:
        *way, key, new = path
        for step in way:
            value = value[step]
        value[key] = new

    return change


def drop(*path: Any) -> Callable[[Payload], None]:
    def change(value: Any) -> None:
        *way, key = path
        for step in way:
            value = value[step]
        del value[key]

    return change


def read_back(folder: Path, value: Payload) -> Unit:
    path = folder / "a.pkl"
    path.write_bytes(pickle.dumps(value, protocol=4))
    return read(path)


SMALL = np.zeros((3, 6), np.float32)


def test_a_file_with_all_additions_has_no_finding() -> None:
    assert check_contract(ours()) == []


def test_a_file_of_the_reports_time_has_one_note_that_its_configuration_is_unknown() -> None:
    found = check_contract(payload(token=lambda array: array))
    assert [(each.code, each.severity) for each in found] == [("configuration_unknown", "note")]


@pytest.mark.parametrize(
    "spans", [[[0, 1]], [[0, 99]] * 3, [[-1, 1]] * 3, [[1, 0]] * 3, [["0", 1]] * 3, [0, 1, 1], {}]
)
def test_positions_of_the_text_that_no_prompt_has_are_an_error(spans: object) -> None:
    assert "content_spans" in codes(ours(content_spans=spans), "error")


@pytest.mark.parametrize(
    ("spans", "texts", "code"),
    [
        ([[0, 99]] * 3, ["a"] * 3, "response_spans"),
        ([[1, 1]] * 3, ["a"] * 3, "response_spans"),
        ([[0, 1]] * 3, ["a"] * 3, "response_spans"),
        ([[1, 2]] * 3, ["a"] * 2, "responses"),
        ([[1, 2]] * 3, [1] * 3, "responses"),
        (None, ["a"] * 3, "responses"),
        ([[1, 2]] * 3, None, "responses"),
    ],
)
def test_responses_elsewhere_are_an_error(spans: object, texts: object, code: str) -> None:
    said = {"content_spans": [[0, 1]] * 3, "response_spans": spans, "responses": texts}
    assert code in codes(ours(**said), "error")


@pytest.mark.parametrize(
    ("change", "code", "where"),
    [
        (drop("residual_stream"), "flag", "metadata.save_residual_stream"),
        (put("residual_stream", None), "flag", "metadata.save_residual_stream"),
        (put("residual_stream", [[], []]), "flag", "metadata.save_residual_stream"),
        (put("residual_stream", 7), "layers", "residual_stream"),
        (put("residual_stream", [[SMALL] * 3]), "layers", "residual_stream"),
        (put("mlp_output", 1, [SMALL]), "samples", "mlp_output[1]"),
        (put("mlp_output", 1, None), "samples", "mlp_output[1]"),
        (put("mlp_output", 1, 2, None), "not_an_array", "mlp_output[1][2]"),
        (put("mlp_output", 1, 2, [[1.0]]), "not_an_array", "mlp_output[1][2]"),
        (put("mlp_output", 1, 2, np.zeros((4, 5), np.float32)), "shape", "mlp_output[1][2]"),
        (put("mlp_output", 1, 2, np.zeros((3, 6), np.float32)), "shape", "mlp_output[1][2]"),
        (put("mlp_output", 1, 2, np.zeros((1, 4, 6), np.float32)), "shape", "mlp_output[1][2]"),
        (put("mlp_output", 1, 2, np.zeros((4, 6), np.int64)), "dtype", "mlp_output[1][2]"),
        (drop("tokens"), "tokens", "tokens"),
        (put("tokens", 0, np.zeros((0,), np.int64)), "tokens", "tokens[0]"),
        (put("tokens", 0, np.zeros((2, 3), np.int64)), "tokens", "tokens[0]"),
        (put("tokens", 0, np.zeros(3)), "tokens", "tokens[0]"),
        (put("tokens", 0, [1, 2, None]), "tokens", "tokens[0]"),
        (put("tokens", 0, [1, 2, 2**70]), "tokens", "tokens[0]"),
        (put("tokens", 0, np.arange(4)), "token_strings", "token_strings[0]"),
        (drop("token_strings"), "token_strings", "token_strings"),
        (put("token_strings", 1, None), "token_strings", "token_strings[1]"),
        (put("token_strings", 1, [1, 2, 3, 4, 5]), "token_strings", "token_strings[1]"),
        (put("token_strings", 1, ["a"]), "token_strings", "token_strings[1]"),
        (put("labels", ["anger"]), "labels", "labels"),
        (put("labels", "anger"), "labels", "labels"),
        (put("labels", 2, None), "labels", "labels[2]"),
        (drop("metadata"), "metadata_missing", "metadata"),
        (put("metadata", []), "metadata_missing", "metadata"),
        (drop("metadata", "n_layers"), "metadata_count", "metadata.n_layers"),
        (put("metadata", "n_layers", 3), "layers", "residual_stream"),
        (put("metadata", "n_layers", True), "metadata_count", "metadata.n_layers"),
        (put("metadata", "n_layers", 2.0), "metadata_count", "metadata.n_layers"),
        (put("metadata", "n_layers", -2), "metadata_count", "metadata.n_layers"),
        (put("metadata", "n_layers", 2**400), "metadata_count", "metadata.n_layers"),
        (put("metadata", "n_layers", [2] * 9999), "metadata_count", "metadata.n_layers"),
        (put("metadata", "d_model", 7), "shape", "residual_stream[0][0]"),
        (put("metadata", "n_samples", 4), "labels", "labels"),
        (put("metadata", "model_name", ""), "model_name", "metadata.model_name"),
        (put("metadata", "model_name", "a\nb"), "model_name", "metadata.model_name"),
        (put("metadata", "model_name", "a\u202eb"), "model_name", "metadata.model_name"),
        (put("metadata", "model_name", 7), "model_name", "metadata.model_name"),
        (put("metadata", "model_name", "a" * 999), "model_name", "metadata.model_name"),
        (put("metadata", "emotion_label", "../x"), "emotion_label", "metadata.emotion_label"),
        (put("metadata", "emotion_label", None), "emotion_label", "metadata.emotion_label"),
        (put("metadata", "emotion_label", "e\u0301"), "emotion_label", "metadata.emotion_label"),
        (put("metadata", "content_start", 2), "content_start", "metadata.content_start"),
        (put("metadata", "content_start", "1"), "content_start", "metadata.content_start"),
        (put("metadata", "sites", ["resid_pre"]), "sites_differ", "mlp_output"),
        (put("residual_post", [SMALL]), "samples", "residual_post"),
        (put("attn_output", [[SMALL] * 3]), "layers", "attn_output"),
        (put("attention_pattern", [[SMALL] * 3] * 2), "shape", "attention_pattern[0][0]"),
    ],
)  # fmt: skip
def test_what_makes_a_file_unusable_is_an_error_with_its_field(
    change: Callable[[Payload], object], code: str, where: str, tmp_path: Path
) -> None:
    value = changed(change)
    errors = [each for each in check_contract(value) if each.severity == "error"]
    assert (code, where) in [(each.code, each.where) for each in errors]
    assert all(each.remedy for each in errors)
    assert all(len(each.message) < 300 for each in errors)
    with pytest.raises(FileRefusedError) as caught:
        read_back(tmp_path, value)
    assert caught.value.remedy


@pytest.mark.parametrize("value", [None, [], "x", 7, np.zeros(3), {}, {"metadata": {}}])
def test_something_else_altogether_is_an_error(value: object) -> None:
    assert codes(value, "error")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (put("labels", 1, "joy"), "labels_differ"),
        (put("tokens", 1, np.array([-1, 0, 1, 2, 3])), "token_range"),
        (put("tokens", 1, np.array([50257, 0, 1, 2, 3])), "token_range"),
        (put("metadata", "save_mlp_output", False), "flag"),
        (put("metadata", "save_attention", True), "flag"),
        (put("metadata", "prompts", [{"text": "x"}]), "prompts"),
        (put("metadata", "prompts", [1, 2, 3]), "prompts"),
        (put("metadata", "prompts", [{"text": "x", 3: "y"}] * 3), "prompts"),
        (put("metadata", "sites", "all"), "sites"),
        (drop("metadata", "provenance", "processing"), "provenance_incomplete"),
        (put("metadata", "provenance", {**PROVENANCE, "model_name": "x"}), "said_twice"),
        (put("metadata", "content_start", 0), "said_twice"),
    ],
)
def test_what_can_be_lived_with_warns(change: Callable[[Payload], object], code: str) -> None:
    value = changed(change)
    assert codes(value, "error") == set()
    assert code in codes(value, "warning")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (put("mlp_output", 0, 0, np.zeros((3, 6), np.float16)), "stored_as_float16"),
        (put("mlp_output", 0, 0, np.zeros((3, 6), np.float64)), "stored_as_float64"),
        (put("mlp_output", 0, 0, np.zeros((6, 3), np.float32).T), "not_contiguous"),
        (put("tokens", 0, np.arange(3)[None]), "tokens_row"),
        (put("extra", 1), "unknown_keys"),
        (drop("metadata", "d_vocab"), "no_d_vocab"),
        (drop("metadata", "save_attention"), "no_save_attention"),
        (put("metadata", 7, "seven"), "metadata_key"),
    ],
)
def test_what_readers_should_know_is_noted(change: Callable[[Payload], object], code: str) -> None:
    value = changed(change)
    assert codes(value, "error") == codes(value, "warning") == set()
    assert code in codes(value, "note")


def test_prompts_may_be_plain_texts(tmp_path: Path) -> None:
    unit = read_back(tmp_path, ours(prompts=["x", "y", "z"]))
    assert unit.notes == ()
    assert unit.prompts == ({"text": "x"}, {"text": "y"}, {"text": "z"})


def test_a_file_without_a_prompt_per_sample_has_no_prompts(tmp_path: Path) -> None:
    assert read_back(tmp_path, ours(prompts=["x"])).prompts is None


def test_a_thousand_bad_arrays_make_one_finding_with_their_number() -> None:
    value = ours()
    value["mlp_output"] = [[np.zeros((9, 9), np.float32)] * 3] * 2
    shapes = [each for each in check_contract(value) if each.code == "shape"]
    assert [each.where for each in shapes] == ["mlp_output[0][0]"]
    assert "5 more" in shapes[0].message


def test_a_sample_that_is_all_bos_is_a_warning() -> None:
    value = payload(lengths=(1, 2), metadata={"content_start": 1}, token=lambda array: array)
    assert "no_content" in codes(value, "warning")


def test_finite_values_have_no_finding(tmp_path: Path) -> None:
    assert check_finite(read_back(tmp_path, ours())) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_values_are_found_with_their_place(bad: float, tmp_path: Path) -> None:
    value = ours()
    value["mlp_output"][1][2][0, 3] = bad
    value["mlp_output"][1][2][1, 0] = bad
    (found,) = check_finite(read_back(tmp_path, value))
    assert (found.code, found.severity) == ("not_finite_mlp_out", "warning")
    assert found.where == "mlp_output[1][2]"
    assert found.message.startswith("2 of 24 values")


def test_float64_beyond_float32_is_found_as_infinite(tmp_path: Path) -> None:
    value = ours()
    value["mlp_output"][0][0] = np.full((3, 6), 1e300)
    (found,) = check_finite(read_back(tmp_path, value))
    assert found.message.startswith("18 of 18 values")
