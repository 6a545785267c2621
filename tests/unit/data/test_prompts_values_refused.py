"""One malformed value in an otherwise sound data set, in every format that can express it."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emoact.data import read_prompts
from emoact.errors import RequestError

pytestmark = pytest.mark.fault

JSON_ONLY = ("jsonl", "json")
TEXT_FORMATS = (*JSON_ONLY, "csv", "tsv")
PLACE = {"jsonl": "line 3", "json": "row 3", "csv": "line 4", "tsv": "line 4", "parquet": "row 3"}

SOUND = [
    {"id": "a1", "scenario_id": "s1", "emotion": "gratitude", "subset": "x", "lang": "en"},
    {"id": "a2", "scenario_id": "s1", "emotion": "anger", "subset": "x", "lang": "en"},
    {"id": "a3", "scenario_id": "s2", "emotion": "anger", "subset": "x", "lang": "en"},
]
TEXTS = ["Thanks for the soup.", "You ate my soup.", "You broke my cup."]

# (field, value, words of the problem, words of the remedy)
TEXT_VALUES = [
    ("text", "", "text is empty", "Write the sentence"),
    ("text", "   ", "no visible character", "Write the sentence"),
    ("text", "\u200b\u200d\ufeff", "no visible character", "Write the sentence"),
    ("text", "a\x00b", "NUL byte|U\\+0000", "Remove the"),
    ("text", "red \x1b[31malert", "U\\+001B at position 5", "Remove the"),
    ("text", "a\x7fb", "U\\+007F", "Remove the"),
    ("text", "one\rtwo", "U\\+000D", "line breaks"),
    ("text", "x" * 20_001, "20,00|longer than 20,000|text has 20,001", "EMOACT_MAX_CHARS"),
    ("text", "word " * 1_000_000, "5,000,000 characters|longer than", "EMOACT_MAX_CHARS"),
    ("emotion", "", "emotion is empty", "needs a label"),
    ("emotion", "  ", "emotion is empty", "needs a label"),
    ("emotion", " anger", "' anger' cannot name a file", "Remove the spaces"),
    ("emotion", "mild anger", "letters, digits, '_' and '-'", "Rename the label"),
    ("emotion", "a/b", "letters, digits, '_' and '-'", "Rename the label"),
    ("emotion", "../../etc/passwd", "cannot name a file", "Rename the label"),
    ("emotion", "an\u202eger", "cannot name a file", "Rename the label"),
    ("emotion", "x" * 65, "1 to 64", "Rename the label"),
    ("emotion", "x" * 10_000, "1 to 64", "Rename the label"),
    ("emotion", "Anger", "differs from 'anger' of", "Use 'anger'"),
    ("id", "", "id is empty, but other rows have one", "numbered"),
    ("id", " ", "id has no visible character", "Fill in"),
    ("id", "x" * 201, "id has 201 characters|longer than", "Shorten"),
    ("id", "a\nb", "id holds the control character U\\+000A", "Remove the"),
    ("id", "a2", "'a2' is that of", "an id of its own"),
    ("scenario_id", "\t", "scenario_id holds the control|no visible", "Remove|Fill in"),
    ("scenario_id", "s" * 300, "scenario_id has 300 characters", "Shorten"),
    ("subset", " ", "subset has no visible", "Fill in the subset"),
    ("lang", "\u200b", "lang has no visible", "Fill in the lang"),
]
TYPES = [
    ("text", None, "text is None; text is needed", "Fill in"),
    ("text", 1, "text is 1; text", "in quotes"),
    ("text", 10**400, "text is a very large integer", "in quotes"),
    ("text", True, "text is True; text", "in quotes"),
    ("text", ["a"], "text is a list; text", "Fill in"),
    ("text", "half \ud83d here", "half of a character, U\\+D83D at position 6", "in pairs"),
    ("text", "\ude00\ud83d", "half of a character, U\\+DE00", "in pairs"),
    ("emotion", None, "emotion is None", "Fill in"),
    ("emotion", 0, "emotion is 0; a label", "in quotes"),
    ("emotion", ["anger"], "emotion is a list", "Fill in"),
    ("emotion", "an\ud800ger", "cannot name a file", "Rename the label"),
    ("id", None, "id is empty, but other rows", "numbered"),
    ("id", True, "id is True; text or an integer", "in quotes"),
    ("id", 1.0, "id is 1.0; text or an integer", "in quotes"),
    ("id", "\udfff", "id holds half of a character", "in pairs"),
    ("scenario_id", False, "scenario_id is False", "in quotes"),
    ("scenario_id", 2.5, "scenario_id is 2.5", "in quotes"),
    ("subset", 1, "subset is 1; text is needed", "in quotes"),
    ("lang", 2, "lang is 2; text", "in quotes"),
]


def write(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    """The rows in the format that the path's extension names."""
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    elif path.suffix == ".parquet":
        pq.write_table(pa.table({name: [row[name] for row in rows] for name in rows[0]}), path)
    else:
        with path.open("w", encoding="utf-8", newline="") as file:
            delimiter = "," if path.suffix == ".csv" else "\t"
            writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
    return path


def sound() -> list[dict[str, object]]:
    return [{**row, "text": text} for row, text in zip(SOUND, TEXTS, strict=True)]


CASES = [(form, *case) for case in TEXT_VALUES for form in TEXT_FORMATS] + [
    # Every Parquet file takes a process of its own: each third case will do.
    *(("parquet", *case) for case in TEXT_VALUES[::3]),
    *((form, *case) for case in TYPES for form in JSON_ONLY),
]


@pytest.mark.parametrize("form", [*TEXT_FORMATS, "parquet"])
def test_the_data_set_without_the_bad_value_is_read(tmp_path: Path, form: str) -> None:
    dataset = read_prompts(write(tmp_path / f"data.{form}", sound()))
    assert [prompt.text for prompt in dataset.prompts] == TEXTS
    assert [prompt.id for prompt in dataset.prompts] == ["a1", "a2", "a3"]


@pytest.mark.parametrize(
    ("form", "field", "value", "problem", "remedy"),
    CASES,
    ids=[f"{case[0]}-{case[1]}-{index}" for index, case in enumerate(CASES)],
)
def test_a_malformed_value_is_refused_with_file_row_and_remedy(
    tmp_path: Path, form: str, field: str, value: object, problem: str, remedy: str
) -> None:
    rows = sound()
    rows[2][field] = value
    path = write(tmp_path / f"data.{form}", rows)
    with pytest.raises(RequestError, match=problem) as caught:
        read_prompts(path)
    assert f"{path} {PLACE[form]}: " in caught.value.message
    assert caught.value.remedy is not None
    assert any(words in caught.value.remedy for words in remedy.split("|"))
    assert len(str(caught.value)) < 600 + len(str(path))
    assert all(letter.isprintable() or letter == "\n" for letter in str(caught.value))
