from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from emoact.host import client


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Workers of arithmetic in a cache folder of this test; they leave when it ends."""
    root = Path(__file__).resolve().parents[3]
    # Sockets have short names, and pytest's folders are deep.
    cache = Path(tempfile.mkdtemp(prefix="emoact-"))
    monkeypatch.setenv("EMOACT_CACHE", str(cache))
    monkeypatch.setenv("PYTHONPATH", str(root))
    monkeypatch.setattr(client, "WORKER", (sys.executable, "-m", "tests.support.stand_in_sentence"))
    yield cache
    client.stop_workers()
    shutil.rmtree(cache, ignore_errors=True)
