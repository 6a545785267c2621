"""Accepted forms of a data set, and the prompts read from them."""

import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emoact.data import read_prompts
from emoact.schema import Dataset, Prompt

TWO = (
    Prompt(id="p0001", text="Thanks, Ann.", emotion="gratitude"),
    Prompt(id="p0002", text="Go away.", emotion="anger"),
)


ONE = '{"text":"Thanks, Ann.","emotion":"gratitude"}'
OTHER = '{"text":"Go away.","emotion":"anger"}'
MORE = '{"emotion":"anger","text":"Go away.","id":null,"x":{"y":[1]}}'


def read(path: Path, content: str) -> Dataset:
    path.write_bytes(content.encode())
    return read_prompts(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.jsonl", f"{ONE}\n{OTHER}"),
        ("p.JSONL", f"{ONE}\r\n\r\n{OTHER}\r\n\r\n"),
        ("p.jsonl", f"\ufeff{ONE}\n  \n{MORE}\n"),
        ("p.json", f"[{ONE},{OTHER}]\n\n"),
        ("p.json", f'\ufeff{{"version": 2, "prompts": [{ONE},\r\n{MORE}]}}'),
        ("p.csv", 'text,emotion\n"Thanks, Ann.",gratitude\nGo away.,anger\n'),
        ("p.CSV", '\ufeffemotion,text,x\r\ngratitude,"Thanks, Ann.",3\r\nanger,Go away.,\r\n\r\n'),
        ("p.csv", '"text","emotion"\r"Thanks, Ann.","gratitude"\r"Go away.","anger"\r'),
        ("p.csv", ',text,emotion,\n0,"Thanks, Ann.",gratitude,\n\n1,Go away.,anger,'),
        ("p.csv", 'text,emotion,id,lang\n"Thanks, Ann.",gratitude,,\nGo away.,anger,,\n'),
        ("p.tsv", "text\temotion\nThanks, Ann.\tgratitude\nGo away.\tanger\n"),
        ("p.tsv", '\ufefftext\temotion\r\n"Thanks, Ann."\tgratitude\r\nGo away.\tanger\r\n \r\n'),
    ],
)
def test_harmless_variants_of_one_file_give_the_same_prompts(
    tmp_path: Path, name: str, content: str
) -> None:
    assert read(tmp_path / name, content).prompts == TWO


def test_the_dataset_says_where_it_comes_from_and_the_hash_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(b"\xef\xbb\xbftext,emotion\r\na,b\r\n")
    dataset = read_prompts(str(path))
    assert dataset.source == str(path)
    assert dataset.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_all_fields_are_read_and_integers_become_identifiers(tmp_path: Path) -> None:
    row = {"id": 12, "scenario_id": 0, "text": "a", "emotion": "怒り", "subset": "x", "lang": "ja"}
    (prompt,) = read(tmp_path / "p.jsonl", json.dumps(row)).prompts
    assert prompt == Prompt(
        id="12", scenario_id="0", text="a", emotion="怒り", subset="x", lang="ja"
    )


def test_labels_that_are_equal_after_normalisation_are_one_emotion(tmp_path: Path) -> None:
    found = read(tmp_path / "p.csv", "text,emotion\na,\u00e9mu\nb,e\u0301mu\n")
    assert found.emotions == ("\u00e9mu",)


def test_a_text_is_kept_character_by_character(tmp_path: Path) -> None:
    text = " e\u0301 \u2028 one\n\ttwo \U0001f600 \ufeff. "
    row = json.dumps({"text": text, "emotion": "a"}, ensure_ascii=False)
    assert read(tmp_path / "p.jsonl", row).prompts[0].text == text


def test_a_record_over_several_lines_keeps_later_line_numbers_right(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="line 5: "):
        read(tmp_path / "p.csv", 'text,emotion\n"one\ntwo\nthree",a\nfour,a!\n')


def test_parquet_with_categories_and_missing_values_is_read(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    columns = {
        "text": pa.array(["a", "b", "c"], pa.large_string()),
        "emotion": pa.array(["x", "y", "x"]).dictionary_encode(),
        "id": pa.array([5, 6, 7], pa.uint8()),
        "scenario_id": ["s", None, "t"],
        "subset": pa.nulls(3),
        "score": [0.1, 0.2, float("nan")],
    }
    pq.write_table(pa.table(columns), path)
    prompts = read_prompts(path).prompts
    assert [prompt.id for prompt in prompts] == ["5", "6", "7"]
    assert [prompt.emotion for prompt in prompts] == ["x", "y", "x"]
    assert [prompt.scenario_id for prompt in prompts] == ["s", None, "t"]
    assert {prompt.subset for prompt in prompts} == {None}


def test_parquet_row_numbers_go_on_over_batches(tmp_path: Path) -> None:
    path = tmp_path / "p.parquet"
    texts = [f"text {index}" for index in range(5_000)]
    table = pa.table({"text": texts, "emotion": ["a"] * 5_000})
    pq.write_table(table, path, row_group_size=700)
    prompts = read_prompts(path).prompts
    assert [prompt.text for prompt in prompts] == texts
    assert prompts[-1].id == "p5000"
