"""What only a browser shows: cold links, live updates, selections, and the look of planted data."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import expect

from tests.support.planted import plant_grid, plant_unit
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_heads import plant_heads
from tests.support.planted_runs import plant_run
from tests.support.planted_scenarios import plant_scenarios
from tests.support.server import Server
from tests.support.visitor import Visitor

RUN = "20260131-150000-run1"
PAGES = [
    "Home",
    "Extract",
    "Runs",
    "Prompts",
    "Activations",
    "Directions",
    "Distances",
    "Across models",
    "Heads",
    "Causes",
    "Report",
]


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A results folder that has something for every page, and the name of its analysis."""
    folder = tmp_path_factory.mktemp("furnished")
    plant_grid(folder, ["gpt2", "pythia-160m"], ["anger", "neutral"])
    plant_run(folder, "20260131-140500-aaaa")
    plant_heads(folder)
    plant_scenarios(folder, "one")
    plant_scenarios(folder, "two")
    return folder, plant_analysis(folder, models=("one", "two")).id


@pytest.mark.parametrize(
    ("scheme", "address", "title", "shows"),
    [
        ("light", "", "Home", "What is on disk"),
        ("light", "extract?models=gpt2&bos=none", "Extract", "gpt2"),
        ("dark", "runs?run=20260131-140500-aaaa&part=Config", "Runs", "20260131-140500-aaaa"),
        ("light", "prompts?q=thank&subset=explicit", "Prompts", " of 200"),
        ("dark", "activations?model=pythia-160m&norm=rms", "Activations", "--norm rms"),
        ("light", "directions?analysis=ID&model=two&view=stability", "Directions", "ID"),
        ("dark", "distances?analysis=ID&model=two&view=matrix", "Distances", "ID"),
        ("light", "across_models?analysis=ID&view=layer_map", "Across models", "ID"),
        ("dark", "heads?view=largest", "Heads", "The direction of gratitude"),
        ("dark", "report?lang=ja&format=md", "Report", "--lang ja --format md"),
    ],
)
def test_a_link_pasted_into_a_cold_server_opens_its_page_in_the_frame(
    server: Server,
    furnished: tuple[Path, str],
    visit: Callable[..., Visitor],
    scheme: str,
    address: str,
    title: str,
    shows: str,
) -> None:
    folder, analysis = furnished
    shutil.copytree(folder, server.results, dirs_exist_ok=True)
    address, shows = (words.replace("ID", analysis) for words in (address, shows))
    window = visit(scheme)
    page = window.open(f"{server.url}/{address}")
    heading = "emoact" if title == "Home" else title
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    navigation = page.locator("[data-testid=stSidebarNav]")
    expect(navigation.get_by_role("link")).to_have_text(PAGES)
    expect(page.get_by_text(shows).first).to_be_visible()
    expect(page).to_have_title(f"{title} · emoact")
    background = page.locator("[data-testid=stApp]").evaluate(
        "element => getComputedStyle(element).backgroundColor"
    )
    assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 3 * 128) == (scheme == "dark")

    # Must not happen: Streamlit's word that the page does not exist, or a choice that is dropped.
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_text("in the address was ignored")).to_have_count(0)
    path, _, choices = address.partition("?")
    assert urlsplit(page.url).path == f"/{path}"
    assert set(parse_qsl(choices)) <= set(parse_qsl(urlsplit(page.url).query))


def test_a_dead_worker_shows_in_every_tab(server: Server, visit: Callable[..., Visitor]) -> None:
    lock = plant_run(server.results, RUN, "running", done=1)
    assert lock is not None
    windows = [visit(), visit("dark")]
    for window in windows:
        window.open(f"{server.url}/extract?run={RUN}")
        expect(window.page.get_by_role("button", name="Cancel run")).to_be_visible()
        window.page.evaluate("window.untouched = true")
    lock.close()
    for window in windows:
        expect(window.page.get_by_text("The worker was killed")).to_be_visible()
        assert window.page.evaluate("window.untouched") is True
        # Must not happen: a dead run that can still be cancelled or that counts as finished.
        expect(window.page.get_by_role("button", name="Cancel run")).to_have_count(0)
        expect(window.page.get_by_text("finished")).to_have_count(0)
    windows[1].shoot("extract-crashed-dark")


def test_what_was_opened_stays_open(server: Server, visit: Callable[..., Visitor]) -> None:
    lock = plant_run(server.results, RUN, "running", done=1, log="first line\n")
    assert lock is not None
    window = visit()
    page = window.open(f"{server.url}/extract?run={RUN}")
    window.unfold("Log of the worker")
    expect(page.get_by_text("first line")).to_be_visible()
    log = server.results / "runs" / RUN / "worker.log"
    log.write_text("first line\nsecond line\n")
    expect(page.get_by_text("second line")).to_be_visible()
    # Must not happen: the box closes when the run is drawn again.
    expect(page.get_by_text("first line")).to_be_visible()
    lock.close()


def test_rows_open_and_compare_runs(server: Server, visit: Callable[..., Visitor]) -> None:
    plant_run(server.results, "20260131-140500-aaaa", "finished")
    plant_run(server.results, "20260131-130500-bbbb", "cancelled", models=("gpt2",))
    window = visit("light", 1920)
    page = window.open(f"{server.url}/runs")
    table = page.locator("[data-testid=stDataFrame]").first
    # Cells are painted on a canvas: the first column holds the boxes, rows are 35 pixels high.
    table.click(position={"x": 15, "y": 52})
    expect(page).to_have_url(re.compile("run=20260131-140500-aaaa$"))
    expect(page.get_by_role("heading", name="20260131-140500-aaaa")).to_be_visible()
    window.settled()
    table.click(position={"x": 15, "y": 87})
    expect(page.get_by_role("heading", name="Two runs compared")).to_be_visible()
    window.settled()
    window.shoot("runs-compared-light")
    # Must not happen: a selection that moves to another run when a new one appears on top.
    plant_run(server.results, "20260131-150500-cccc", "finished")
    page.reload()
    expect(page.get_by_role("heading", name="Two runs compared")).to_be_visible()
    assert re.search("run=20260131-140500-aaaa&run=20260131-130500-bbbb$", page.url)


def test_markup_does_nothing(server: Server, visit: Callable[..., Visitor], tmp_path: Path) -> None:
    evil = "<img src=x onerror=window.hacked=1>"
    plant_run(server.results, RUN, "finished", models=(evil,), notes=[evil])
    plant_unit(server.results, "gpt2", "anger", texts=[evil] * 5)
    data = tmp_path / "evil.csv"
    data.write_text(f"text,emotion\n{evil},joy\n{evil} two,neutral\n")
    window = visit()
    for address in (
        "",
        f"runs?run={RUN}&part=Config",
        f"extract?run={RUN}",
        f"extract?dataset={data}&models={evil}",
        "activations",
    ):
        window.open(f"{server.url}/{address}")
        # Must not happen: any of it read as HTML.
        assert window.page.evaluate("window.hacked") is None
        expect(window.page.locator("img[src=x]")).to_have_count(0)
