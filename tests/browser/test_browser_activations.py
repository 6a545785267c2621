"""From a finding to its view, and what the saved table and image hold."""

import csv
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.support.planted import plant_grid, planted_norm
from tests.support.server import Server
from tests.support.visitor import Visitor

pytestmark = pytest.mark.browser


def test_a_finding_leads_to_its_view(server: Server, visit: Callable[..., Visitor]) -> None:
    plant_grid(server.results, ["gpt2"], n_samples=10)
    window = visit()
    page = window.open(f"{server.url}/activations")
    window.unfold("2 findings")
    page.get_by_role("button", name="Show the norms").last.click()
    expect(page).to_have_url(re.compile("first=true"))
    expect(page).to_have_url(re.compile("site=mlp_out"))
    expect(page.get_by_text("MLP output, position 0")).to_be_visible()
    window.settled()
    # Must not happen: the chart of another site than that of the finding.
    expect(page.get_by_text("Residual stream", exact=True)).to_have_count(0)

    with page.expect_download() as saved:
        # Below stands the same as a difference to neutral, with buttons of its own.
        page.get_by_role("button", name="CSV", exact=True).first.click()
    rows = list(csv.DictReader(saved.value.path().read_text().splitlines()))
    content = [row for row in rows if row["position"] == "content" and row["emotion"] == "anger"]
    assert [row["layer"] for row in content] == ["0", "1", "2", "3"]
    for row in content:
        expected = planted_norm("mlp_out", int(row["layer"]), "anger")
        assert float(row["median"]) == pytest.approx(expected, rel=1e-4)

    with page.expect_download() as saved:
        page.get_by_role("button", name="Save the chart as SVG").first.click()
    assert saved.value.suggested_filename == "norms-l2-gpt2.svg"
    image = saved.value.path().read_text()
    assert image.startswith("<svg")
    for words in ("gratitude", "neutral", "layer", "median L2 norm", "quartile", "float32"):
        assert words in image

    # The address alone shows the same to somebody else.
    other = visit("dark", 1920)
    other.open(page.url)
    expect(other.page.get_by_text("MLP output, position 0")).to_be_visible()
    for view in ("heatmap", "distribution", "dimensions", "growth", "prompt"):
        other.open(f"{server.url}/activations?view={view}&model=gpt2")
        expect(other.page.locator(".js-plotly-plot")).to_be_visible()
        other.shoot(f"activations-{view}-dark")
        overflow = other.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, view
