"""Files that are whole or absent after any failure."""

import errno
import fcntl
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest

from emoact.errors import EmoactError
from emoact.store.atomic import check_folder, replace_atomically, write_error, write_json
from emoact.store.locks import make_folder


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _failing(code: int) -> Callable[..., NoReturn]:
    def fail(*_: object, **__: object) -> NoReturn:
        raise OSError(code, os.strerror(code))

    return fail


def test_the_new_content_is_in_place_and_nothing_else_is(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "file"
    with replace_atomically(target) as file:
        file.write(b"one")
        assert not target.exists()
    with replace_atomically(target) as file:
        file.write(b"two" * 100_000)
        assert target.read_bytes() == b"one"
    assert target.read_bytes() == b"two" * 100_000
    assert _names(target.parent) == ["file"]


def test_a_new_file_gets_the_rights_that_the_user_gives_new_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with replace_atomically(tmp_path / "file") as file:
            file.write(b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), EmoactError("mine")])
def test_an_error_in_the_block_keeps_the_file(error: BaseException, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")

    def write_half() -> None:
        with replace_atomically(tmp_path / "file") as file:
            file.write(b"new")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert (tmp_path / "file").read_bytes() == b"old"
    assert _names(tmp_path) == ["file"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_failing_system_call_discards_the_new_file(
    call: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"old")
    monkeypatch.setattr(os, call, _failing(code))
    with (
        pytest.raises(EmoactError, match=errno.errorcode[code]),
        replace_atomically(tmp_path / "file") as file,
    ):
        file.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"old"
    assert _names(tmp_path) == ["file"]


def test_an_unconfirmed_rename_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def fail_on_folders(descriptor: int) -> None:
        if os.path.isdir(f"/dev/fd/{descriptor}"):  # noqa: PTH112
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fail_on_folders)
    with pytest.raises(EmoactError, match="EIO"), replace_atomically(tmp_path / "file") as file:
        file.write(b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_a_heartbeat_waits_for_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", _failing(errno.EIO))
    write_json(tmp_path / "status.json", {"at": 1}, durable=False)
    assert json.loads((tmp_path / "status.json").read_text()) == {"at": 1}


def test_a_disk_without_room_shows_before_anything_is_written(tmp_path: Path) -> None:
    status = os.statvfs(tmp_path)
    need = status.f_blocks * status.f_frsize + 1
    with (
        pytest.raises(EmoactError, match=rf"{need:,} bytes are needed and [\d,]+ bytes are free"),
        replace_atomically(tmp_path / "file", need=need),
    ):
        pytest.fail("the block must not run")
    assert _names(tmp_path) == []


def test_files_that_only_look_temporary_are_left_alone(tmp_path: Path) -> None:
    others = [".emoact-notes.tmp", ".emoact-0123456789abcdef.tmp.bak", "x.tmp"]
    for name in others:
        (tmp_path / name).write_bytes(b"mine")
    (tmp_path / "outside").write_bytes(b"mine")
    link = tmp_path / f".emoact-{'a' * 16}.tmp"
    link.symlink_to(tmp_path / "outside")
    check_folder(tmp_path)
    assert _names(tmp_path) == sorted([*others, "outside", link.name])


def test_writers_side_by_side_never_remove_each_others_files(tmp_path: Path) -> None:
    """Every start of a write looks for dead writers' files while seven others have theirs open."""

    def write_many(worker: int) -> None:
        for turn in range(40):
            with replace_atomically(tmp_path / f"file{worker}", durable=False) as file:
                file.write(f"{worker} {turn}".encode())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write_many, range(8)))
    assert [(tmp_path / f"file{n}").read_text() for n in range(8)] == [f"{n} 39" for n in range(8)]
    assert len(_names(tmp_path)) == 8


def test_a_file_taken_for_dead_is_remade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fcntl.flock
    removed: list[Path] = []

    def remove_then_lock(descriptor: int, operation: int) -> None:
        if not removed:
            removed.extend(tmp_path.glob(".emoact-*.tmp"))
            removed[0].unlink()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_then_lock)
    with replace_atomically(tmp_path / "file") as file:
        file.write(b"whole")
    assert (tmp_path / "file").read_bytes() == b"whole"
    assert len(removed) == 1


def test_files_are_written_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", _failing(errno.ENOTSUP))
    stale = tmp_path / f".emoact-{'0' * 16}.tmp"
    stale.touch()
    with replace_atomically(tmp_path / "file") as file:
        file.write(b"x")
    # It cannot be known whether its writer lives, so it stays.
    assert _names(tmp_path) == [stale.name, "file"]


def test_json_comes_back_as_it_was_even_with_a_lone_surrogate(tmp_path: Path) -> None:
    content = {"text": "ありがとう \ud800", "n": [1, 2.5, None, True]}
    write_json(tmp_path / "file.json", content)
    assert json.loads((tmp_path / "file.json").read_bytes()) == content


def test_json_without_a_spelling_is_refused_and_keeps_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "file.json", 1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file.json", float("nan"))
    assert json.loads((tmp_path / "file.json").read_text()) == 1
    assert _names(tmp_path) == ["file.json"]


def test_new_folders_reach_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, synced = os.fsync, []

    def spy(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115
        real(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    make_folder(tmp_path / "a" / "b")
    assert synced == [str(tmp_path), str(tmp_path / "a")]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "the disk is full: 1,234 bytes are needed and"),
        (errno.EDQUOT, "the quota is used up: 1,234 bytes are needed and"),
        (errno.EFBIG, "larger than the system allows: 1,234 bytes are needed and"),
        (errno.EROFS, "cannot be written: Read-only file system"),
        (errno.EACCES, "cannot be written: Permission denied"),
        (errno.EIO, "could not be written: Input/output error"),
        (errno.ENAMETOOLONG, "could not be written: File name too long"),
    ],
)
def test_every_error_says_where_why_and_what_to_do(code: int, said: str, tmp_path: Path) -> None:
    path = tmp_path / "missing" / "file"
    error = write_error(OSError(code, os.strerror(code)), path=path, need=1234)
    assert str(path) in error.message
    assert said in error.message
    assert errno.errorcode[code] in error.message
    assert error.remedy
    assert "the cable" in write_error(OSError("the cable"), path=path).message
