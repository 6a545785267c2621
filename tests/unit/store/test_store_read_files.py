"""Only regular files are opened; the refusal of any other path or format names it."""

import bz2
import gc
import gzip
import io
import lzma
import os
import pickle
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from emoact.errors import FileRefusedError
from emoact.store.read.closed import interpret, load_closed
from emoact.store.reading import read
from tests.support.loaded import loaded

PICKLE = pickle.dumps({"a": 1}, protocol=4)


def refused(path: Path | str) -> FileRefusedError:
    with pytest.raises(FileRefusedError) as caught:
        load_closed(path)
    assert str(path) in str(caught.value)
    return caught.value


# (how the path is made, its name, words of the reason)
PATHS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "missing": (lambda _: None, "missing.pkl", "No such file"),
    "empty": (Path.touch, "a.pkl", "the file is empty"),
    "directory": (Path.mkdir, "folder", "a folder"),
    "pipe": (os.mkfifo, "pipe", "it is a named pipe, not a regular file"),
    "link": (lambda path: path.symlink_to(__file__), "link.pkl", "symbolic link"),
    "link to itself": (lambda path: path.symlink_to(path), "loop", "symbolic link"),
    **{f"/dev/{name}": (lambda _: None, f"/dev/{name}", "a device")
       for name in ("zero", "random", "null")},
    "NUL": (lambda _: None, "a\0b", "the path is not one that a file can have"),
    "long name": (lambda _: None, "x" * 5000, "cannot be opened"),
    "long path": (lambda _: None, "x/" * 3000 + "a.pkl", "cannot be opened"),
}  # fmt: skip


@pytest.mark.parametrize("kind", PATHS)
def test_a_path_that_is_no_regular_file_is_refused(kind: str, tmp_path: Path) -> None:
    make, name, reason = PATHS[kind]
    make(tmp_path / name)
    assert reason in refused(tmp_path / name).reason


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s")
        assert refused("s").remedy


def test_a_file_below_a_linked_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.pkl").write_bytes(PICKLE)
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    assert load_closed(tmp_path / "linked" / "a.pkl") == {"a": 1}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(PICKLE)
    (tmp_path / "a.pkl").chmod(0)
    assert "Permission" in refused(tmp_path / "a.pkl").reason


def zipped(name: str, content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), content)
    return target.getvalue()


def saved(save: Callable[[io.BytesIO], object]) -> bytes:
    target = io.BytesIO()
    save(target)
    return target.getvalue()


# No byte depends on the time or on an address: processes that collect the tests have to agree.
OTHER_FORMATS = [
    (gzip.compress(PICKLE, mtime=0), "compressed with gzip"),
    (bz2.compress(PICKLE), "compressed with bzip2"),
    (lzma.compress(PICKLE), "compressed with xz"),
    (b"\x28\xb5\x2f\xfd" + PICKLE, "compressed with zstd"),
    (zipped("a.txt", b"x"), "a zip archive"),
    (saved(lambda file: torch.save({"a": 1}, file)), "saved with torch.save"),
    (
        saved(lambda file: torch.save({"a": 1}, file, _use_new_zipfile_serialization=False)),
        "saved with torch.save",
    ),
    (saved(lambda file: np.save(file, np.zeros(3))), "a numpy .npy file"),
    (saved(lambda file: np.savez(file, a=np.zeros(3))), "a numpy .npz file"),
    (b"\x89HDF\r\n\x1a\n" + PICKLE, "an HDF5 file"),
    (b"PAR1" + PICKLE, "a Parquet file"),
    (b'{"a": 1}', "does not begin like a pickle"),
    (pickle.dumps({"a": 1}, protocol=0), "does not begin like a pickle"),
    (pickle.dumps({"a": 1}, protocol=1), "does not begin like a pickle"),
    (b"\x80\x06N.", "pickle protocol 6"),
    (b"\x80\x01N.", "pickle protocol 1"),
    (b"\x80", "cut short"),
    (b"\x80\x04", "cut short"),
    (PICKLE + b"\0", "1 bytes follow"),
    (PICKLE + PICKLE, "bytes follow"),
]


@pytest.mark.parametrize(
    ("content", "said"),
    OTHER_FORMATS,
    ids=[f"{said}-{number}" for number, (_, said) in enumerate(OTHER_FORMATS)],
)
def test_other_formats_are_told_by_name(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(content)
    error = refused(tmp_path / "a.pkl")
    assert said in error.reason
    assert error.offset is not None
    assert error.remedy


def test_reading_does_not_keep_the_collector_off(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(PICKLE)
    assert gc.isenabled()
    load_closed(tmp_path / "a.pkl")
    refused(tmp_path / "missing")
    assert gc.isenabled()


def test_the_reader_needs_no_torch() -> None:
    heavy = {"torch", "transformers", "transformer_lens", "pandas", "scipy", "sklearn"}
    assert not loaded("import emoact.store.reading") & heavy


def test_a_refusal_names_path_place_reason_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(b"\x80\x04cposix\nsystem\n(X\x02\0\0\0lstR.")
    with pytest.raises(FileRefusedError) as caught:
        read(path)
    said = str(caught.value)
    assert said.startswith(f"{path}, byte 2: the file asks for posix.system")
    assert "nothing was imported or called" in said
    assert "Do not open this file with pickle.load" in said


P = b"\x80\x04"


def interpreted(data: bytes) -> object:
    return interpret(memoryview(data), Path("a.pkl"))


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (P + b"N.", None),
        (P + b"\x95\x02\0\0\0\0\0\0\0N.", None),
        (P + b"](K\x01M\x00\x01J\xff\xff\xff\xffe.", [1, 256, -1]),
        (P + b"\x8a\x00.", 0),
        (P + b"\x8a\x02\xff\x00.", 255),
        (P + b"\x8a\x01\xff.", -1),
        (P + b"\x8b\x01\0\0\0\x07.", 7),
        (P + b"G\x3f\xf8\0\0\0\0\0\0.", 1.5),
        (P + b"}(K\x01NK\x01\x88u.", {1: True}),
        (P + b"}K\x01\x89s.", {1: False}),
        (P + b"Nq\x00h\x00\x86.", (None, None)),
        (P + b"Nr\x07\0\0\0j\x07\0\0\0\x86.", (None, None)),
        (P + b"C\x02ab.", b"ab"),
        (P + b"\x8e\x02\0\0\0\0\0\0\0ab.", b"ab"),
        (P + b"\x8d\x02\0\0\0\0\0\0\0ab.", "ab"),
        (P + b"(t.", ()),
        (P + b"].", []),
    ],
)
def test_streams_mean_what_pickletools_says(data: bytes, value: object) -> None:
    assert interpreted(data) == value


@pytest.mark.parametrize(
    ("data", "offset", "said"),
    [
        (P + b"Nr\xff\xff\xff\x7f.", 3, "memo number 2,147,483,647 in a file of 9 bytes"),
        (P + b"h\x05.", 2, "memo number 5 is used before it is set"),
        (P + b"N2\x86.", 3, "opcode DUP"),
        (P + b"N0N.", 3, "opcode POP"),
        (P + b"(N1N.", 4, "opcode POP_MARK"),
        (P + b"\x97.", 2, "opcode NEXT_BUFFER"),
        (P + b"N\x98.", 3, "opcode READONLY_BUFFER"),
        (P + b"\x82\x01.", 2, "opcode EXT1"),
        (P + b"\x83\x01\0.", 2, "opcode EXT2"),
        (P + b"\x84\x01\0\0\0.", 2, "opcode EXT4"),
        (P + b"Pid\n.", 2, "opcode PERSID"),
        (P + b"NQ.", 3, "opcode BINPERSID"),
        (P + b"(iposix\nsystem\n.", 3, "opcode INST"),
        (P + b"(No.", 4, "opcode OBJ"),
        (P + b"N)\x81.", 4, "opcode NEWOBJ"),
        (P + b"N)}\x92.", 5, "opcode NEWOBJ_EX"),
        (P + b"\x8f.", 2, "opcode EMPTY_SET"),
        (P + b"(\x91.", 3, "opcode FROZENSET"),
        (P + b"\x00.", 2, "opcode 0x00"),
        (P + b"I1\n.", 2, "INT of pickle protocol 0 or 1"),
        (P + b"U\x01a.", 2, "SHORT_BINSTRING of pickle protocol 0 or 1, or of Python 2"),
        (P + b"a.", 2, "opcode APPEND needs values"),
        (P + b"e.", 2, "needs a mark, and there is none"),
        (P + b"](Na.", 5, "not a list|needs values"),
        (P + b"N\x86.", 3, "needs values"),
        (P + b"NNe.", 4, "needs a mark"),
        (P + b"N(Ne.", 5, "not a list"),
        (P + b"N(NNu.", 6, "not a dict"),
        (P + b"}(Nu.", 5, "a key that has no value"),
        (P + b"}(]Nu.", 6, "a dict key that is not a text"),
        (P + b"}(\x8a\x09" + b"\x7f" * 9 + b"Nu.", 16, "beyond 64 bits"),
        (P + b"(N.", 5, "unfinished values"),
        (P + b"NN.", 5, "unfinished values"),
        (P + b".", 3, "unfinished values"),
        (P + b"N.N", 4, "1 bytes follow the end"),
        (P + P + b"N.", 2, "pickle protocol 4 at byte 2"),
        (P + b"X\x02\0\0\0\xff\xfe.", 2, "not UTF-8"),
        (P + b"X\x03\0\0\0\xed\xa0\x80.", 2, "not UTF-8"),
        (P + b"X\xff\0\0\0a.", 2, "the file is cut short"),
        (P + b"J\0.", 2, "the file is cut short"),
        (P + b"K", 2, "cut short"),
        (P + b"N", 3, "cut short"),
        (P + b"cnumpy\nndarray\n.", None, "a class, a function"),
        (P + b"cnumpy\nndarray\n)R.", 18, "unknown constructor"),
        (P + b"cos\nsystem\n.", 2, "os.system"),
        (P + b"\x8c\x02os\x8c\x06system\x93.", 14, "os.system"),
        (P + b"NN\x93.", 4, "not a short text"),
    ],
)  # fmt: skip
def test_a_refusal_names_opcode_and_byte(data: bytes, offset: int | None, said: str) -> None:
    with pytest.raises(FileRefusedError, match=said) as caught:
        interpreted(data)
    assert caught.value.offset == offset
    assert caught.value.remedy
