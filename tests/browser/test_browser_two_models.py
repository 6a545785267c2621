"""Both embedded models from an empty folder to a finished report, by what the pages offer."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import expect

from emoact.models.cache import converted_dir, is_converted
from emoact.models.registry import GEMMA_3, display_name
from emoact.store.reading import read_all
from tests.browser.conftest import needs_model
from tests.support.server import ROOT, Server
from tests.support.visitor import Visitor

pytestmark = [
    needs_model,
    pytest.mark.skipif(
        not is_converted(converted_dir(GEMMA_3.gguf_sha256)),
        reason="no second model; get it with `python -m emoact models install gemma-3-270m`",
    ),
]

BOTH = ("smollm2-135m", "gemma-3-270m")
N_SCENARIOS = 6
PATIENCE_MS = 400_000


def few_prompts(folder: Path) -> Path:
    """Some scenarios of the shipped data, explicit and implicit ones."""
    lines = (ROOT / "data/prompts.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    scenarios = list(dict.fromkeys(row["scenario_id"] for row in rows))
    wanted = scenarios[:: len(scenarios) // N_SCENARIOS][:N_SCENARIOS]
    chosen = [row for row in rows if row["scenario_id"] in wanted]
    path = folder / "few.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in chosen))
    return path


def test_two_models_are_chosen_extracted_compared_and_reported_on(
    server: Server, visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    window = visit()
    page = window.open(server.url)
    page.get_by_role("link", name="Extract").click()
    dataset = page.get_by_role("combobox", name="Data set")
    dataset.fill(str(few_prompts(tmp_path)))
    dataset.press("Enter")
    window.settled()
    page.get_by_label("Models", exact=True).click()
    page.get_by_role("option", name=BOTH[1]).click()
    page.keyboard.press("Escape")
    window.settled()
    page.get_by_role(
        "button", name=f"Extract {N_SCENARIOS * 4} prompts with {BOTH[0]} and {BOTH[1]}"
    ).click()
    expect(page).to_have_url(re.compile(r"/extract\?run="))
    expect(page.get_by_text("finished", exact=False).first).to_be_visible(timeout=PATIENCE_MS)
    window.settled()
    window.shoot("two-models-extracted-light")
    grid = read_all(server.results)
    assert not grid.problems
    assert {(unit.folder, unit.n_layers) for unit in grid} == {(BOTH[0], 30), (BOTH[1], 18)}

    page.get_by_role("button", name="Look at the activations").click()
    page.get_by_role("button", name="Analyse 2 models × 4 emotions").click()
    expect(page.get_by_text("8 units of 2 models are on disk")).to_be_visible()
    page.get_by_role("button", name="Analyse 8 units").click()
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=PATIENCE_MS)
    window.settled()
    expect(page).to_have_url(re.compile("analysis=[0-9a-f]{20}"))
    window.shoot("two-models-directions-light")

    page.get_by_role("link", name="Across models").click()
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    window.settled()
    for name in BOTH:
        expect(page.locator("[data-testid=stMain]").get_by_text(name).first).to_be_visible()
    window.shoot("two-models-across-light")
    address = page.url
    page.get_by_role("link", name="Report").click()
    page.get_by_role("button", name="Make the English report").click()
    made = page.get_by_role("button", name="Download", exact=True)
    expect(made).to_be_visible(timeout=150_000)
    (report,) = (server.results / "reports").glob("*.html")
    for words in (*map(display_name, BOTH), "Across models"):
        assert words in report.read_text()
    dark = visit("dark")
    dark.open(address)
    expect(dark.page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    dark.shoot("two-models-across-dark")
