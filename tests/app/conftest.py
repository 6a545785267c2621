from __future__ import annotations

import time
from pathlib import Path

import pytest

from emoact.jobs.progress import list_runs
from tests.support.pages import ROOT


def ended(results: Path, run_id: str | None = None) -> None:
    """Wait until a run has ended, the newest where none is named."""
    deadline = time.monotonic() + 60
    while any(run.active for run in list_runs(results) if run_id in (None, run.id)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty results folder, which is the one that the dashboard was started with."""
    folder = tmp_path / "results"
    folder.mkdir()
    monkeypatch.setenv("EMOACT_RESULTS", str(folder))
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(ROOT)
    return folder
