import os
from pathlib import Path

import pytest

from emoact.errors import RequestError
from emoact.store.layout import ResultsRoot, results_folders
from emoact.ui.folders import known_folders, made_folders, make_folder
from emoact.ui.notes import notes_of, write_note


def test_the_folders_of_the_environment_in_order_and_each_once_or_else_results() -> None:
    named = os.pathsep.join(["/b", "/a", "", "/b"])
    assert results_folders({"EMOACT_RESULTS": named}) == ["/b", "/a"]
    assert results_folders({}) == results_folders({"EMOACT_RESULTS": ""}) == ["results"]


def test_the_small_example_beside_a_folder_can_be_picked(tmp_path: Path) -> None:
    folder = str(tmp_path / "results")
    assert results_folders({"EMOACT_RESULTS": folder}) == [folder]
    (tmp_path / "results-demo").mkdir()
    assert results_folders({"EMOACT_RESULTS": folder}) == [folder, f"{folder}-demo"]


def test_a_folder_is_made_beside_the_first_and_remembered(tmp_path: Path) -> None:
    first = str(tmp_path / "results")
    made = make_folder(first, "no-bos")
    assert Path(made) == tmp_path / "no-bos"
    assert Path(made).is_dir()
    assert make_folder(first, "no-bos") == made
    assert made_folders(first) == [made]
    for number in range(29):
        make_folder(first, f"more{number}")
    with pytest.raises(RequestError, match="30 results folders"):
        make_folder(first, "one-more")


@pytest.mark.parametrize("name", ["../up", "/etc", "a/b", "", ".hidden", "con", "x" * 81])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RequestError, match="results folder"):
        make_folder(str(tmp_path / "results"), name)
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_things_and_a_link_are_refused(tmp_path: Path) -> None:
    first = str(tmp_path / "results")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("photos", "link"):
        with pytest.raises(RequestError, match="holds no results"):
            make_folder(first, name)
    (tmp_path / "photos" / "runs").mkdir()
    assert make_folder(first, "photos") == str(tmp_path / "photos")


@pytest.mark.parametrize("kept", ["nonsense", '{"a": 1}', '["../up", "/etc", 3, "kept"]'])
def test_a_damaged_list_names_no_folder_outside(tmp_path: Path, kept: str) -> None:
    root = ResultsRoot(tmp_path / "results")
    root.path.mkdir()
    root.folders.write_text(kept)
    assert made_folders(str(root.path)) in ([], [str(tmp_path / "kept")])


def test_a_received_list_offers_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tmp_path / "results"
    monkeypatch.setenv("EMOACT_RESULTS", str(first))
    made = make_folder(str(first), "mine")
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to-a-friend.txt").touch()
    ResultsRoot(first).folders.write_text('["letters", "mine"]')
    assert known_folders() == [str(first), made]


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
