"""Paths that hold no data set, and bytes that are no text."""

import errno
import gzip
import io
import os
import pickle
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from emoact.data import read_prompts
from emoact.errors import RequestError
from tests.support.refusals import check_refused

pytestmark = pytest.mark.fault

OK = '{"text": "Thanks.", "emotion": "gratitude"}\n'
ACCENTED = '{"text": "Dépêche-toi.", "emotion": "anger"}\n'


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("xl/workbook.xml"), "<workbook/>")
    return buffer.getvalue()


# (name, bytes, place, words of the problem, words of the remedy)
BYTES = [
    ("p.jsonl", b"", "", "the file is empty", "at least one prompt"),
    ("p.parquet", b"", "", "the file is empty", "at least one prompt"),
    ("p.jsonl", OK.encode("utf-16"), "", "UTF-16 or UTF-32", 'encoding "UTF-8"'),
    ("p.jsonl", OK.encode("utf-16-le"), "", "UTF-16 or UTF-32", 'encoding "UTF-8"'),
    ("p.json", OK.encode("utf-16-be"), "", "UTF-16 or UTF-32", 'encoding "UTF-8"'),
    ("p.csv", "text,emotion\na,b\n".encode("utf-32-be"), "", "UTF-32", 'encoding "UTF-8"'),
    ("p.jsonl", (OK + ACCENTED).encode("latin-1"), " line 2", "byte 0xe9 at", "Latin-1"),
    ("p.csv", b"\xef\xbb\xbftext,emotion\n\xe9,b\n", " line 2", "0xe9 at offset 16", "Latin-1"),
    ("p.json", "感謝".encode("shift-jis"), " line 1", "is not UTF-8", "Shift-JIS"),
    ("p.jsonl", b'{"text": "\xed\xa0\x80", "emotion": "b"}', " line 1", "byte 0xed", "UTF-8"),
    ("p.jsonl", OK.encode() * 9 + b"\0\n", " line 10", "a NUL byte", "Remove the byte"),
    ("p.csv", b"text,emotion\na,b\0c\n", " line 2", "a NUL byte at offset 16", "Remove the byte"),
    ("p.jsonl", b"\0" * 4096, "", "UTF-16", "UTF-8"),
    ("p.csv", _zip(), "", "a zip archive or an Excel workbook", "Export the prompts"),
    ("p.csv", b"\xd0\xcf\x11\xe0" + b"\0" * 600, "", "an old Excel workbook", "Export"),
    ("p.jsonl", gzip.compress(OK.encode(), mtime=0), "", "a gzip archive", "Export the prompts"),
    ("p.jsonl", b"BZh91AY&SY", "", "a bzip2 archive", "Export the prompts"),
    ("p.jsonl", b"\xfd7zXZ\0", "", "an xz archive", "Export the prompts"),
    ("p.csv", b"PAR1\x15\x04PAR1", "", "a Parquet file", ".parquet"),
    ("p.json", pickle.dumps([{"text": "a"}]), "", "a pickle", "Export the prompts"),
    ("p.json", b"\x93NUMPY\x01\0", "", "a NumPy array", "Export the prompts"),
    ("p.csv", b"SQLite format 3\0", "", "an SQLite data base", "Export the prompts"),
    ("p.csv", b"%PDF-1.7\n", "", "a PDF document", "Export the prompts"),
    ("p.parquet", OK.encode(), "", "not a readable Parquet file", "to_parquet"),
    ("p.parquet", b"PAR1", "", "not a readable Parquet file", "to_parquet"),
    ("p.parquet", b"PAR1" + b"\xff" * 40 + b"PAR1", "", "not a readable Parquet", "to_parquet"),
    ("p.txt", OK.encode(), "", "extension '.txt' is unknown; .jsonl, .json", "Export"),
    ("p.jsnol", OK.encode(), "", "'.jsnol' is unknown", "Name the file .json"),
    ("p.cvs", OK.encode(), "", "'.cvs' is unknown", "Name the file .csv"),
    ("p.jsonl.gz", gzip.compress(OK.encode(), mtime=0), "", "'.gz' is unknown", "Unpack it first"),
    ("p.xlsx", _zip(), "", "'.xlsx' is unknown", "Save the sheet as CSV"),
    ("p.jsonl ", OK.encode(), "", "'.jsonl ' is unknown", "Name the file .jsonl"),
    ("prompts", OK.encode(), "", "no extension", "Export"),
    (".jsonl", OK.encode(), "", "no extension", "Export"),
]


@pytest.mark.parametrize(
    ("name", "data", "place", "problem", "remedy"),
    BYTES,
    ids=[f"{case[0].strip()}-{index}" for index, case in enumerate(BYTES)],
)
def test_bytes_that_are_no_data_set_are_refused_with_place_and_remedy(
    tmp_path: Path, name: str, data: bytes, place: str, problem: str, remedy: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    check_refused(path, place, problem, remedy)


# (how the path is made, its name, words of the problem, words of the remedy)
PATHS: dict[str, tuple[Callable[[Path], object], str, str, str]] = {
    "missing": (lambda _: None, "prompts.jsonl", "no such file", "Check the path"),
    "missing, no extension": (lambda _: None, "prompts", "no such file", "Check the path"),
    "folder": (Path.mkdir, "prompts.csv", "it is a folder", ".jsonl"),
    "named pipe": (os.mkfifo, "prompts.csv", "it is a named pipe", ".jsonl"),
    "link to itself": (
        lambda path: path.symlink_to(path), "prompts.csv", "cannot be opened", "Check the path"
    ),
    "link to nothing": (
        lambda path: path.symlink_to("gone.csv"), "prompts.csv", "no such file", "Check the path"
    ),
    "below a file": (
        lambda path: path.parent.write_text("x"), "a/b.csv", "cannot be opened", "Check the path"
    ),
    "long name": (lambda _: None, "x" * 300 + ".csv", "cannot be opened", "Check the path"),
    "device": (lambda _: None, "/dev/zero", "it is a device", ".jsonl"),
}  # fmt: skip


@pytest.mark.parametrize("kind", PATHS)
def test_a_path_that_is_no_regular_file_is_refused(tmp_path: Path, kind: str) -> None:
    make, name, problem, remedy = PATHS[kind]
    make(tmp_path / name)
    check_refused(tmp_path / name, "", problem, remedy)


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # socket paths are short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("p.csv")
        check_refused(Path("p.csv"), "", "cannot be opened", "Check the path")


@pytest.mark.parametrize("name", ["", "a\0b.csv", "\0"])
def test_a_path_that_names_nothing_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match=r"no such file|file can have") as caught:
        read_prompts(name)
    assert "\0" not in str(caught.value)
    assert caught.value.remedy


def test_a_file_that_may_not_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "prompts.csv"

    def refuse(*_: object) -> int:
        # Not by chmod: the superuser may read every file.
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    check_refused(path, "", "Permission denied", "may read it")


def test_control_characters_of_a_path_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "p\x1b[31m\udcff.csv"
    path.write_text("text,emotion\na\n")
    with pytest.raises(RequestError) as caught:
        read_prompts(path)
    assert "p\\x1b[31m\\udcff.csv line 2: " in caught.value.message
    assert str(caught.value).encode()
