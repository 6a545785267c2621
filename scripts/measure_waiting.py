"""Measure what a person waits for: the main job in a browser, and the first script of each page.

    python scripts/measure_waiting.py
    python scripts/measure_waiting.py --against FOLDER

The embedded model has to be installed. `--against` measures another version of the sources too,
in the same browser and on the same machine, right before this one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, expect

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from emoact.models.hosts import IDLE  # noqa: E402
from tests.support.server import serving  # noqa: E402
from tests.support.visitor import chromium, window  # noqa: E402

ROUNDS = 7
_LONGEST_MS = 600_000
_MOVED = """() => [...document.querySelectorAll('[data-testid=stProgress]')]
    .some(bar => /[1-9]\\d* of \\d/.test(bar.textContent))"""
# One process for each page, so that the first time includes all imports.
_PAGE = """
import json, sys, time
import streamlit
from streamlit.testing.v1 import AppTest
began = time.perf_counter()
app = AppTest.from_file("app.py", default_timeout=120)
app.switch_page(f"pages/{sys.argv[1]}.py").run()
times = [time.perf_counter() - began]
for _ in range(int(sys.argv[2])):
    began = time.perf_counter()
    app.run()
    times.append(time.perf_counter() - began)
assert not app.exception, app.exception
print(json.dumps(times))
"""
_PLANT = """
import sys
from pathlib import Path
from tests.support.planted import plant_grid
models = ["smollm2-135m", "gpt2", "pythia-160m"]
plant_grid(Path(sys.argv[1]), models, n_samples=50, n_layers=30, d_model=576)
"""
_SUMMARISE = """
import sys
from emoact.store.layout import ResultsRoot
from emoact.store.summaries import unit_measures
root = ResultsRoot(sys.argv[1])
for folder, emotion, _ in root.units():
    unit_measures(root, folder, emotion)
"""
_LEAVE = "from emoact.models.hosts import leave_others; leave_others()"


def main() -> None:
    """Measure every version and print one line for each."""
    parser = argparse.ArgumentParser(description="Measure what a person waits for.")
    parser.add_argument("--against", type=Path, help="folder of another version's sources")
    parser.add_argument("--rounds", type=int, default=1, help="of the main job")
    arguments = parser.parse_args()
    for sources in filter(None, (arguments.against, ROOT)):
        print(f"{sources}: {json.dumps(waiting(sources, rounds=arguments.rounds))}", flush=True)


def waiting(sources: Path, *, rounds: int = 1) -> dict[str, Any]:
    """Seconds of the main job with a cold and a warm host, and of every page.

    Args:
        sources: Folder of the version that is measured.
        rounds: Of the main job; the median counts.
    """
    with tempfile.TemporaryDirectory(prefix="emoact-waiting-") as folder:
        scratch = Path(folder)
        with chromium() as browser:
            found = [_cold_and_warm(browser, scratch / str(n), sources) for n in range(rounds)]
        jobs = {
            state: {name: statistics.median(each[state][name] for each in found) for name in times}
            for state, times in found[0].items()
        }
        results = scratch / "pages"
        for code in (_PLANT, _SUMMARISE):
            _python(sources, "-c", code, str(results))
        names = sorted(path.stem for path in (sources / "pages").glob("*.py"))
        pages = {name: page_times(name, results, sources) for name in names}
    return {"main_job": jobs, "pages": pages}


def page_times(page: str, results: Path, sources: Path = ROOT) -> tuple[float, float]:
    """Seconds of the first script of a page in a new process, and the median of later ones."""
    cold, *warm = json.loads(_python(sources, "-c", _PAGE, page, str(ROUNDS), results=results))
    return cold, statistics.median(warm)


def _cold_and_warm(browser: Browser, scratch: Path, sources: Path) -> dict[str, dict[str, float]]:
    """The main job without a model in memory, then again in another folder with its host."""
    _python(sources, "-c", _LEAVE)
    try:
        return {s: _main_job(browser, scratch / s, sources) for s in ("cold", "warm")}
    finally:
        _python(sources, "-c", _LEAVE)


def _main_job(browser: Browser, folder: Path, sources: Path) -> dict[str, float]:
    """Seconds from the click to the first bar that moves, and to the end of the run."""
    results = folder / "results"
    results.mkdir(parents=True)
    with serving(results, folder / "log", environment={IDLE: "300"}, sources=sources) as server:
        visitor = window(browser)
        page = visitor.open(server.url)
        button = page.get_by_role("button", name="Extract 200 prompts with smollm2-135m")
        expect(button).to_be_enabled(timeout=_LONGEST_MS)
        began = time.perf_counter()
        button.click()
        page.wait_for_function(_MOVED, timeout=_LONGEST_MS)
        moved = time.perf_counter() - began
        ended = page.get_by_text("finished", exact=False).first
        expect(ended).to_be_visible(timeout=_LONGEST_MS)
        finished = time.perf_counter() - began
        page.context.close()
    return {"first_bar_s": moved, "finished_s": finished}


def _python(sources: Path, *words: str, results: Path | None = None) -> str:
    """Last line that a child process prints with the sources of a version."""
    own = {"PYTHONPATH": str(sources), "HF_HUB_OFFLINE": "1"}
    own |= {} if results is None else {"EMOACT_RESULTS": str(results)}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=sources,
        env={**os.environ, **own},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return (done.stdout.splitlines() or [""])[-1]


if __name__ == "__main__":
    main()
