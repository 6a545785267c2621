"""A journey: two configurations of one model and their analyses compared, folders switched."""

import dataclasses
from collections.abc import Callable

from playwright.sync_api import expect

from tests.support.planted_analysis import plant_analysis
from tests.support.planted_runs import plant_run
from tests.support.planted_scenarios import FAST, plant_scenarios
from tests.support.server import Server
from tests.support.visitor import Visitor

PLAIN, OTHER = "smollm2-135m", "smollm2-135m~~no-bos"
SHOWN = "SmolLM2 135M (Q4_1) · no BOS"
NO_BOS = {"bos": {"policy": "none", "prepended": False, "token": None, "token_id": None}}


def test_two_configurations_on_every_page(server: Server, visit: Callable[..., Visitor]) -> None:
    plant_scenarios(server.results, PLAIN, provenance={"model_name": PLAIN})
    plant_scenarios(server.results, OTHER, provenance={"model_name": PLAIN, **NO_BOS})
    both = plant_analysis(server.results, dataclasses.replace(FAST, allow_mixed=True))
    alone = plant_analysis(server.results, models=(OTHER,))
    for run_id in ("20260131-140500-aaaa", "20260131-130500-bbbb"):
        plant_run(server.results, run_id)
    window = visit()

    page = window.open(f"{server.url}/activations")
    page.get_by_role("combobox", name="Model").click()
    page.get_by_role("option", name=OTHER).click()
    page.keyboard.press("Escape")
    window.settled()
    chart = page.locator(".js-plotly-plot").first
    expect(chart.get_by_text(SHOWN).first).to_be_visible()
    window.shoot("configurations-norms-light")

    page = window.open(f"{server.url}/directions?view=separation&analysis={both.id}&beside={OTHER}")
    expect(page.locator(".js-plotly-plot .legend").get_by_text(SHOWN)).to_be_visible()
    window.shoot("configurations-separation-light")

    page = window.open(
        f"{server.url}/runs?run=20260131-140500-aaaa&run=20260131-130500-bbbb&metric=prompts"
        f"&compare={alone.id}&compare={both.id}"
    )
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    expect(page.get_by_text("Different are")).to_be_visible()
    expect(page.get_by_role("button", name="CSV").last).to_be_visible()
    window.shoot("configurations-compared-light")

    window.unfold("New folder")
    name = page.get_by_role("textbox", name="Name of the results folder")
    name.fill("second")
    name.press("Enter")
    expect(page.get_by_text("There is no run in")).to_be_visible()
    window.settled()
    page.reload()
    window.settled()
    expect(page.get_by_text("There is no run in")).to_be_visible()
    page.get_by_role("combobox", name="Results folder").click()
    page.get_by_role("option", name="results", exact=False).first.click()
    window.settled()
    expect(page.get_by_text("2 runs:")).to_be_visible()
