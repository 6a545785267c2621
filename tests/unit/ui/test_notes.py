from pathlib import Path

import pytest

from emoact.errors import RequestError
from emoact.ui.notes import notes_of, write_note


def test_notes_are_kept_by_id_and_an_empty_one_is_removed(tmp_path: Path) -> None:
    results = str(tmp_path)
    assert notes_of(results) == {}
    write_note(results, "abc", " pilot ")
    write_note(results, "def", "final")
    assert notes_of(results) == {"abc": "pilot", "def": "final"}
    write_note(results, "abc", "")
    assert notes_of(results) == {"def": "final"}


def test_damaged_notes_are_none(tmp_path: Path) -> None:
    for damaged in ("{", "[1]", '{"a": 1}'):
        (tmp_path / "notes.json").write_text(damaged)
        assert notes_of(str(tmp_path)) == {}


@pytest.mark.parametrize("damaged", ["{", "[1]", '{"a": "\\ud800"}', "[" * 990])
def test_a_note_does_not_replace_notes_that_cannot_be_read(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "notes.json").write_text(damaged)
    with pytest.raises(RequestError, match=r"notes\.json"):
        write_note(str(tmp_path), "abc", "new")
    assert (tmp_path / "notes.json").read_text() == damaged
