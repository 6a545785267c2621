from __future__ import annotations

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoact.data.importing import check_import, columns_of, renamed
from emoact.errors import RequestError
from emoact.store.layout import ResultsRoot
from emoact.ui.prompt_import import keep_dataset, kept_datasets

GOOD = b"text,emotion\nHello there.,joy\nStill.,calm\n"


@given(stem=st.text(max_size=60), extension=st.sampled_from([".csv", ".CSV"]))
def test_a_file_of_any_name_is_kept_under_a_safe_name(stem: str, extension: str) -> None:
    name = check_import(f"{stem}{extension}", GOOD).file_name
    assert set(name) <= set(string.ascii_letters + string.digits + ".-")
    assert name.endswith(".csv")
    assert not name.startswith((".", "-"))
    ResultsRoot("results").dataset_path(name)


def test_a_refusal_names_the_file_as_its_owner_does() -> None:
    with pytest.raises(RequestError) as refused:
        check_import("mine.csv", b"text,emotion\nHello.,joy\nAgain.,\n")
    assert refused.value.message == "mine.csv line 3: emotion is empty"
    with pytest.raises(RequestError, match=r"unknown; \.jsonl"):
        check_import("picture.png", GOOD)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.csv", b'sentence,class,text\n"Hello, there.",joy,x\n\nStill.,calm,y\n'),
        ("a.tsv", b"sentence\tclass\ttext\nHello, there.\tjoy\tx\nStill.\tcalm\ty\n"),
        (
            "a.jsonl",
            b'{"sentence": "Hello, there.", "class": "joy", "text": "x"}\n'
            b'{"sentence": "Still.", "class": "calm"}\n',
        ),
        (
            "a.json",
            b'[{"sentence": "Hello, there.", "class": "joy", "text": "x"}, '
            b'{"sentence": "Still.", "class": "calm"}]',
        ),
    ],
)
def test_columns_of_other_names_are_mapped(name: str, data: bytes) -> None:
    assert columns_of(name, data) == ["sentence", "class", "text"]
    mapped = renamed(name, data, {"sentence": "text", "class": "emotion"})
    prompts = check_import(name, mapped).dataset.prompts
    assert [(each.text, each.emotion) for each in prompts] == [
        ("Hello, there.", "joy"),
        ("Still.", "calm"),
    ]


def test_a_file_that_cannot_be_read_has_no_columns() -> None:
    assert columns_of("a.csv", b'"text,emotion\n') == []
    assert columns_of("a.json", b"{") == []
    assert columns_of("a.parquet", b"PAR1") == []


def test_the_same_bytes_are_kept_once_and_unchanged(tmp_path: Path) -> None:
    found = check_import("mine.csv", GOOD)
    paths = {keep_dataset(str(tmp_path), found) for _ in range(2)}
    assert kept_datasets(str(tmp_path)) == list(paths)
    assert paths.pop().read_bytes() == GOOD
    other = check_import("mine.csv", GOOD + b"More.,joy\n")
    assert other.file_name != found.file_name
