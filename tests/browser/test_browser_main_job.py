"""The main job with the embedded model, as a person does it: one click, watch, look."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from emoact.jobs.progress import list_runs
from emoact.models.hosts import IDLE, leave_others
from emoact.store.reading import read_all
from tests.browser.conftest import needs_model
from tests.support.server import Server
from tests.support.visitor import Visitor

EMOTIONS = ["gratitude", "anger", "apology", "neutral"]
RUN_MS = 240_000

pytestmark = needs_model


@pytest.fixture(autouse=True)
def warm_host(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process of the run keeps its model for the sentences, and ends with the test."""
    monkeypatch.setenv(IDLE, "120")
    leave_others()
    yield
    leave_others()


def test_one_click_extracts_four_emotions(server: Server, visit: Callable[..., Visitor]) -> None:
    window = visit()
    page = window.open(server.url)
    window.shoot("home-empty-light")
    page.get_by_role("button", name="Extract 200 prompts with smollm2-135m").click()

    expect(page).to_have_url(re.compile(r"/extract\?run="))
    expect(page.get_by_role("heading", name="Extract")).to_be_visible()
    expect(page.get_by_text("Load model")).to_be_visible()
    address = page.url
    bars = page.locator("[data-testid=stProgress]")
    expect(bars).to_have_count(4)
    expect(bars.first).to_contain_text("0 of 50")

    # Bars move while later ones still wait, and nothing has been reloaded for it.
    page.evaluate("window.untouched = true")
    expect(bars.first).to_contain_text("50 of 50", timeout=RUN_MS)
    expect(bars.last).not_to_contain_text("saved")
    assert page.evaluate("window.untouched") is True
    window.shoot("extract-running-light")

    page.reload()
    expect(page).to_have_url(address)
    expect(page.get_by_role("button", name="Cancel run")).to_be_visible()
    expect(bars.first).to_contain_text("50 of 50")

    expect(page.get_by_text("finished", exact=False).first).to_be_visible(timeout=RUN_MS)
    window.settled()
    for bar, emotion in zip(bars.all(), EMOTIONS, strict=True):
        expect(bar).to_contain_text(f"{emotion} 50 of 50")
    window.shoot("extract-finished-light")

    page.get_by_role("button", name="Look at the activations").click()
    expect(page).to_have_url(re.compile(r"/activations\?model=smollm2-135m"))
    expect(page.locator(".js-plotly-plot").first.locator(".legendtext")).to_have_text(EMOTIONS)
    # Two panels with a line for each emotion, and a band for each line.
    expect(page.locator(".js-plotly-plot").first.locator(".scatterlayer .js-line")).to_have_count(
        8 + 8
    )
    # What a few massive tokens do is said before the sink, and before any difference of medians.
    answer = page.get_by_text("times the median residual stream norm at layer").first
    expect(answer).to_contain_text(
        re.compile(
            r"^\d+ of \d+ prompts contain a token .*the.* may come from .* \(first-token sink\)"
        )
    )
    window.settled()
    window.shoot("activations-light")

    page.get_by_text("sentence", exact=True).click()
    expect(page.get_by_text("The model is loaded already.")).to_be_visible()
    page.get_by_label("Sentence", exact=True).fill("Thank you <b>so</b> much for the soup.")
    page.get_by_role("button", name="Look at the sentence").click()
    nearest = page.get_by_text("the sentence lies closest to")
    expect(nearest).to_contain_text("lies closest to gratitude", timeout=150_000)
    expect(nearest).to_contain_text("held out by scenario")
    # Must not happen: markup of a sentence that is read as markup.
    expect(page.locator("[data-testid=stMain] b", has_text="so")).to_have_count(0)
    page.get_by_label("Sentence", exact=True).fill("I am sorry that I broke it.")
    page.get_by_role("button", name="Look at the sentence").click()
    # The model is there already.
    expect(nearest).to_contain_text("lies closest to apology")
    expect(page).to_have_url(re.compile("sentence-text=I\\+am\\+sorry"))
    window.settled()
    window.shoot("activations-sentence-light")
    page.get_by_label("Sentence", exact=True).fill("word " * 900)
    page.get_by_role("button", name="Look at the sentence").click()
    expect(page.get_by_text("4,499 characters; at most 2,000")).to_be_visible()

    dark = visit("dark", 1920)
    dark.open(f"{server.url}/activations?model=smollm2-135m&scale=log&first=true")
    expect(dark.page.locator(".js-plotly-plot").first.locator(".legendtext")).to_have_text(EMOTIONS)
    dark.shoot("activations-dark")
    for name in ("", "extract", "runs"):
        dark.open(f"{server.url}/{name}")
        dark.shoot(f"{name or 'home'}-dark")

    # Must not happen: a second run through the refresh, or a file that is not whole.
    assert len(list_runs(server.results)) == 1
    grid = read_all(server.results)
    assert not grid.problems
    shapes = {unit.emotion: (unit.n_layers, unit.d_model, unit.n_samples) for unit in grid}
    assert shapes == dict.fromkeys(EMOTIONS, (30, 576, 50))


def test_cancel_keeps_what_was_saved(server: Server, visit: Callable[..., Visitor]) -> None:
    window = visit()
    page = window.open(f"{server.url}/extract?emotions=anger&emotions=neutral")
    page.get_by_role("button", name="Extract 100 prompts with smollm2-135m").click()
    bars = page.locator("[data-testid=stProgress]")
    expect(bars).to_have_count(2)
    expect(page.get_by_text("Load model")).to_be_visible()
    page.get_by_role("button", name="Cancel run").click()
    expect(page.get_by_role("button", name="Cancelling")).to_be_disabled()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0, timeout=150_000)
    expect(
        page.locator("[data-testid=stMarkdownContainer]", has_text="cancelled").first
    ).to_be_visible()
    window.settled()
    window.shoot("extract-cancelled-light")

    page.goto(f"{server.url}/runs?{page.url.partition('?')[2]}")
    resume = page.get_by_role("button", name="Resume run")
    expect(resume).to_be_visible()
    window.settled()
    window.shoot("runs-cancelled-light")

    # The tab that resumed a run watches it, and sees the end of its worker.
    resume.click()
    expect(page.get_by_role("button", name="Cancel run")).to_be_visible()
    clock = page.get_by_test_id("stMetric").filter(has_text="Elapsed")
    expect(clock).to_contain_text("attempt 2")
    before = clock.inner_text()
    expect(clock).not_to_have_text(before, use_inner_text=True, timeout=60_000)
    page.get_by_role("button", name="Cancel run").click()
    expect(resume).to_be_visible(timeout=150_000)
    expect(page.get_by_role("button", name="Cancelling")).to_have_count(0)
    expect(page.get_by_text("of 2 files saved").first).to_be_visible()

    # Must not happen: half a file, or work in progress left behind.
    assert not read_all(server.results).problems
    assert not list(server.results.rglob(".emoact-*"))
    assert [run.state for run in list_runs(server.results)] == ["cancelled"]
