"""Limits on data sets: defaults, arguments and environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from emoact.data import read_prompts
from emoact.errors import RequestError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_text("text,emotion\n" + "word " * 5_000 + ",joy\n" + "short,joy\n")
    return path


def test_limits_are_kept_and_can_be_raised(tmp_path: Path) -> None:
    path = tmp_path / "prompts.csv"
    path.write_text("text,emotion\n" + f"{'x' * 150_000},a\n" * 3)
    with pytest.raises(
        RequestError, match=r"line 2: text has 150,000 characters; 20,000 are[^$]*EMOACT_MAX_CHARS"
    ):
        read_prompts(path)
    with pytest.raises(RequestError, match=r"larger than 400,000 bytes\n.*raise max_bytes"):
        read_prompts(path, max_bytes=400_000, max_chars=150_000)
    with pytest.raises(RequestError, match=r"line 4: more than 2 prompts\n.*raise max_rows"):
        read_prompts(path, max_chars=150_000, max_rows=2)
    assert len(read_prompts(path, max_chars=150_000).prompts) == 3


@pytest.mark.parametrize("limit", ["max_bytes", "max_chars", "max_rows"])
def test_a_limit_below_one_is_refused(tmp_path: Path, limit: str) -> None:
    path = tmp_path / "prompts.csv"
    path.write_text("text,emotion\na,b\n")
    with pytest.raises(RequestError, match=f"{limit} is 0; it must be at least 1"):
        read_prompts(path, **{limit: 0})


def test_the_environment_raises_a_limit_and_an_argument_wins_over_it(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOACT_MAX_CHARS", "30000")
    assert len(read_prompts(data).prompts) == 2
    with pytest.raises(RequestError, match="100 are allowed"):
        read_prompts(data, max_chars=100)


@pytest.mark.parametrize("value", ["many", "", "0", "-5", "1e6"])
def test_a_limit_that_is_no_positive_number_is_refused(
    data: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("EMOACT_MAX_ROWS", value)
    with pytest.raises(RequestError, match=r"EMOACT_MAX_ROWS|max_rows"):
        read_prompts(data)


def test_each_limit_has_its_variable(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOACT_MAX_CHARS", "30000")
    monkeypatch.setenv("EMOACT_MAX_ROWS", "1")
    with pytest.raises(RequestError, match="more than 1 prompts"):
        read_prompts(data)
    monkeypatch.setenv("EMOACT_MAX_BYTES", "1000")
    with pytest.raises(RequestError, match="larger than 1,000 bytes"):
        read_prompts(data)
