"""GoEmotions in its own layouts, as its authors publish it."""

import csv
from pathlib import Path

import pytest

from emoact.data import read_prompts
from emoact.errors import RequestError

# The order of emotions.txt beside the files.
ORDER = [
    *("admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion"),
    *("curiosity", "desire", "disappointment", "disapproval", "disgust", "embarrassment"),
    *("excitement", "fear", "gratitude", "grief", "joy", "love", "nervousness", "optimism"),
    *("pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral"),
]
TSV = (
    "That game hurt.\t25\teew5j0j\n"
    '"Sexuality shouldn\'t be a grouping category"\t27\teemcysk\n'
    'You said "no", right?\t6,7\ted00q6i\n'
    "Thanks a lot\t15\teecwmbq\n"
)


def test_the_file_without_a_header_is_read_with_the_names_of_its_numbers(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text(TSV, encoding="utf-8")
    dataset = read_prompts(path)
    assert [(p.id, p.emotion) for p in dataset.prompts] == [
        ("eew5j0j", "sadness"),
        ("eemcysk", "neutral"),
        ("eecwmbq", "gratitude"),
    ]
    assert dataset.prompts[1].text == '"Sexuality shouldn\'t be a grouping category"'
    (note,) = dataset.notes
    assert note.startswith("1 of 4 GoEmotions comments have several labels and are left out")


def test_every_number_has_the_name_of_the_published_list(tmp_path: Path) -> None:
    path = tmp_path / "all.tsv"
    path.write_text("".join(f"Text {i}.\t{i}\tc{i}\n" for i in range(28)), encoding="utf-8")
    assert [p.emotion for p in read_prompts(path).prompts] == ORDER


def rated(tmp_path: Path, rows: list[tuple[str, str, list[str]]]) -> Path:
    path = tmp_path / "goemotions_1.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["text", "id", "author", "rater_id", "example_very_unclear", *ORDER])
        for text, own, labels in rows:
            out.writerow([text, own, "x", 1, False, *(int(name in labels) for name in ORDER)])
    return path


def test_a_label_of_the_raters_counts_where_two_agree(tmp_path: Path) -> None:
    path = rated(
        tmp_path,
        [
            ("Well, done!", "a", ["joy", "admiration"]),
            ("Well, done!", "a", ["joy"]),
            ("Hm.", "b", ["anger"]),
            ("Hm.", "b", ["fear"]),
            ("Both.", "c", ["love", "joy"]),
            ("Both.", "c", ["love", "joy"]),
            ("One rater.", "d", ["grief"]),
        ],
    )
    dataset = read_prompts(path)
    assert [(p.id, p.text, p.emotion) for p in dataset.prompts] == [
        ("a", "Well, done!", "joy"),
        ("d", "One rater.", "grief"),
    ]
    assert [note.split(" GoEmotions")[0] for note in dataset.notes] == ["1 of 4", "1 of 4"]


def test_a_line_of_another_shape_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "train.tsv"
    path.write_text(f"{TSV}No label here.\n", encoding="utf-8")
    with pytest.raises(RequestError, match=r"line 5: the field 'emotion' is missing"):
        read_prompts(path)
