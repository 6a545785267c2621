"""CSV, TSV and Parquet files that are no data set."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emoact.data import parquet_rows, read_prompts
from emoact.errors import RequestError
from tests.support.refusals import check_refused

pytestmark = pytest.mark.fault

ABORTS = (
    "c-noCO=`n15QU$FQA5ZgF^rJF3vVK_a7<H3R@ro)Md%IWAZQk;UBzufPt(ivCOt^U{RyTmT?oOOd2ha%?e)!q5*pH"
    "QLz0jJ0)Qt_N@>B;m=vjOg_-b1_{oH;vU@^E{5Dp987m{IpGLc0!l>i!HXJ-9pwaYXk~W;$DK;6mu^`PwIMnUFzWdU"
    "&w3#g&G8)+>)YyJHhzmOE=t?)}gW7`mKs*f$Be7<`vhIVTAM!orobw{wb07S_ApIt^bOZh{%Nrl>A3{6dHO<_|SU=^"
    "DAs+YjYksvVFUy53c#Uq8?p9mA{5z}tG-v"
)

# (content, place, words of the problem, words of the remedy)
CSV = [
    ("\n\r\n \n", "", "no prompt in it", "at least one row"),
    ("text,emotion\n", "", "no prompt in it", "at least one row"),
    ("text,emotion\n\n  \n\n", "", "no prompt in it", "at least one row"),
    ("Thanks.,gratitude\n", " line 1", "'text' is missing", "fields text and emotion"),
    ("sentence,emotion\na,b\n", " line 1", "'text' is missing", "Rename 'sentence' to 'text'"),
    ("Text,Emotion\na,b\n", " line 1", "'text' is missing", "Rename 'Text' to 'text'"),
    ("text, emotion\na,b\n", " line 1", "'emotion' is missing", "Rename ' emotion'"),
    ("text,label\na,b\n", " line 1", "'emotion' is missing", "Rename 'label' to 'emotion'"),
    ("text\na\n", " line 1", "'emotion' is missing", "fields text and emotion"),
    ("text;emotion\na;b\n", " line 1", "separated by semicolons", "commas between"),
    ("text\temotion\na\tb\n", " line 1", "separated by tabs", "name the file .tsv"),
    ("text,text,emotion\na,b,c\n", " line 1", "'text' occurs 2 times", "Rename or remove"),
    ("emotion,text,emotion\na,b,c\n", " line 1", "'emotion' occurs 2 times", "Rename or remove"),
    ("text,emotion,id,id,id\na,b,c,d,e\n", " line 1", "'id' occurs 3 times", "Rename or remove"),
    ("text,emotion\na,b,c\n", " line 2", "3 values where the header has 2", "double quotes"),
    ("text,emotion\na,b\nYes, sir,c\n", " line 3", "3 values where", "holds a comma"),
    ("text,emotion\na\n", " line 2", "1 values where the header has 2", "Fill in"),
    ("text,emotion,id\na,b,1\nc,d\n", " line 3", "2 values where the header has 3", "Fill in"),
    ('text,emotion\n"a,b\n', " line 2", "never closed", "Close the quote"),
    ('text,emotion\na,b\n"c,d\ne,f\n', " line 3", "never closed", "Close the quote"),
    ('"text,emotion\na,b\n', " line 1", "never closed", "Close the quote"),
    ('text,emotion\n"a"b,c\n', " line 2", "not followed by a", "twice"),
    ('text,emotion\n"a" ,c\n', " line 2", "not followed by a", "twice"),
    ('text,emotion\n"a,b\n"c,d\n', " line 2", "not followed by a", "Close the quote"),
    ('text,emotion\n"one\ntwo",b\nthree\n', " line 4", "1 values", "Fill in"),
    ("text,emotion\n,\n", " line 2", "text is empty", "remove the row"),
    ("text,emotion\na,b\n,,\n", " line 3", "3 values", "double quotes"),
    ('text,emotion\n"a\r\nb",c\n', " line 2", "U+000D", "line breaks"),
    ("text,emotion,id\na,b,\nc,d,2\n", " line 3", "id is given here only", "numbered"),
    ("text,emotion,id\na,b,1\nc,d,1\n", " line 3", "'1' is that of line 2", "of its own"),
    ("text,emotion\na,Joy\nc,joy\n", " line 3", "differs from 'Joy' of line 2", "Use 'Joy'"),
    ("text,emotion\na,\u00c9mu\nc,e\u0301mu\n", " line 3", "in capitals only", "or rename one"),
    ('[{"text": "a", "emotion": "b"}]\n', " line 1", "'text' is missing", "text and emotion"),
]
TSV = [
    ("text,emotion\na,b\n", " line 1", "separated by commas", "tabs between"),
    ("text\temotion\na b\n", " line 2", "1 values where the header has 2", "Fill in"),
    ("text\temotion\na\tb\tc\n", " line 2", "3 values where", "holds a tab"),
    ('text\temotion\n"Hi" she said\tb\n', " line 2", "not followed by a tab", "twice"),
    ('text\temotion\n"Hi\tb\n', " line 2", "never closed", "Close the quote"),
    ("sentence\temotion\na\tb\n", " line 1", "'text' is missing", "Rename 'sentence'"),
    ("text\temotion\n\t\n", " line 2", "text is empty", "remove the row"),
]
# (columns, place, words of the problem, words of the remedy)
PARQUET = [
    ({"text": ["a"]}, "", "'emotion' is missing", "text and emotion"),
    ({"emotion": ["a"]}, "", "'text' is missing", "text and emotion"),
    ({"sentence": ["a"], "emotion": ["b"]}, "", "'text' is missing", "Rename 'sentence'"),
    ({"text": ["a"], "Emotion": ["b"]}, "", "'emotion' is missing", "Rename 'Emotion'"),
    ({"text": [1], "emotion": ["b"]}, "", "'text' holds 'int64'; text is", "to strings"),
    ({"text": ["a"], "emotion": [0]}, "", "'emotion' holds 'int64'", "to strings"),
    ({"text": [b"a"], "emotion": ["b"]}, "", "'text' holds 'binary'", "to strings"),
    ({"text": [1.5], "emotion": ["b"]}, "", "'text' holds 'double'", "to strings"),
    ({"text": [["a"]], "emotion": ["b"]}, "", "'text' holds 'list", "to strings"),
    ({"text": [{"en": "a"}], "emotion": ["b"]}, "", "'text' holds 'struct", "to strings"),
    ({"text": [None], "emotion": ["b"]}, "", "'text' holds 'null'", "to strings"),
    ({"text": ["a"], "emotion": [True]}, "", "'emotion' holds 'bool'", "to strings"),
    ({"text": ["a"], "emotion": ["b"], "id": [1.5]}, "", "'id' holds 'double'; text or", "strings"),
    ({"text": ["a"], "emotion": ["b"], "id": [True]}, "", "'id' holds 'bool'", "to strings"),
    ({"text": ["a"], "emotion": ["b"], "subset": [1]}, "", "'subset' holds 'int64'", "to strings"),
    ({"text": ["a"], "emotion": ["b"], "lang": [["en"]]}, "", "'lang' holds 'list", "strings"),
    ({"text": ["a", None], "emotion": ["b", "b"]}, " row 2", "text is None", "Fill in"),
    ({"text": ["a", "b"], "emotion": ["b", None]}, " row 2", "emotion is None", "Fill in"),
    ({"text": ["a", "b"], "emotion": ["b", "b"], "id": [3, 3]}, " row 2", "'3' is that", "own"),
    ({"text": ["a", "b"], "emotion": ["b", "b"], "id": [3, None]}, " row 2", "id is empty", "num"),
    ({"text": ["a"] * 3000, "emotion": ["b"] * 2999 + ["B"]}, " row 3000", "capitals", "Use 'b'"),
    ({"text": [], "emotion": []}, "", "holds 'null'", "to strings"),
]
TEXT_CASES = [("csv", *case) for case in CSV] + [("tsv", *case) for case in TSV]


@pytest.mark.parametrize(
    ("form", "content", "place", "problem", "remedy"),
    TEXT_CASES,
    ids=[f"{case[0]}-{index}" for index, case in enumerate(TEXT_CASES)],
)
def test_a_malformed_table_is_refused_with_file_line_and_remedy(
    tmp_path: Path, form: str, content: str, place: str, problem: str, remedy: str
) -> None:
    path = tmp_path / f"prompts.{form}"
    path.write_bytes(content.encode())
    check_refused(path, place, problem, remedy)


@pytest.mark.parametrize(
    ("columns", "place", "problem", "remedy"),
    PARQUET,
    ids=[f"parquet-{index}" for index in range(len(PARQUET))],
)
def test_a_malformed_parquet_file_is_refused_with_file_row_and_remedy(
    tmp_path: Path, columns: dict[str, list[object]], place: str, problem: str, remedy: str
) -> None:
    path = tmp_path / "prompts.parquet"
    pq.write_table(pa.table(columns), path)
    check_refused(path, place, problem, remedy)


def test_a_parquet_column_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prompts.parquet"
    columns = [pa.array(["a"]), pa.array(["b"]), pa.array(["c"])]
    pq.write_table(pa.table(columns, names=["text", "emotion", "text"]), path)
    check_refused(path, "", "'text' occurs 2 times", "Rename or remove")


def test_a_parquet_file_without_rows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prompts.parquet"
    empty = pa.array([], type=pa.string())
    pq.write_table(pa.table({"text": empty, "emotion": empty}), path)
    check_refused(path, "", "no prompt in it", "at least one row")


def test_parquet_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prompts.parquet"
    offsets = pa.py_buffer(b"\0\0\0\0\1\0\0\0\3\0\0\0")
    broken = pa.StringArray.from_buffers(2, offsets, pa.py_buffer(b"a\xff\xfe"))
    pq.write_table(pa.table({"text": broken, "emotion": ["b", "b"]}), path)
    check_refused(path, " row 2", "text is not UTF-8", "Unicode text")


def test_a_short_parquet_file_cannot_stand_for_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "prompts.parquet"
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 5_000, pa.int32()), ["x" * 3_000_000])
    pq.write_table(pa.table({"text": long, "emotion": ["b"] * 5_000}), path)
    assert path.stat().st_size < 1_000_000
    check_refused(path, " row 1", "longer than 20,000 characters", "EMOACT_MAX_CHARS")


def test_parquet_columns_that_unpack_to_far_more_than_is_allowed_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOACT_MAX_BYTES", "10000")
    path = tmp_path / "prompts.parquet"
    pq.write_table(pa.table({"text": ["x" * 900_000], "emotion": ["b"]}), path, compression="gzip")
    with pytest.raises(RequestError, match="unpacked; 200,000 are allowed"):
        read_prompts(path)


def test_a_parquet_file_that_makes_its_library_abort_is_refused(tmp_path: Path) -> None:
    # Two bytes of a sound file changed; pyarrow 26 ends the process ("level histogram size").
    path = tmp_path / "prompts.parquet"
    path.write_bytes(zlib.decompress(base64.b85decode(ABORTS)))
    check_refused(path, "", "not a readable Parquet file", "Write it again")


@pytest.mark.parametrize(
    "child",
    [
        "import os; os.abort()",
        """print('["row", {"text": "a", "emotion": "b"}]')""",
        """print('["row", {"text": "a", "emotion": ', end='')""",
        "import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass",
    ],
    ids=["aborts", "ends before the end mark", "ends in a row", "runs out of time"],
)
def test_a_reading_process_that_does_not_finish_is_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, child: str
) -> None:
    path = tmp_path / "prompts.parquet"
    pq.write_table(pa.table({"text": ["a"], "emotion": ["b"]}), path)
    monkeypatch.setattr(parquet_rows, "_CHILD", child)
    check_refused(path, "", "the reader crashed, or took too much memory or time", "Write it again")
