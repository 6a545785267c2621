"""A real server and a real Chromium; nothing here waits for a fixed time."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from emoact.models.cache import converted_dir, is_converted
from emoact.models.registry import SMOLLM2
from tests.support.server import ROOT, Server, serving

ARTIFACTS = ROOT / "artifacts"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")

needs_model = pytest.mark.skipif(
    not is_converted(converted_dir(SMOLLM2.gguf_sha256)),
    reason="no embedded model; get it with `python -m emoact models install smollm2-135m`",
)

expect.set_options(timeout=15_000)


@dataclass
class Visitor:
    """A browser window that remembers whom it talked to.

    Attributes:
        page: The window.
        strangers: Addresses outside this machine that were asked for.
    """

    page: Page
    strangers: list[str] = field(default_factory=list)

    def open(self, address: str) -> Page:
        """Go to an address and wait until the script has run."""
        self.page.goto(address)
        self.settled()
        return self.page

    def settled(self) -> None:
        """Wait until the script has run and everything is drawn, and nothing was raised."""
        # Charts, tables and button groups load their code when they are first needed.
        self.page.wait_for_load_state("networkidle")
        expect(self.page.locator("[data-testid=stApp]")).to_have_attribute(
            "data-test-script-state", "notRunning"
        )
        expect(self.page.locator("[data-testid=stSkeleton]")).to_have_count(0)
        expect(self.page.locator("[data-stale=true]")).to_have_count(0)
        expect(self.page.locator("[data-testid=stException]")).to_have_count(0)

    def unfold(self, title: str | re.Pattern[str]) -> None:
        """Open an expander and wait until it has opened.

        What is inside slides while it opens: a button pressed then is no longer below the pointer
        when the pointer lets go, and no click happens.
        """
        expander = self.page.get_by_test_id("stExpander").filter(
            has=self.page.locator("summary", has_text=title)
        )
        expander.locator("summary").click()
        expect(expander.get_by_test_id("stExpanderDetails")).not_to_have_attribute("inert", "")
        expander.evaluate("""async element => {
            const drawn = () => new Promise(requestAnimationFrame);
            await drawn();
            await drawn();
            const slides = element.getAnimations({subtree: true});
            await Promise.allSettled(slides.map(slide => slide.finished));
        }""")
        self.settled()

    def shoot(self, name: str) -> None:
        """Save what the window shows, as high as the page is, below `artifacts/`."""
        ARTIFACTS.mkdir(exist_ok=True)
        main = self.page.locator("[data-testid=stMain]")
        size = self.page.viewport_size or {"width": 1280, "height": 900}
        height = int(main.evaluate("element => element.scrollHeight"))
        self.page.set_viewport_size({"width": size["width"], "height": min(height, 4000)})
        self.page.screenshot(path=ARTIFACTS / f"{name}.png")
        self.page.set_viewport_size(size)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that nobody has visited yet, with an empty results folder."""
    results = tmp_path / "results"
    results.mkdir()
    with serving(results, tmp_path / "server.log") as started:
        yield started


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None and os.environ.get("EMOACT_REQUIRE_BROWSER"):
        pytest.fail("no browser is installed, and this run was told to have one")
    if CHROMIUM is None:
        pytest.skip("no browser is installed; get one with `apt-get install chromium`")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-sync",
            ],
        )
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Opens windows, light or dark; at the end none of them may have asked a stranger."""
    visitors: list[Visitor] = []

    def opened(scheme: str = "light", width: int = 1280) -> Visitor:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        visitor = Visitor(page=context.new_page())
        visitor.page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(
                    ("http://localhost:", "ws://localhost:", "data:", "blob:")
                )
                else visitor.strangers.append(request.url)
            ),
        )
        visitors.append(visitor)
        return visitor

    yield opened
    for visitor in visitors:
        visitor.page.context.close()
    assert [url for visitor in visitors for url in visitor.strangers] == []
