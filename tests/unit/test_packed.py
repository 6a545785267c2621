"""Rows of texts in one buffer."""

import pytest

from emoact.packed import Packed

ROWS = (("a", None, ""), ("é\ud800 þÿ", "\x00", None), ("", "", ""))


def test_rows_come_back_as_they_were() -> None:
    packed = Packed(iter(ROWS), lambda row: row, lambda *texts: texts)
    assert len(packed) == 3
    assert tuple(packed) == ROWS
    assert packed == Packed(ROWS, lambda row: row, lambda *texts: texts)
    assert packed != Packed(ROWS[:2], lambda row: row, lambda *texts: texts)
    assert packed[-1] == ROWS[-1]
    assert packed[1:] == [*ROWS[1:]]
    with pytest.raises(IndexError):
        packed[3]
