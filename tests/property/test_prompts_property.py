"""Whatever the bytes are, a data set is read or refused; whatever is written is read back."""

import csv
import io
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emoact.data import read_prompts
from emoact.errors import RequestError
from emoact.schema import Dataset

TEXT_FORMATS = ("jsonl", "json", "csv", "tsv")
Rows = Sequence[dict[str, str]]


def _parquet(rows: Rows) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({name: [row[name] for row in rows] for name in rows[0]}), buffer)
    return buffer.getvalue()


def _delimited(rows: Rows, delimiter: str) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, list(rows[0]), delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue().encode()


def _encoded(rows: Rows, form: str) -> bytes:
    if form == "jsonl":
        return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
    if form == "json":
        return json.dumps({"prompts": rows}).encode()
    return _parquet(rows) if form == "parquet" else _delimited(rows, "\t" if form == "tsv" else ",")


def _read(data: bytes, form: str) -> Dataset:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"prompts.{form}"
        path.write_bytes(data)
        return read_prompts(path)


def _read_or_remedy(data: bytes, form: str) -> object:
    try:
        return _read(data, form).prompts
    except RequestError as error:
        return "prompts." in error.message and error.remedy


SOUND = [
    {"text": f"Sentence {n}.", "emotion": "anger", "id": f"i{n}", "lang": "en"} for n in range(6)
]
VISIBLE = st.characters(categories=["L", "N", "P", "S", "M"])
TEXT = st.builds(
    "{}{}{}".format,
    st.text(st.sampled_from(" \t\n\u2028\u200b"), max_size=2),
    VISIBLE,
    st.text(st.one_of(VISIBLE, st.sampled_from(' \t\n\u2028\u00a0,"')), max_size=30),
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "text": TEXT,
            "emotion": st.sampled_from(["anger", "joy", "怒り", "e_1-x"]),
            "scenario_id": st.sampled_from(["s1", "s 2"]),
        }
    ),
    min_size=1,
    max_size=8,
)


@pytest.mark.parametrize("form", TEXT_FORMATS)
@given(rows=ROWS)
@settings(max_examples=60, deadline=None)
def test_what_is_written_in_any_text_format_is_read_back(form: str, rows: Rows) -> None:
    _check_round_trip(form, rows)


@given(rows=ROWS)
@settings(max_examples=10, deadline=None)
def test_what_is_written_in_parquet_is_read_back(rows: Rows) -> None:
    _check_round_trip("parquet", rows)


def _check_round_trip(form: str, rows: Rows) -> None:
    prompts = _read(_encoded(rows, form), form).prompts
    assert [prompt.text for prompt in prompts] == [row["text"] for row in rows]
    assert [prompt.emotion for prompt in prompts] == [row["emotion"] for row in rows]
    assert [prompt.scenario_id for prompt in prompts] == [row["scenario_id"] for row in rows]
    assert len({prompt.id for prompt in prompts}) == len(rows)


@pytest.mark.parametrize("form", [*TEXT_FORMATS, "parquet"])
@given(data=st.binary(max_size=400))
@settings(max_examples=150, deadline=None)
@example(data=b'{"text":"a","emotion":"\xf0\x9f"}')
@example(data=b'"' * 300)
@example(data=b"\xff\xfe\x00")
def test_arbitrary_bytes_are_read_or_refused(form: str, data: bytes) -> None:
    assert _read_or_remedy(data, form)


@pytest.mark.parametrize("form", TEXT_FORMATS)
@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_a_damaged_data_set_is_read_or_refused(form: str, data: st.DataObject) -> None:
    _check_damaged(form, data)


@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_a_damaged_parquet_file_is_read_or_refused(data: st.DataObject) -> None:
    _check_damaged("parquet", data)


def _check_damaged(form: str, data: st.DataObject) -> None:
    sound = bytearray(_encoded(SOUND, form))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(sound) - 1))
        kind = data.draw(st.sampled_from(["flip", "set", "cut", "double"]))
        if kind == "flip":
            sound[place] ^= 1 << data.draw(st.integers(0, 7))
        elif kind == "set":
            sound[place] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del sound[place : place + data.draw(st.integers(1, 20))]
        else:
            sound[place:place] = sound[place : place + data.draw(st.integers(1, 20))]
        if not sound:
            break
    assert _read_or_remedy(bytes(sound), form)
