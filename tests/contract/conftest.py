from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emoact.jobs import launch
from tests.support.stand_in_worker import WORKER
from tests.support.stand_in_world import World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world of its own whose workers compute with the stand-in; none outlives the test."""
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EMOACT_WORKERS", raising=False)
    monkeypatch.delenv("EMOACT_RESULTS", raising=False)
    monkeypatch.setattr(launch, "WORKER", WORKER)
    world = World(tmp_path)
    world.write_dataset()
    yield world
    world.end_all()
