"""Parquet files that are no data set."""

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


@pytest.mark.parametrize("kept", [True, False])
def test_a_short_parquet_file_cannot_stand_for_gigabytes(tmp_path: Path, kept: bool) -> None:
    path = tmp_path / "prompts.parquet"
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 5_000, pa.int32()), ["x" * 3_000_000])
    # Without the schema of arrow a reader takes the column for one of plain texts.
    table = pa.table({"text": long, "emotion": ["b"] * 5_000})
    pq.write_table(table, path, store_schema=kept)
    assert path.stat().st_size < 1_000_000
    check_refused(path, " row 1", "longer than 20,000 characters", "EMOACT_MAX_CHARS")


def test_a_dictionary_of_few_texts_cannot_stand_for_millions_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOACT_MAX_BYTES", "5000000")
    path = tmp_path / "prompts.parquet"
    zeros = pa.array([0] * 3_000_000, pa.int32())
    columns = {"text": ["a text of some words " * 20], "emotion": ["calm"]}
    table = {name: pa.DictionaryArray.from_arrays(zeros, one) for name, one in columns.items()}
    pq.write_table(pa.table(table), path)
    assert path.stat().st_size < 200_000
    with pytest.raises(RequestError, match="take more than 5,000,000 bytes as text"):
        read_prompts(path)


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


def test_the_reading_process_has_limits_and_sees_no_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "prompts.parquet"
    pq.write_table(pa.table({"text": ["a"], "emotion": ["b"]}), path)
    told = (
        "import os, resource, sys; sys.path.insert(0, sys.argv[1]); "
        "from emoact.data import parquet_rows as rows; "
        "said = lambda: [*map(resource.getrlimit, (resource.RLIMIT_AS, resource.RLIMIT_CPU)), "
        "'HF_TOKEN' in os.environ]; "
        "rows._content = lambda *_: [{'text': str(said()), 'emotion': 'b'}]; rows.unpack(1, 1)"
    )
    monkeypatch.setenv("HF_TOKEN", "canary")
    monkeypatch.setattr(parquet_rows, "_CHILD", told)
    (prompt,) = read_prompts(path).prompts
    assert prompt.text == f"[({4 << 30}, {4 << 30}), (120, 120), False]"
