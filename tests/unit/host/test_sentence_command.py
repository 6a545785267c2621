"""`emoact sentence` with a worker of arithmetic, beside planted classes."""

from pathlib import Path

import pytest

from tests.support.planted import plant_grid
from tests.support.typed import Typed


@pytest.fixture
def results(tmp_path: Path, stand_in: Path) -> Path:
    plant_grid(tmp_path, ["gpt2"], n_samples=10)
    return tmp_path


def test_the_nearest_class_is_said_and_the_second_is_warm(results: Path, typed: Typed) -> None:
    first = typed("sentence", "I broke the bicycle", "--results", results)
    assert "loading gpt2" in first.err
    lines = first.out.splitlines()
    assert "At layer 2 of resid_pre the sentence lies closest to" in lines[0]
    assert "of the 40 saved prompts, held out" in lines[1]
    assert {line.split()[0] for line in lines[3:]} == {"gratitude", "anger", "apology", "neutral"}
    nearest = lines[3].split()
    assert f"closest to {nearest[0]} ({nearest[1]};" in lines[0]

    words = ["sentence", "I broke it", "--results", str(results), "--json", "--by", "token"]
    second = typed(*words, "--norm", "rms", "--model", "gpt2")
    assert "loading" not in second.err
    document = second.json
    assert document["tokens"] == ["<|endoftext|>", "I", "broke", "it"]
    norms = [row["norm"] for row in document["rows"] if row["layer"] == 3]
    assert norms == pytest.approx([length / 12**0.5 for length in (1, 1, 5, 2)])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([" "], 2, "the sentence is empty"),
        (["hello", "--layer", "4"], 2, "allowed are 0, 1, 2, 3"),
        (["hello", "--layer", "-1"], 2, "allowed are 0, 1, 2, 3"),
        (["hello", "--site", "attn_out"], 2, "allowed are resid_pre, mlp_out"),
        (["hello", "--model", "no/such"], 2, "there are gpt2"),
        (["hello", "--by", "mood"], 2, "class, token, layer"),
        (["refuse"], 2, "too many tokens"),
        (["fail"], 1, "division by zero"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_what_goes_wrong_has_an_exit_code_and_says_what_there_is(
    results: Path, words: list[str], code: int, said: str, typed: Typed
) -> None:
    assert said in typed("sentence", *words, "--results", results, code=code).err


def test_one_of_several_models_must_be_named(tmp_path: Path, typed: Typed) -> None:
    plant_grid(tmp_path, ["gpt2", "pythia-160m"], ["anger"])
    assert "Name one with --model" in typed("sentence", "hello", "--results", tmp_path, code=2).err
    assert (
        "emoact extract" in typed("sentence", "hello", "--results", tmp_path / "none", code=2).err
    )
