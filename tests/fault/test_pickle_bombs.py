"""Files made to exhaust memory or time are refused within a second and 200 MB."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.bombs import BOMBS

pytestmark = pytest.mark.fault

GROWTH = 200 << 20
SECONDS = 1.0
PROGRAM = Path(__file__).parents[1] / "support" / "defuse.py"


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_within_a_second_and_200_mb(bomb: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb.pkl"
    path.write_bytes(BOMBS[bomb]())
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(path), str(GROWTH)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    path.unlink()
    assert done.returncode == 0, done.stderr[-2000:]
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["refused"]
    assert "unforeseen" not in told["reason"]
    assert told["cpu_seconds"] < SECONDS
