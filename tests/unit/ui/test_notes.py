from __future__ import annotations

from pathlib import Path

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
