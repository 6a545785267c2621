"""Journeys of a first visitor: prompts with columns of other names, a phone, a keyboard alone."""

from collections.abc import Callable

from playwright.sync_api import FilePayload, Page, expect

from tests.support.planted import plant_grid
from tests.support.server import Server
from tests.support.visitor import Visitor

_MOST_TABS = 80


def tab_to(page: Page, words: str) -> None:
    """Press Tab until the element with these words has the focus."""
    for _ in range(_MOST_TABS):
        page.keyboard.press("Tab")
        focused = page.evaluate("document.activeElement.innerText || ''")
        if words in str(focused) and len(str(focused)) < 2 * len(words) + 40:
            return
    raise AssertionError(f"{words!r} is not reached within {_MOST_TABS} tabs")


def test_other_columns_are_imported(server: Server, visit: Callable[..., Visitor]) -> None:
    window = visit()
    page = window.open(f"{server.url}/prompts")
    window.unfold("Import prompts of your own")
    expect(page.get_by_role("button", name="Sample file")).to_be_visible()
    rows = "".join(
        f"The shed has door {number}.,{mood},{number}\n"
        for number in range(10)
        for mood in ("joy", "calm")
    )
    data = f"sentence,mood,story\n{rows}".encode()
    page.locator("input[type=file]").set_input_files(
        FilePayload(name="mine.csv", mimeType="text/csv", buffer=data)
    )
    expect(page.get_by_text("names its columns otherwise")).to_be_visible()
    for field, column in (("emotion", "mood"), ("scenario_id", "story")):
        page.get_by_role("combobox", name=f"Column of {field}").click()
        page.get_by_role("option", name=column, exact=True).click()
        window.settled()
    page.get_by_role("button", name="Use 20 prompts").click()
    # The preview of the import has the words that are expected, too.
    window.settled()
    expect(page.get_by_text("10 scenarios × 2 emotions").first).to_be_visible()
    (kept,) = (server.results / "datasets").iterdir()
    assert kept.read_text().startswith("text,emotion,scenario_id\n")


def test_every_page_of_results_fits_a_phone(server: Server, visit: Callable[..., Visitor]) -> None:
    plant_grid(server.results, ["gpt2", "pythia-160m"])
    window = visit(width=420)
    pages = ("", "prompts", "runs", "activations", "directions", "distances", "heads", "causes")
    for name in (*pages, "extract?models=gpt2", "report"):
        page = window.open(f"{server.url}/{name}")
        main = page.locator("[data-testid=stMain]")
        assert main.evaluate("element => element.scrollWidth <= element.clientWidth"), name


def test_a_report_is_reached_by_keyboard(server: Server, visit: Callable[..., Visitor]) -> None:
    plant_grid(server.results, ["gpt2"])
    window = visit()
    page = window.open(f"{server.url}/")
    tab_to(page, "Report")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Report", exact=True)).to_be_visible()
    window.settled()
    tab_to(page, "Make the English report")
    page.keyboard.press("Enter")
    made = page.get_by_role("button", name="Download", exact=True)
    expect(made).to_be_visible(timeout=150_000)
