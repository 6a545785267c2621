"""Limits on data sets: defaults and environment."""

import time
import tracemalloc
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoact.data import read_prompts
from emoact.data.rows import Refused
from emoact.data.text_rows import goemotions_rows, jsonl_rows
from emoact.errors import RequestError
from emoact.schema import check_emotion, normal
from emoact.stats.audit.text import words_of


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_text("text,emotion\n" + f"{'x' * 150_000},a\n" * 3)
    return path


def test_limits_are_kept_and_the_environment_raises_them(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(
        RequestError, match=r"line 2: text has 150,000 characters; 20,000 are[^$]*EMOACT_MAX_CHARS"
    ):
        read_prompts(data)
    monkeypatch.setenv("EMOACT_MAX_CHARS", "150000")
    assert len(read_prompts(data).prompts) == 3
    monkeypatch.setenv("EMOACT_MAX_BYTES", "400000")
    with pytest.raises(RequestError, match=r"larger than 400,000 bytes\n.*raise EMOACT_MAX_BYTES"):
        read_prompts(data)


@pytest.mark.parametrize("variable", ["EMOACT_MAX_BYTES", "EMOACT_MAX_CHARS"])
@pytest.mark.parametrize("value", ["many", "", "0", "-5", "1e6", "²"])
def test_a_limit_that_is_no_positive_number_is_refused(
    data: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(RequestError, match=f"{variable} is {value!r}"):
        read_prompts(data)


@pytest.mark.parametrize("value", ["[]", "{}"])
def test_json_of_few_bytes_cannot_stand_for_gigabytes(tmp_path: Path, value: str) -> None:
    path = tmp_path / "data.json"
    path.write_text("[" + f"{value}," * 5_000_000 + "1]")
    with pytest.raises(RequestError, match="the JSON has more than 10,000,000 values"):
        read_prompts(path)


def test_line_breaks_take_no_list_of_lines() -> None:
    lines = b"\n" * 4_000_000
    tracemalloc.start()
    with pytest.raises(Refused, match="line 4000001"):
        list(jsonl_rows(lines + b'"x'))
    numbered = b"hi\t0\teew5j0j" + lines + b"x"
    rows, _ = goemotions_rows(numbered, delimiter="\t") or ([], ())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows[-1].where == "line 4000001"
    # The text, and the copy that the message takes from; a list has 8 bytes a line.
    assert peak < 20_000_000


def test_marks_without_end_on_one_character_take_no_time_of_their_square() -> None:
    begun = time.process_time()
    for form in ("NFC", "NFKC"):
        assert len(normal(form, "a" + "\u0315\u0300" * 100_000)) >= 200_000
    words_of("a" + "\u0315\u0300" * 100_000)
    with pytest.raises(RequestError, match="emotion label"):
        check_emotion("a" + "\u0315\u0300" * 100_000)
    # `unicodedata.normalize` takes minutes.
    assert time.process_time() - begun < 5


@given(st.text(st.sampled_from("a\u00e9\u0301\u0315\u0300\ufb01\u0344\uac00\u11a8 "), max_size=63))
def test_texts_of_few_marks_are_normal_as_unicode_says(text: str) -> None:
    for form in ("NFC", "NFKC"):
        assert normal(form, text) == unicodedata.normalize(form, text)
