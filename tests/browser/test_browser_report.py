"""Prompts come in, reports go out: both as a user does it, the reports opened without a network."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from playwright.sync_api import Browser, FilePayload, expect

from tests.support.planted import plant_grid
from tests.support.server import Server
from tests.support.visitor import ARTIFACTS, Visitor

BROKEN = "text,emotion\nHello <b>you</b> there.,joy\nAgain.,\n"
_SHEDS = ("red", "old", "big", "new", "wet", "dry", "cold", "warm", "tall", "short")
GOOD = "text,emotion\n" + "".join(
    f"The {word} shed has <i>door</i> {number}{mark},{emotion}\n"
    for number, word in enumerate(_SHEDS)
    for emotion, mark in (("joy", "!"), ("calm", "."))
)


def test_a_broken_file_is_refused(server: Server, visit: Callable[..., Visitor]) -> None:
    window = visit()
    page = window.open(f"{server.url}/prompts")
    expect(page.get_by_text("No confound is shown; the words")).to_be_visible()
    window.unfold("Import prompts of your own")
    chooser = page.locator("input[type=file]")
    chooser.set_input_files(file_of("broken.csv", BROKEN))
    expect(page.get_by_text("broken.csv line 3: emotion is empty")).to_be_visible()
    window.shoot("prompts-broken-light")
    chooser.set_input_files(file_of("loud.csv", GOOD))
    page.get_by_role("button", name="Use 20 prompts").click()
    expect(page.get_by_text("A direction can stand for a confound")).to_be_visible()
    window.settled()
    expect(page.get_by_text("prompts with '!' at the end").first).to_be_visible()
    (kept,) = (server.results / "datasets").iterdir()
    assert kept.read_text() == GOOD
    # Must not happen: markup of a prompt or a file read as HTML.
    expect(page.locator("[data-testid=stMain] i")).to_have_count(0)
    page.get_by_role("button", name="Extract with these prompts").click()
    expect(page.get_by_role("heading", name="Extract", exact=True)).to_be_visible()
    expect(page.get_by_role("combobox", name="Data set")).to_have_value(str(kept))


def test_both_reports_are_made_and_open_without_a_network(
    server: Server, visit: Callable[..., Visitor], browser: Browser, tmp_path: Path
) -> None:
    plant_grid(server.results, ["gpt2", "pythia-160m"], n_samples=5)
    window = visit()
    for lang, name in (("en", "English"), ("ja", "Japanese")):
        page = window.open(f"{server.url}/report?lang={lang}")
        page.get_by_role("button", name=f"Make the {name} report").click()
        # The preview is a frame of its own, after which the network never counts as idle.
        heading = {"en": "emoact: activations", "ja": "emoact: 内部活性"}[lang]
        # For a moment the frame of the report before stands below the new one.
        shown = page.frame_locator(f'iframe[title$="-{lang}.html"]')
        preview = shown.frame_locator("iframe").locator("h1")
        expect(preview).to_contain_text(heading, timeout=40_000)
        with page.expect_download() as download:
            page.get_by_role("button", name="Download", exact=True).click()
        path = tmp_path / f"{lang}.html"
        download.value.save_as(path)
        _read_offline(browser, path, lang)


HOSTILE = """<!doctype html><title>Report</title>
<meta http-equiv="refresh" content="0;url={stranger}/stolen">
<base href="{stranger}/" target="_top"><script>fetch("{stranger}/script")</script>
<h1>Pretty report</h1><p><a id="out" href="{stranger}/link">a link</a>
<a id="new" target="_blank" href="{stranger}/window">a window</a>
<a id="own" target="_self" href="#end">a section</a></p>
<form action="{stranger}/form"><input type="password" name="p"><button>Log in</button></form>
<img src="{stranger}/image"><iframe src="{stranger}/frame"></iframe>
<p style="height: 3000px"></p><p id="end">The end</p>"""


def test_a_report_of_a_stranger_leads_nowhere(server: Server, browser: Browser) -> None:
    plant_grid(server.results, ["gpt2"], n_samples=3)
    (server.results / "reports").mkdir(exist_ok=True)
    foreign = server.results / "reports" / "foreign.html"
    with asked_of_a_stranger() as (stranger, asked), browser.new_context() as context:
        foreign.write_text(HOSTILE.format(stranger=stranger))
        page = context.new_page()
        page.goto(f"{server.url}/report?report=foreign.html")
        report = page.frame_locator("iframe").frame_locator("iframe")
        expect(report.get_by_role("heading", name="Pretty report")).to_be_visible()
        report.get_by_role("button", name="Log in").click()
        report.locator("#new").click()
        report.locator("#own").click()
        expect(report.locator("#end:target")).to_have_count(1)
        expect(report.get_by_role("heading", name="Pretty report")).to_have_count(1)
        report.locator("#out").click()
        expect(page.get_by_role("heading", name="Report", exact=True)).to_be_visible()
        assert len(context.pages) == 1
        assert page.url.startswith(server.url)
    # Must not happen: anything asked of the stranger.
    assert asked == []


@contextlib.contextmanager
def asked_of_a_stranger() -> Iterator[tuple[str, list[str]]]:
    """Address of another server, and the requests that it gets."""
    asked: list[str] = []

    class Stranger(BaseHTTPRequestHandler):
        def handle(self) -> None:
            # A browser may open a connection beforehand and then ask nothing.
            if line := self.rfile.readline():
                asked.append(line.decode())

    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def file_of(name: str, text: str) -> FilePayload:
    return FilePayload(name=name, mimeType="text/csv", buffer=text.encode())


def _read_offline(browser: Browser, path: Path, lang: str) -> None:
    context = browser.new_context(
        offline=True,
        color_scheme="dark" if lang == "ja" else "light",
        viewport={"width": 1280, "height": 1600},
    )
    page = context.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(path.as_uri())
    heading = {"en": "Extracted activations", "ja": "抽出された活性"}[lang]
    expect(page.get_by_role("heading", name=heading)).to_be_visible()
    expect(page.get_by_role("img")).to_have_count(2)
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"report-{lang}.png", full_page=True)
    # Must not happen: anything but the file itself asked for, or a page wider than its window.
    assert asked == [path.as_uri()]
    assert said == []
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    for width in (400, 800):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    context.close()
