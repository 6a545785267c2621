"""Time from a click to a settled page of the dashboard, in Chromium."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emoact.errors import RequestError
from emoact.views import catalogue

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

ROOT = Path(__file__).parents[2]
PAGES = {
    "activations": "Activations",
    "directions": "Directions",
    "distances": "Distances",
    "across": "Across models",
    "heads": "Heads",
    "causes": "Causes",
}
"""Pages with views, by their name in the records, as the sidebar calls them."""
_OTHERS = ("Runs", "Prompts", "Report", "Home")
_QUIET_MS, _LONGEST_MS, _STARTED_S = 500, 120_000, 60
_WATCH = """
window.emoactHeard = window.emoactChanged = window.emoactClicked = 0;
// A short script may begin and end between two drawings, so that no element ever says that it ran.
// What the server sends does.
window.WebSocket = class extends window.WebSocket {
    constructor(...given) {
        super(...given);
        this.addEventListener('message', () => { window.emoactHeard = performance.now(); });
    }
};
document.addEventListener('pointerdown', () => {
    window.emoactClicked = window.emoactChanged = performance.now();
}, true);
// Elements may be replaced, their document stays.
// What stands within a canvas is not seen: a table writes its cells there for screen readers, 0.2 s
// after it has drawn them.
const isSeen = ({target, type}) => target.nodeName === 'CANVAS' ? type === 'attributes'
    : !target.parentElement?.closest('canvas');
new MutationObserver(found => { if (found.some(isSeen)) window.emoactChanged = performance.now(); })
    .observe(document, {subtree: true, childList: true, attributes: true, characterData: true});
"""
_SETTLED = """quiet =>
    window.emoactHeard > window.emoactClicked
    && performance.now() - Math.max(window.emoactChanged, window.emoactHeard) > quiet
    && document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'
    && !document.querySelector('[data-stale=true], [data-testid=stSkeleton]')"""


@dataclass(frozen=True, kw_only=True)
class ClickTime:
    """Seconds from a click to the last change of the page.

    Attributes:
        page: Title of the page.
        view: Tab that was clicked; empty for the link in the sidebar.
        first_s: The first click.
        later_s: Median of the later ones.
    """

    page: str
    view: str
    first_s: float
    later_s: float


def click_times(
    results: str | os.PathLike[str], *, rounds: int = 3, checkout: Path = ROOT
) -> list[ClickTime]:
    """Times of the link and of every tab of each page; those of an older version where it has them.

    `rounds` is the number of later clicks on each, 1 or more; `checkout` is the code to serve.

    Raises:
        RequestError: playwright or Chromium is not installed.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        chromium = None
    if chromium is None:
        raise RequestError(
            "clicks are timed in a browser, and there is none",
            remedy="Install playwright (requirements-dev.txt) and Chromium.",
        )
    found: dict[tuple[str, str], list[float]] = {}
    with _serving(Path(results).resolve(), checkout) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.add_init_script(_WATCH)
        page.goto(url)
        _settled(page)
        for _ in range(rounds + 1):
            for name in _OTHERS:
                found.setdefault((name, ""), []).append(_click(page, _link(page, name).click))
            for record, name in PAGES.items():
                if not _link(page, name).count():
                    continue
                found.setdefault((name, ""), []).append(_click(page, _link(page, name).click))
                first, *others = (view for view in catalogue.of_page(record) if view.tab)
                # A tab that is chosen already would not answer a click.
                for view in (*others, first):
                    tab = page.get_by_role("radio", name=view.name, exact=True)
                    if tab.count():
                        found.setdefault((name, view.name), []).append(
                            _click(page, tab.first.click)
                        )
        browser.close()
    return [
        ClickTime(page=name, view=view, first_s=first, later_s=statistics.median(later))
        for (name, view), (first, *later) in found.items()
    ]


def _link(page: Page, name: str) -> Locator:
    return page.locator("[data-testid=stSidebarNavLink]").filter(has_text=name).first


def _click(page: Page, click: Callable[[], None]) -> float:
    """Seconds from a click to the last change before the page was quiet."""
    click()
    _settled(page)
    took = page.evaluate("window.emoactChanged - window.emoactClicked")
    return float(took) / 1000


def _settled(page: Page) -> None:
    page.wait_for_function(_SETTLED, arg=_QUIET_MS, timeout=_LONGEST_MS)


@contextlib.contextmanager
def _serving(results: Path, checkout: Path) -> Iterator[str]:
    """Address of a server of this code on these results, until the block ends."""
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        port = int(listener.getsockname()[1])
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", str(port)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*command, "--server.headless", "true"],
            cwd=checkout,
            env={
                **os.environ,
                "EMOACT_RESULTS": str(results),
                "PYTHONPATH": str(checkout.resolve()),
            },
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            deadline = time.monotonic() + _STARTED_S
            while not _healthy(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    said = log.read().decode(errors="replace").strip().splitlines()[-1:]
                    raise RequestError(f"the dashboard did not start: {' '.join(said)}")
                time.sleep(0.1)
            yield f"http://localhost:{port}"
        finally:
            process.terminate()
            process.wait(timeout=20)


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://localhost:{port}/_stcore/health") as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
