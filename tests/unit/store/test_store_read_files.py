"""Only regular files are opened; the refusal of any other path or format names it."""

import bz2
import gc
import gzip
import io
import lzma
import os
import pickle
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from emoact.errors import FileRefusedError
from emoact.store.read.closed import load_closed
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
    "link": (lambda path: path.symlink_to(__file__), "link.pkl", "symbolic link"),
    "link to itself": (lambda path: path.symlink_to(path), "loop", "symbolic link"),
    **{f"/dev/{name}": (lambda _: None, f"/dev/{name}", "a device")
       for name in ("zero", "random", "null")},
    "NUL": (lambda _: None, "a\0b", "not one that a file can have"),
    "long name": (lambda _: None, "x" * 5000, "cannot be opened"),
    "long path": (lambda _: None, "x/" * 3000 + "a.pkl", "cannot be opened"),
}  # fmt: skip


@pytest.mark.parametrize("kind", PATHS)
def test_a_path_that_is_no_regular_file_is_refused(kind: str, tmp_path: Path) -> None:
    make, name, reason = PATHS[kind]
    make(tmp_path / name)
    assert reason in refused(tmp_path / name).reason


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    program = "import sys; from emoact.store.reading import read; read(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "pipe")],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "it is a named pipe, not a regular file" in done.stderr


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
