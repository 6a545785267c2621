from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from emoact.jobs.progress import list_runs

PROSE = ("markdown", "caption", "warning", "error", "info")
ROOT = Path(__file__).resolve().parents[2]
OpenPage = Callable[..., AppTest]


def words(app: AppTest) -> str:
    """What a page says, without the escapes of Markdown."""
    elements: list[Any] = [element for kind in PROSE for element in app.get(kind)]
    return "\n".join(str(element.value) for element in elements).replace("\\", "")


def boxes(app: AppTest) -> str:
    """Titles and texts of the errors of a page, as they are in Markdown."""
    return "\n".join(f"{box.proto.title}\n{box.value}" for box in app.error)


def click(app: AppTest, label: str) -> AppTest:
    """The page after a click on a button."""
    next(button for button in app.button if button.label == label).click()
    app.run()
    assert not app.exception, app.exception
    return app


def ended(results: Path, run_id: str | None = None) -> None:
    """Wait until a run has ended, the newest where none is named."""
    deadline = time.monotonic() + 60
    while any(run.active for run in list_runs(results) if run_id in (None, run.id)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
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


@pytest.fixture
def open_page(results: Path) -> OpenPage:
    """Opens a page through `app.py` with the parameters of an address."""

    def opened(page: str, **parameters: str | list[str]) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)
        for name, value in parameters.items():
            app.query_params[name] = value
        if page != "home":
            app.run()
            for name, value in parameters.items():
                app.query_params[name] = value
            app.switch_page(f"pages/{page}.py")
        app.run()
        assert not app.exception, app.exception
        return app

    return opened
