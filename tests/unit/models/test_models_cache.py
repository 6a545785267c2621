"""The hash of a large file is remembered for as long as the file is the same."""

import hashlib
import os
from pathlib import Path

import pytest

from emoact.errors import CancelledError, EmoactError
from emoact.models import cache
from emoact.models.cache import file_sha256, known_sha256
from emoact.models.convert import install_lock, remove_leftovers


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that counts as large, and an empty cache."""
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_REMEMBER_FROM", 3)
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    return path


def test_a_hash_is_remembered_until_the_file_changes(large: Path) -> None:
    assert known_sha256(large) is None
    # sha256sum of the three bytes.
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_sha256(large) == expected == known_sha256(large)
    large.write_bytes(b"abcd")
    assert known_sha256(large) is None
    assert file_sha256(large) == hashlib.sha256(b"abcd").hexdigest()


def test_a_change_that_puts_size_and_time_back_is_seen(large: Path) -> None:
    before = large.stat()
    first = file_sha256(large)
    with large.open("r+b") as file:
        file.write(b"abd")
    os.utime(large, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = large.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert known_sha256(large) is None
    assert file_sha256(large) == hashlib.sha256(b"abd").hexdigest() != first


def test_leftovers_of_killed_installations_are_removed(large: Path, tmp_path: Path) -> None:
    models = tmp_path / "cache" / "models"
    left, at_work = models / ".gguf-0123-abcd", models / ".gguf-4567-efgh"
    wheel, whole = tmp_path / "cache" / "wheels" / ".gemma-ijkl", models / "gguf-0123"
    for folder in (left, at_work, wheel, whole):
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(b"part")
    with install_lock("gguf-4567"):
        remove_leftovers()
    assert [place.exists() for place in (left, at_work, wheel, whole)] == [False, True, False, True]


def test_a_small_file_is_known_without_a_memory(large: Path, tmp_path: Path) -> None:
    large.write_bytes(b"ab")
    assert known_sha256(large) == hashlib.sha256(b"ab").hexdigest()
    assert not (tmp_path / "cache").exists()
    assert known_sha256(tmp_path / "no such file") is None


@pytest.mark.parametrize("content", ["", "{", "a" * 63, "\xff" * 64])
def test_a_damaged_memory_is_no_memory(large: Path, tmp_path: Path, content: str) -> None:
    expected = file_sha256(large)
    (memory,) = (tmp_path / "cache" / "hashes").iterdir()
    memory.write_text(content, encoding="latin-1")
    assert known_sha256(large) is None
    assert file_sha256(large) == expected == known_sha256(large)


def test_a_file_that_changes_while_it_is_read_is_refused(large: Path) -> None:
    def change() -> None:
        large.write_bytes(b"other")

    with pytest.raises(EmoactError, match="changed while it was read"):
        file_sha256(large, check_cancelled=change)


def test_hashing_can_be_stopped_and_remembers_nothing(large: Path) -> None:
    def stop() -> None:
        raise CancelledError("stopped")

    with pytest.raises(CancelledError):
        file_sha256(large, check_cancelled=stop)
    assert known_sha256(large) is None


def test_a_cache_that_cannot_be_written_only_costs_time(large: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder would be")
    assert file_sha256(large) == hashlib.sha256(b"abc").hexdigest()
    assert known_sha256(large) is None


def test_a_remembered_hash_is_read_again_on_request(large: Path) -> None:
    file_sha256(large)
    (memory,) = (large.parent / "cache" / "hashes").iterdir()
    memory.write_text("0" * 64, encoding="ascii")
    assert file_sha256(large) == "0" * 64
    assert (
        file_sha256(large, again=True) == hashlib.sha256(b"abc").hexdigest() == known_sha256(large)
    )
