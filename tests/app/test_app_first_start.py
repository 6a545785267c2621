"""The dashboard as a process: its settings, its first start, and what its pages import."""

import os
import tomllib
from pathlib import Path

from tests.support.loaded import loaded
from tests.support.planted import plant_grid
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_runs import plant_run
from tests.support.planted_scenarios import plant_scenarios
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


PROGRAM = """
from pathlib import Path
from streamlit.testing.v1 import AppTest

app = AppTest.from_file("app.py", default_timeout=60).run()
for page in sorted(Path("pages").glob("*.py")):
    app.switch_page(f"pages/{page.name}").run()
    assert not app.exception, (page, app.exception)
    charts = page.stem in ("activations", "directions", "distances", "across_models")
    assert not charts or app.get("plotly_chart"), page
"""


def test_no_page_imports_what_only_a_worker_needs(results: Path) -> None:
    plant_grid(results, ["gpt2"])
    plant_run(results)
    plant_scenarios(results, "pythia-160m")
    plant_scenarios(results, "gpt-neo-125m")
    plant_analysis(results, models=("pythia-160m", "gpt-neo-125m"))
    packages = loaded(PROGRAM)
    assert {"streamlit", "emoact", "plotly"} <= packages
    worker = {"torch", "transformers", "transformer_lens", "sklearn", "scipy", "matplotlib"}
    assert not packages & worker


def test_every_page_stands_in_the_navigation_and_enters_the_frame(results: Path) -> None:
    """A page that lacks either is shown without its frame on a cold visit."""
    frame = (ROOT / "emoact/ui/frame.py").read_text()
    pages = sorted((ROOT / "pages").glob("**/*.py"))
    assert pages
    for page in pages:
        assert f'"{page.stem}": "' in frame
        body = page.read_text()
        assert body.index("frame.enter()") < body.index("st.title(")
