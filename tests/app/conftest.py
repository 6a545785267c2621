import re
from pathlib import Path

import pytest

from emoact.jobs import launch
from emoact.jobs.config import RunConfig
from emoact.jobs.launch import Started
from emoact.jobs.progress import list_runs
from emoact.views import text
from tests.support.pages import ROOT
from tests.support.planted import plant_grid
from tests.support.planted_runs import plant_run
from tests.support.stand_in_world import wait_for


def ended(results: Path, run_id: str | None = None) -> None:
    """Wait until a run has ended, the newest where none is named."""
    wait_for(lambda: not any(run.active for run in list_runs(results) if run_id in (None, run.id)))


@pytest.fixture(scope="session")
def good_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Memory of the tables that a process with limits has read already, as in daily use."""
    return tmp_path_factory.mktemp("tables")


@pytest.fixture(autouse=True)
def results(good_tables: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty results folder, which is the one that the dashboard was started with."""
    folder = tmp_path / "results"
    folder.mkdir()
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "tables").symlink_to(good_tables)
    monkeypatch.setenv("EMOACT_RESULTS", str(folder))
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    # Tests read what a page says without the spaces that hold a figure together.
    monkeypatch.setattr(text, "_FIGURE", re.compile("(?!)"))
    monkeypatch.chdir(ROOT)
    return folder


@pytest.fixture
def planted(results: Path) -> Path:
    """The results folder with activations of one model."""
    plant_grid(results, ["gpt2"], n_samples=3)
    return results


@pytest.fixture
def started(results: Path, monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """The runs that pages start; each is there, and none works."""
    found: list[RunConfig] = []

    def record(config: RunConfig) -> Started:
        found.append(config)
        plant_run(results, config.run_id)
        return Started(run_id=config.run_id, existing=False)

    monkeypatch.setattr(launch, "start", record)
    return found
