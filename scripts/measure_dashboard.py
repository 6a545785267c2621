"""Measure the dashboard's process, and write docs/dashboard.md.

Usage: python scripts/measure_dashboard.py --results DIR [--before CHECKOUT --its-results DIR]

Fifty runs and twelve files are planted; every page is opened cold and warm; twenty sessions watch
one run. Clicks are timed in Chromium on DIR, which should hold two models, an analysis and results
about causes; those of another version in a checkout of it, on a folder that it analysed. Run it on
an idle machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from emoact.bench.clicks import ClickTime, click_times
from emoact.jobs.snapshot import State
from emoact.store.layout import ResultsRoot
from emoact.version import __version__

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from scripts.measure_waiting import ROUNDS, page_times  # noqa: E402
from tests.support.planted import plant_grid  # noqa: E402
from tests.support.planted_runs import plant_run  # noqa: E402
from tests.support.server import serving  # noqa: E402
from tests.support.sessions import Session, visit_together  # noqa: E402

WATCHED = "20260131-140500-aaaa"
KEPT = "\n## Found in use\n"
"""From here on the document is written by hand."""


def main() -> None:
    """Measure, and write the document."""
    parser = argparse.ArgumentParser(description="Write docs/dashboard.md.")
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--before", type=Path, help="a checkout of another version")
    parser.add_argument("--its-results", type=Path, help="results that the other version analysed")
    given = parser.parse_args()
    real = given.results
    older: dict[tuple[str, str], ClickTime] = {}
    if given.before:
        before = click_times(given.its_results, checkout=given.before)
        older = {(each.page, each.view): each for each in before}
    clicks = click_times(real)
    files = sum(1 for _ in ResultsRoot(real).units())
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(scratch) / "results"
        _plant(results)
        pages = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
        times = [(page, *page_times(page, results)) for page in pages]
        uss, modules = _memory(results, pages, Path(scratch))
        share, runs, failures = _watchers(results, Path(scratch))
    lines = [
        "# The dashboard's process",
        "",
        f"Written by `scripts/measure_dashboard.py` with emoact {__version__} on "
        f"{os.cpu_count()} cores, Python {platform.python_version()}: 50 runs "
        "in the list, 12 files of 12 layers and 50 prompts each on disk.",
        "",
        f"| page | first script in a new process, s | later ones, median of {ROUNDS}, s |",
        "|---|--:|--:|",
        *(f"| {page} | {cold_s:.2f} | {warm_s:.2f} |" for page, cold_s, warm_s in times),
        "",
        "The targets are 2 s and 0.5 s. The first script includes the imports of the page; the "
        "server loads Streamlit before the first visit.",
        "",
        f"After a visit to every page the server's unique set size is {uss / 1e6:.0f} MB (target: "
        f"under 250 MB); torch loaded: {'yes' if modules else 'no'}.",
        "",
        f"20 websocket sessions watching one run, each drawn again every second for 20 s: "
        f"{runs} scripts, {failures} failures, {share:.2f} of a core for the server (target: at "
        "most 0.2).",
        "",
        "## Clicks",
        "",
        f"Seconds from a click to the last change of the page, in Chromium, with {files} files on "
        "disk (`emoact bench --pages`; target: 0.5 s), the first and the median of 3 later ones. "
        "Before: version d821b2d with the same files and its own analysis, measured just before; "
        "a dash where it had no such page or view.",
        "",
        "| page | click on | before: first | later | now: first | later |",
        "|---|---|--:|--:|--:|--:|",
        *(
            f"| {each.page} | {f'`{each.view}`' if each.view else 'its link'} | "
            f"{_seconds(older.get((each.page, each.view)))} | {_seconds(each)} |"
            for each in clicks
        ),
        "",
        "The scripts of the server are the smaller part, as the first table says; most of a click "
        "on a view is Chromium drawing its charts, here without a graphics card.",
    ]
    document = ROOT / "docs" / "dashboard.md"
    _, heading, kept = document.read_text(encoding="utf-8").partition(KEPT)
    document.write_text("\n".join(lines) + "\n" + heading + kept, encoding="utf-8")


def _seconds(times: ClickTime | None) -> str:
    return f"{times.first_s:.2f} | {times.later_s:.2f}" if times else "- | -"


def _plant(results: Path) -> None:
    models = ["gpt2", "pythia-160m", "gpt-neo-125m"]
    plant_grid(results, models, n_samples=50, n_layers=12, d_model=768)
    states: tuple[State, ...] = ("finished", "failed", "cancelled", "crashed")
    for number in range(50):
        plant_run(results, f"20260131-1405{number:02}-bbbb", states[number % 4], models=models)


def _memory(results: Path, pages: list[str], scratch: Path) -> tuple[int, bool]:
    """Unique set size after a visit to every page, and True when torch's library is mapped."""
    with serving(results, scratch / "memory.log") as server:
        for page in pages:
            name = "" if page == "home" else page
            Session(page=name, query="").visit(server.url, seconds=5.0)
        process = psutil.Process(server.pid)
        mapped = any("libtorch" in part.path for part in process.memory_maps())
        return process.memory_full_info().uss, mapped


def _watchers(results: Path, scratch: Path) -> tuple[float, int, int]:
    """Share of a core for the server, number of scripts, and failures, with twenty sessions."""
    lock = plant_run(results, WATCHED, "running", done=1)
    sessions = [Session(page="extract", query=f"run={WATCHED}", remembers=False) for _ in range(20)]
    with serving(results, scratch / "watchers.log") as server:
        thread = threading.Thread(target=visit_together, args=(sessions, server.url, 40.0))
        thread.start()
        time.sleep(18.0)  # all of them have opened the page
        process = psutil.Process(server.pid)
        before, began = process.cpu_times(), time.perf_counter()
        runs = sum(session.runs for session in sessions)
        time.sleep(20.0)
        after, seconds = process.cpu_times(), time.perf_counter() - began
        runs = sum(session.runs for session in sessions) - runs
        thread.join()
    if lock is not None:
        lock.close()
    spent = after.user + after.system - before.user - before.system
    return spent / seconds, runs, sum(len(session.failures) for session in sessions)


if __name__ == "__main__":
    main()
