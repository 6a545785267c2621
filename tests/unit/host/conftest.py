from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from emoact.host import client
from emoact.models import hosts
from tests.support import stand_in_sentence


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Hosts of arithmetic in a cache folder of this test; they leave when it ends."""
    root = Path(__file__).resolve().parents[3]
    # Sockets have short names, and pytest's folders are deep.
    cache = Path(tempfile.mkdtemp(prefix="emoact-"))
    monkeypatch.setenv("EMOACT_CACHE", str(cache))
    monkeypatch.setenv("PYTHONPATH", str(root))
    monkeypatch.setattr(client, "WORKER", stand_in_sentence.WORKER)
    monkeypatch.setenv(hosts.IDLE, "30")
    yield cache
    hosts.leave_others()
    shutil.rmtree(cache, ignore_errors=True)
