"""JSONL, JSON, CSV and TSV files that are no data set."""

from pathlib import Path

import pytest

from tests.support.refusals import check_refused

pytestmark = pytest.mark.fault

OK = '{"text": "Thanks.", "emotion": "gratitude"}'
SENTENCE = '{"sentence": "Thanks.", "emotion": "gratitude"}'

# (content, place, words of the problem, words of the remedy)
JSONL = [
    ("\n\n\r\n", "", "no prompt in it", "at least one row"),
    ("\ufeff", "", "no prompt in it", "at least one row"),
    (f"{OK}\nnot json\n", " line 2", "invalid JSON", "Correct the line"),
    (f"{OK}\n\n\n{OK[:-1]}\n", " line 4", "invalid JSON", "Correct the line"),
    (f"{OK}{OK}\n", " line 1", "Extra data, column 44", "one object per line"),
    (f"{OK}\r{OK}\r", " line 1", "Extra data", "one object per line"),
    (f"[{OK},\n{OK}]\n", " line 1", "invalid JSON", "Correct the line"),
    (f"[\n{OK}\n]", " line 1", "invalid JSON", "Name the file .json"),
    ('{\n"text": "a", "emotion": "b"\n}', " line 1", "invalid JSON", "Name the file .json"),
    (f"[{OK}, {OK}]\n", " line 1", "a JSON list", "Name the file .json"),
    ('"Thanks."\n', " line 1", "found 'Thanks.'; an object", 'Write {"text"'),
    (f"{OK}\nnull\n", " line 2", "found None; an object", 'Write {"text"'),
    (f"{OK}\nNaN\n", " line 2", "NaN is not a JSON value", "Replace NaN by null"),
    (f"{OK}\n{{}}\n", " line 2", "the field 'text' is missing", "text and emotion"),
    ('{"text": "a"}', " line 1", "'emotion' is missing", "text and emotion"),
    ('{"emotion": "a"}', " line 1", "'text' is missing", "text and emotion"),
    (f"{OK}\n{SENTENCE}", " line 2", "'text' is missing", "Rename 'sentence' to 'text'"),
    ('{"Text": "a", "emotion": "b"}', " line 1", "'text' is missing", "Rename 'Text' to"),
    ('{" text": "a", "emotion": "b"}', " line 1", "'text' is missing", "Rename ' text' to"),
    ('{"texts": "a", "emotion": "b"}', " line 1", "'text' is missing", "Rename 'texts' to"),
    ('{"text": "a", "Sentiment": "b"}', " line 1", "'emotion' is missing", "Rename 'Sentiment'"),
    ('{"prompts": [' + OK + "]}", " line 1", "a JSON list", "Name the file .json"),
    ('{"text":"a","text":"b","emotion":"c"}', " line 1", "'text' occurs twice", "Keep one"),
    ('{"text":"a","emotion":"c","m":{"k":1,"k":2}}', " line 1", "field 'm': the field 'k'", "Keep"),
    ('{"text":NaN,"emotion":"c"}', " line 1", "field 'text': NaN", "Replace NaN by null"),
    ('{"text":"a","emotion":"b","id":-Infinity}', " line 1", "'id': -Infinity", "Replace -Inf"),
    ('{"text":"a","emotion":"b","score":NaN}', " line 1", "'score': NaN", "by null"),
    ("[" * 100_000, " line 1", "nested too deeply", "flat object"),
    ('{"text":"a","emotion":"b","x":' + "[" * 9_999 + "]" * 9_999 + "}", " line 1", "deep", "flat"),
    ('{"text":"a","emotion":"b","id":' + "9" * 5_000 + "}", " line 1", "too many digits", "quotes"),
    ("text,emotion\na,b\n", " line 1", "invalid JSON", "Correct the line"),
    ('{"id":"p","text":"a","emotion":"b"}\n' * 2, " line 2", "'p' is that of line 1", "of its own"),
    (
        '{"id":7,"text":"a","emotion":"b"}\n{"id":"7","text":"a","emotion":"b"}',
        " line 2",
        "'7'",
        "",
    ),
    (
        '{"id":"\u00e9","text":"a","emotion":"b"}\n{"id":"e\u0301","text":"a","emotion":"b"}',
        " line 2",
        "'\u00e9' is that of line 1",
        "of its own",
    ),
    (f'{OK}\n{{"id":"p","text":"a","emotion":"b"}}', " line 2", "id is given here", "numbered"),
]
JSON = [
    ("   \n", " line 2", "invalid JSON", "Correct the line"),
    ("[]", "", "no prompt in it", "at least one row"),
    ('{"prompts": []}', "", "no prompt in it", "at least one row"),
    ("{}", "", "an object with no fields", 'orient="records"'),
    (OK, "", "an object with 'text', 'emotion'", 'orient="records"'),
    ('{"prompts": {"a": 1}}', "", "an object with 'prompts'", "one object per prompt"),
    ('"text"', "", "found 'text'; a list", "one object per prompt"),
    ("NaN", "", "NaN is not a JSON value", "by null"),
    (f"{OK}\n{OK}\n", " line 2", "Extra data", "Name the file .jsonl"),
    (f"[{OK},\n{OK}\n", " line 3", "invalid JSON", "Correct the line"),
    (f"[{OK}, null]", " row 2", "found None; an object", 'Write {"text"'),
    (f"[{OK}, NaN]", " row 2", "NaN is not a JSON value", "by null"),
    (f'[{OK}, {{"text":"a","text":"a","emotion":"b"}}]', " row 2", "occurs twice", "Keep one"),
    ('{"prompts": [], "prompts": []}', "", "'prompts' occurs twice", "Keep one"),
    ("[" * 100_000, "", "nested too deeply", "flat object"),
    ("[" + "9" * 5_000 + "]", "", "too many digits", "in quotes"),
    ('[{"text":"a","emotion":"Joy"}, {"text":"a","emotion":"joy"}]', " row 2", "capitals", ""),
]
CSV = [
    ("\n\r\n \n", "", "no prompt in it", "at least one row"),
    ("text,emotion\n", "", "no prompt in it", "at least one row"),
    ("Thanks.,gratitude\n", " line 1", "'text' is missing", "fields text and emotion"),
    ("sentence,emotion\na,b\n", " line 1", "'text' is missing", "Rename 'sentence' to 'text'"),
    ("text, emotion\na,b\n", " line 1", "'emotion' is missing", "Rename ' emotion'"),
    ("text\na\n", " line 1", "'emotion' is missing", "fields text and emotion"),
    ("text;emotion\na;b\n", " line 1", "separated by semicolons", "commas between"),
    ("text\temotion\na\tb\n", " line 1", "separated by tabs", "name the file .tsv"),
    ("text,text,emotion\na,b,c\n", " line 1", "'text' occurs 2 times", "Rename or remove"),
    ("text,emotion\na,b,c\n", " line 2", "3 values where the header has 2", "double quotes"),
    ("text,emotion\na,b\nYes, sir,c\n", " line 3", "3 values where", "holds a comma"),
    ("text,emotion\na\n", " line 2", "1 values where the header has 2", "Fill in"),
    ("text,emotion,id\na,b,1\nc,d\n", " line 3", "2 values where the header has 3", "Fill in"),
    ('text,emotion\n"a,b\n', " line 2", "never closed", "Close the quote"),
    ('text,emotion\na,b\n"c,d\ne,f\n', " line 3", "never closed", "Close the quote"),
    ('"text,emotion\na,b\n', " line 1", "never closed", "Close the quote"),
    ('text,emotion\n"a"b,c\n', " line 2", "not followed by a", "twice"),
    ('text,emotion\n"one\ntwo",b\nthree\n', " line 4", "1 values", "Fill in"),
    ("text,emotion\n,\n", " line 2", "text is empty", "remove the row"),
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
]
CASES = [
    (form, *case)
    for form, cases in (("jsonl", JSONL), ("json", JSON), ("csv", CSV), ("tsv", TSV))
    for case in cases
]


@pytest.mark.parametrize(
    ("form", "content", "place", "problem", "remedy"),
    CASES,
    ids=[f"{case[0]}-{index}" for index, case in enumerate(CASES)],
)
def test_malformed_text_is_refused_with_file_row_and_remedy(
    tmp_path: Path, form: str, content: str, place: str, problem: str, remedy: str
) -> None:
    path = tmp_path / f"prompts.{form}"
    path.write_bytes(content.encode())
    check_refused(path, place, problem, remedy)
