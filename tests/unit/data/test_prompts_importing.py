import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoact.data.importing import check_import, columns_of, renamed
from emoact.errors import RequestError
from emoact.store.layout import ResultsRoot
from emoact.ui.prompt_data import kept_datasets
from emoact.ui.prompt_import import keep_dataset

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


@pytest.mark.parametrize(
    "other", ["NaN", "[NaN]", '{"a": [Infinity]}', '"\\ud800"', '["\\udfff"]', "1" * 4_000]
)
@pytest.mark.parametrize("ending", [".json", ".jsonl"])
def test_what_other_columns_hold_does_not_end_the_mapping(other: str, ending: str) -> None:
    row = f'{{"sentence": "Hello. \\ud83d\\ude00", "class": "joy", "other": {other}}}'
    data = (f"[{row}]" if ending == ".json" else f"{row}\n").encode()
    name = f"a{ending}"
    columns = columns_of(name, data)
    if not columns:
        with pytest.raises(RequestError, match="not a JSON value"):
            check_import(name, data)
        return
    assert columns == ["sentence", "class", "other"]
    mapped = renamed(name, data, {"sentence": "text", "class": "emotion"})
    assert check_import(name, mapped).dataset.prompts[0].text == "Hello. \U0001f600"


def test_columns_that_a_page_cannot_show_are_not_offered() -> None:
    halves = b'{"sentence": "Hello.", "class": "joy", "\\ud800": 1}\n'
    assert columns_of("a.jsonl", halves) == ["sentence", "class"]
    odd = ["=cmd|' /C calc'!A0", "http://evil.example", "sentence", "class"]
    data = ",".join(f'"{name}"' for name in odd).encode() + b"\na,b,Hello.,joy\n"
    assert columns_of("a.csv", data) == odd
    many = ",".join(f"text{number}" for number in range(1_000_000)).encode() + b"\n"
    assert columns_of("a.csv", many) == []
    with pytest.raises(RequestError, match="the field 'text' is missing"):
        check_import("a.csv", many)
