"""A file that is cut or bent anywhere is refused, or read with other values; never worse.

A hundred and fifty places are tried; the long variants try every byte.
"""

import pickle
from pathlib import Path

import pytest

from emoact.errors import FileRefusedError
from emoact.store.contract import check_finite
from emoact.store.read.closed import interpret
from emoact.store.reading import unit_of
from tests.support.honest import payload
from tests.support.planted import plant_unit


def places(data: bytes, every: bool) -> range:
    """All bytes, or every so many, never in step with the arrays."""
    return range(0, len(data), 1 if every else len(data) // 150 | 1)


def use(data: bytes) -> None:
    path = Path("torn.pkl")
    unit = unit_of(path, interpret(memoryview(data), path))
    check_finite(unit)


@pytest.fixture(params=["emoact", 2, 3, 4, 5])
def whole(request: pytest.FixtureRequest, tmp_path: Path) -> bytes:
    if request.param == "emoact":
        return plant_unit(tmp_path, n_samples=1, n_layers=1, d_model=2).read_bytes()
    value = payload(n_layers=1, lengths=(2,), d_model=2)
    return pickle.dumps(value, protocol=request.param)


def test_a_file_cut_at_any_byte_is_refused(whole: bytes, every: bool) -> None:
    use(whole)
    for end in places(whole, every):
        with pytest.raises(FileRefusedError) as caught:
            use(whole[:end])
        assert "malformed" not in caught.value.reason


def test_a_bit_flipped_anywhere_is_refused_or_read(whole: bytes, every: bool) -> None:
    reasons = []
    for at in places(whole, every):
        bent = bytearray(whole)
        bent[at] ^= 1 << at % 8
        try:
            use(bytes(bent))
        except FileRefusedError as error:
            reasons.append(error.reason)
    assert len(reasons) > len(places(whole, every)) / 4
    assert [reason for reason in reasons if "malformed" in reason] == []
