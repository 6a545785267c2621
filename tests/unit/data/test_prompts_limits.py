"""Limits on data sets: kept by default, raised by whoever wants to."""

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


def test_a_long_row_is_refused_with_the_way_to_allow_it(data: Path) -> None:
    with pytest.raises(RequestError, match=r"24,999|25,000") as caught:
        read_prompts(data)
    assert "EMOACT_MAX_CHARS" in str(caught.value)


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
