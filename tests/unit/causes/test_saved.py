"""Results about causes on disk."""

from pathlib import Path

import numpy as np
import pytest

from emoact.causes.saved import read_cause, save_cause, saved_causes
from emoact.errors import FileRefusedError
from emoact.store.layout import ResultsRoot
from tests.support.planted_heads import plant_heads


def test_a_result_is_found_again_by_what_it_rests_on(tmp_path: Path) -> None:
    root = ResultsRoot(tmp_path)

    saved = save_cause(root, "example", {"layer": 3}, {"total": 1.5, "p": float("nan")})

    assert read_cause(root, "example", saved.id) == saved
    assert saved.found == {"total": 1.5, "p": None}
    assert saved_causes(root, "example") == (saved,)
    assert read_cause(root, "example", "another") is None
    assert save_cause(root, "example", {"layer": 4}, {}).id != saved.id


def test_numbers_of_numpy_are_saved_as_plain_ones(tmp_path: Path) -> None:
    planted = plant_heads(tmp_path)
    norm = np.float64(planted.found["direction_norm"])
    found = {**planted.found, "direction_norm": norm}
    assert save_cause(ResultsRoot(tmp_path), "heads", planted.rests_on, found) == planted


def test_a_result_that_is_not_what_its_name_says_is_refused(tmp_path: Path) -> None:
    root = ResultsRoot(tmp_path)
    saved = save_cause(root, "example", {"layer": 3}, {"total": 1.5})
    other = save_cause(root, "example", {"layer": 4}, {"total": 1.5})
    saved.path.write_bytes(other.path.read_bytes())
    other.path.unlink()

    with pytest.raises(FileRefusedError, match="not what its name says"):
        read_cause(root, "example", saved.id)
    assert saved_causes(root, "example") == ()
