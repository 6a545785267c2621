"""A window of a real browser on the dashboard; nothing here waits for a fixed time."""

import contextlib
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.server import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")

ARTIFACTS = ROOT / "artifacts"
"""Where tests leave what they saw."""

expect.set_options(timeout=30_000)


@dataclass
class Visitor:
    """A browser window that remembers whom it talked to, and what JavaScript raised."""

    page: Page
    strangers: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.errors.append(error.stack or error.message))

    def open(self, address: str) -> Page:
        """Go to an address and wait until the script has run."""
        self.page.goto(address)
        self.settled()
        return self.page

    def settled(self) -> None:
        """Wait until the script has run and everything is drawn, and nothing was raised."""
        # What was typed or clicked is asked of the server once the window is drawn again.
        self.page.evaluate("""async () => {
            for (let n = 0; n < 3; n++) {
                await new Promise(requestAnimationFrame);
                await new Promise(done => setTimeout(done));
            }
        }""")
        # Charts, tables and button groups load their code when they are first needed.
        self.page.wait_for_load_state("networkidle")
        expect(self.page.locator("[data-testid=stApp]")).to_have_attribute(
            "data-test-script-state", "notRunning"
        )
        expect(self.page.locator("[data-stale=true]")).to_have_count(0)
        # What the script has just made may ask for its code only now.
        self.page.wait_for_load_state("networkidle")
        expect(self.page.locator("[data-testid=stSkeleton]")).to_have_count(0)
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

    def shoot(self, name: str, *, folder: Path = ARTIFACTS, highest: int = 4000) -> None:
        """Save what the window shows, as high as the page is up to this many pixels."""
        folder.mkdir(exist_ok=True)
        main = self.page.locator("[data-testid=stMain]")
        size = self.page.viewport_size or {"width": 1280, "height": 900}
        height = int(main.evaluate("element => element.scrollHeight"))
        self.page.set_viewport_size({"width": size["width"], "height": min(height, highest)})
        self.settled()
        self.page.screenshot(path=folder / f"{name}.png")
        self.page.set_viewport_size(size)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser of this machine, without services of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-sync",
            ],
        )
        yield browser
        browser.close()


def window(browser: Browser, scheme: str = "light", width: int = 1280) -> Visitor:
    """A new window, light or dark, that remembers whom it asks."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    visitor = Visitor(page=context.new_page())
    own = ("http://localhost:", "ws://localhost:", "data:", "blob:", "file:")
    visitor.page.on(
        "request",
        lambda request: (
            None if request.url.startswith(own) else visitor.strangers.append(request.url)
        ),
    )
    return visitor
