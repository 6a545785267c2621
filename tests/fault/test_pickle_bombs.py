"""Files made to exhaust memory or time are refused within a second and 200 MB."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.bombs import BOMBS
from tests.support.defuse import defusing

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc and RLIMIT_AS are Linux's")

GROWTH = 200 << 20
CPU_SECONDS = 1.0

Defuse = Callable[[Path], dict[str, Any]]


@pytest.fixture(scope="module")
def defuse() -> Iterator[Defuse]:
    with defusing(GROWTH) as ask:
        yield ask


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_early_and_in_200_mb(bomb: str, tmp_path: Path, defuse: Defuse) -> None:
    path = tmp_path / "bomb.pkl"
    path.write_bytes(BOMBS[bomb]())
    told = defuse(path)
    path.unlink()
    assert "died" not in told
    assert told["refused"]
    assert "malformed" not in told["reason"]
    assert "memory" not in told["reason"]
    assert told["cpu_seconds"] < CPU_SECONDS


def test_the_limit_on_growth_is_real(tmp_path: Path, defuse: Defuse) -> None:
    path = tmp_path / "dense.pkl"
    text = b"X\x00\x00\x80\x00" + b"a" * (8 << 20)
    path.write_bytes(b"\x80\x04](" + text * 30 + b"e.")
    assert "not enough memory" in defuse(path)["reason"]
