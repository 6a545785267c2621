import os
import tomllib
from pathlib import Path

from tests.support.server import ROOT, serving


def test_only_this_machine_is_served_and_nobody_is_told_about_it() -> None:
    config = tomllib.loads((ROOT / ".streamlit/config.toml").read_text())
    assert config["server"]["address"] == "localhost"
    assert config["server"]["enableCORS"]
    assert config["server"]["enableXsrfProtection"]
    assert config["browser"]["gatherUsageStats"] is False
    assert "headless" not in config["server"], "`make app` opens a browser"


def test_the_first_start_asks_no_question_and_opens_a_browser(tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    for name in ("xdg-open", "open"):
        browser = tmp_path / "bin" / name
        browser.parent.mkdir(exist_ok=True)
        browser.write_text(f'#!/bin/sh\necho "$@" >> {opened}\n')
        browser.chmod(0o755)
    environment = {
        "HOME": str(tmp_path),
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "DISPLAY": ":7",
    }
    results, log = tmp_path / "results", tmp_path / "server.log"
    with serving(
        results, log, headless=False, environment=environment, ready=opened.exists
    ) as server:
        assert server.url in opened.read_text()
    said = log.read_text()
    assert "mail" not in said
    assert "usage statistics" not in said
