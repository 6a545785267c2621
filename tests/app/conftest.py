from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[2]
OpenPage = Callable[..., AppTest]


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
