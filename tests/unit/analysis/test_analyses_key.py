import dataclasses
from pathlib import Path

import pytest

from emoact.analysis.key import InputFile, analysis_id, check_unchanged
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


def test_a_file_that_changed_while_it_was_analysed_is_named(tmp_path: Path) -> None:
    root = ResultsRoot(tmp_path)
    path = tmp_path / "activations" / "gpt2" / "activations_anger.pkl"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"abc")
    # sha256sum of the three bytes.
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    check_unchanged(root, [an_input(sha256=expected)])
    path.write_bytes(b"abd")
    with pytest.raises(EmoactError, match="changed while it was analysed"):
        check_unchanged(root, [an_input(sha256=expected)])
