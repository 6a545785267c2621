"""A first visit with the real model, from an empty folder to a report; a mixture is refused."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import needs_model
from tests.support.planted import plant_grid, planted_norm
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_scenarios import plant_scenarios
from tests.support.server import Server
from tests.support.visitor import Visitor

PATIENCE_MS = 150_000
EVIL = "<b>bold</b><img src=x onerror=window.hacked=1>"


def saved_as(page: Page, kind: str, target: Path) -> Path:
    with page.expect_download() as download:
        if kind == "csv":
            # Tables have a button of that name among their tools.
            page.locator(".st-key-directions-strength-csv").get_by_role("button").click()
        else:
            page.get_by_role("button", name=f"Save the chart as {kind.upper()}").click()
    path = target / download.value.suggested_filename
    download.value.save_as(path)
    return path


@needs_model
def test_a_first_visitor_comes_from_an_empty_folder_to_a_report_by_the_buttons_of_the_pages(
    server: Server, visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    window = visit("light")
    page = window.open(server.url)
    # Extraction and analysis follow one another without a click.
    page.get_by_role("button", name="Extract and analyse a small example").click()
    expect(page.get_by_role("heading", name="Directions", exact=True)).to_be_visible(
        timeout=PATIENCE_MS
    )
    chart = page.locator(".js-plotly-plot .main-svg").first
    expect(chart).to_be_visible(timeout=PATIENCE_MS)
    window.settled()
    expect(page).to_have_url(re.compile("analysis=[0-9a-f]{20}"))
    expect(page.get_by_text("differ from neutral by more than chance")).to_be_visible()
    results = server.results.with_name(f"{server.results.name}-demo")
    (data,) = (results / "datasets").iterdir()
    prompts = [json.loads(line) for line in data.read_text().splitlines()]

    rows = list(csv.DictReader(saved_as(page, "csv", tmp_path).read_text().splitlines()))
    assert {row["emotion"] for row in rows} == {"gratitude", "anger", "apology"}
    assert len(rows) == 3 * 2 * 30
    picture = saved_as(page, "svg", tmp_path).read_text()
    assert "95 % of relabelled data" in picture
    # A caption is broken into lines.
    words = " ".join(re.sub(r"<[^>]+>", " ", picture).split())
    assert "SmolLM2 135M (Q4_1), residual stream and MLP output" in words
    assert saved_as(page, "png", tmp_path).read_bytes().startswith(b"\x89PNG")
    window.shoot("directions-light")

    page.get_by_role("radio", name="separation").click()
    window.settled()
    expect(page).to_have_url(re.compile("view=separation"))
    expect(page.get_by_text("characters, TF-IDF").first).to_be_visible()

    page.get_by_role("link", name="Distances").click()
    window.settled()
    expect(page.locator(".js-plotly-plot").get_by_text("plain cosine of noise")).to_be_visible()
    expect(page).to_have_url(re.compile("distances.*analysis=[0-9a-f]{20}"))
    page.get_by_role("radio", name="prompts").click()
    window.settled()
    point = page.locator(".js-plotly-plot .scatterlayer .trace").first.locator("path.point").first
    point.hover(force=True)
    hover = page.locator(".js-plotly-plot .hoverlayer")
    expect(hover).to_contain_text(re.compile("gratitude"))
    point.click(force=True)
    opening = page.get_by_role("link", name="Open this prompt in Activations")
    expect(opening).to_be_visible()
    main = page.locator("[data-testid=stMain]").inner_text()
    assert any(prompt["text"] in main for prompt in prompts if prompt["emotion"] == "gratitude")
    opening.click()
    expect(page.get_by_role("heading", name="Activations", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile("prompt=s[0-9]+-gratitude"))

    page.get_by_role("link", name="Across models").click()
    expect(page.get_by_text("needs activations of 2 models")).to_be_visible()
    # Must not happen: a comparison drawn of one model.
    expect(page.locator(".js-plotly-plot")).to_have_count(0)

    page.get_by_role("link", name="Directions").click()
    page.get_by_role("button", name="Find the heads that write a direction").click()
    page.get_by_role("button", name="Take the direction apart").click()
    expect(chart).to_be_visible(timeout=PATIENCE_MS)
    window.settled()
    page.get_by_role("button", name="Write a report").click()
    page.get_by_role("button", name="Make the English report").click()
    made = page.get_by_role("button", name="Download", exact=True)
    expect(made).to_be_visible(timeout=150_000)
    (report,) = (results / "reports").glob("*.html")
    for words in ("Directions", "Components that write a direction", "SmolLM2 135M"):
        assert words in report.read_text()


def test_a_mixture_is_refused_by_field(server: Server, visit: Callable[..., Visitor]) -> None:
    plant_scenarios(server.results, "gpt2")
    plant_analysis(server.results)
    plant_scenarios(server.results, "other", provenance={"dtype": EVIL})
    window = visit("dark")
    page = window.open(f"{server.url}/across_models")
    expect(page.get_by_text("needs an analysis of 2 models")).to_be_visible()
    refusal = page.locator("[data-testid=stAlert]")
    expect(refusal).to_contain_text("dtype differs")
    expect(page.get_by_role("button", name="Analyse these units")).to_be_disabled()
    page.get_by_text("Analyse them although they differ").click()
    expect(page.get_by_role("button", name="Analyse 6 units although they differ")).to_be_enabled()
    # Must not happen: a value of a file read as HTML.
    assert page.evaluate("window.hacked") is None
    expect(page.locator("img[src=x]")).to_have_count(0)


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
