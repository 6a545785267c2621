from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from emoact.analysis.inputs import FileHashes, InputFile, check_unchanged
from emoact.analysis.key import analysis_id
from emoact.errors import EmoactError
from emoact.store.layout import ResultsRoot
from tests.support.planted_scenarios import FAST


def an_input(emotion: str = "anger", sha256: str = "a" * 64) -> InputFile:
    return InputFile(
        folder="gpt2",
        emotion=emotion,
        model="gpt2",
        file=f"activations/gpt2/activations_{emotion}.pkl",
        size=3,
        sha256=sha256,
    )


def test_the_key_depends_on_bytes_and_settings_and_not_on_order() -> None:
    one, two = an_input("anger"), an_input("neutral", "b" * 64)
    key = analysis_id([one, two], FAST)
    assert key == analysis_id([two, one], FAST)
    assert key != analysis_id([one], FAST)
    assert key != analysis_id([one, an_input("neutral", "c" * 64)], FAST)
    for changed in ({"seed": 1}, {"pooling": "last"}, {"allow_mixed": True}):
        assert key != analysis_id([one, two], dataclasses.replace(FAST, **changed))


def test_a_hash_is_remembered_until_the_file_changes(tmp_path: Path) -> None:
    root = ResultsRoot(tmp_path)
    path = tmp_path / "activations" / "gpt2" / "activations_anger.pkl"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"abc")
    hashes = FileHashes(root)
    assert hashes.known(path) is None
    # sha256sum of the three bytes.
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert hashes.compute(path) == expected
    hashes.keep()
    assert FileHashes(root).known(path) == expected
    check_unchanged(root, [an_input(sha256=expected)], hashes)
    path.write_bytes(b"abd")
    os.utime(path, ns=(0, 0))
    assert FileHashes(root).known(path) is None
    with pytest.raises(EmoactError, match="changed while it was analysed"):
        check_unchanged(root, [an_input(sha256=expected)], hashes)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"files": 3}', '{"files": {"a": 3}}'])
def test_a_damaged_memory_of_hashes_is_no_memory(tmp_path: Path, content: str) -> None:
    root = ResultsRoot(tmp_path)
    root.analysis.mkdir()
    (root.analysis / ".hashes.json").write_text(content)
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    hashes = FileHashes(root)
    assert hashes.known(path) is None
    hashes.compute(path)
    hashes.keep()
    assert FileHashes(root).known(path) is not None
