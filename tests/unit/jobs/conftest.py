from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stand_in_world import World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world of its own, with a cache of its own; no worker outlives the test."""
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EMOACT_WORKERS", raising=False)
    world = World(tmp_path)
    yield world
    world.end_all()
