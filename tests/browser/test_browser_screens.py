"""Screens that are narrow or dark, models with long names, values and addresses that cannot be."""

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from emoact.analysis.save import save_analysis
from emoact.report.making import make_report
from emoact.store.layout import ResultsRoot
from tests.support.packaged import write_gguf
from tests.support.planted_analysis import analyse, plant_analysis
from tests.support.planted_causes import plant_steering
from tests.support.planted_heads import plant_heads
from tests.support.planted_runs import plant_run
from tests.support.planted_scenarios import FAST, plant_scenarios
from tests.support.server import Server, serving
from tests.support.visitor import Visitor

MODELS = (
    "gguf~gemma-3-270m-instruct-quantised-q4_k_m~a5fd3b62230a",
    "gguf~smollm2-135m-instruct-quantised-q4_1~0f9a77aa1234",
)
CANCELLED = "20260131-140500-canc"
VIEWS = (
    "activations",
    "activations?view=heatmap",
    "directions",
    "directions?view=separation",
    "distances",
    "distances?view=matrix",
    "distances?view=prompts",
    "across_models",
    "across_models?view=layer_map",
)
CLASHES = """() => {
    const words = 'text.legendtext, text.annotation-text, text.xtitle, text.ytitle,'
        + 'text[class*=cbtitle], .xtick text:not([transform*="rotate(-60"])'
    const found = []
    for (const plot of document.querySelectorAll('.js-plotly-plot')) {
        const frame = plot.getBoundingClientRect()
        const texts = [...plot.querySelectorAll(words)]
            .map(each => [each.textContent.slice(0, 60), each.getBoundingClientRect()])
            .filter(([text, box]) => text.trim() && box.width)
        texts.forEach(([text, box], at) => {
            if (box.left < frame.left - 1 || box.right > frame.right + 1
                || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
                found.push(`cut off: ${text}`)
            for (const [other, there] of texts.slice(at + 1)) {
                const wide = Math.min(box.right, there.right) - Math.max(box.left, there.left)
                const high = Math.min(box.bottom, there.bottom) - Math.max(box.top, there.top)
                if (wide > 1 && high > 3) found.push(`${text} / ${other}`)
            }
        })
    }
    return found
}"""
"""Words of charts that are cut off, or that lie over others."""
CROWDED = """() => [...document.querySelectorAll('.js-plotly-plot')]
    .map(plot => [plot.layout.margin, plot._fullLayout._size])
    .filter(([given, used]) => used && ['l', 'r', 't', 'b'].some(at => used[at] > given[at] + 1))
    .map(([given, used]) => JSON.stringify([given, used]))"""
"""Charts whose words need more room than they were given, so that they were drawn twice."""
IMPOSSIBLE = """() => [...document.querySelectorAll('.js-plotly-plot')]
    .flatMap(plot => plot._fullData)
    .filter(trace => trace.type === 'scatter')
    .flatMap(trace => [...(trace.y || [])])
    .filter(y => typeof y === 'number' && Math.abs(y) > 1)"""
"""Heights of marks beyond 1, of a chart of cosines or correlations."""
FITS = """(main => main.scrollWidth <= main.clientWidth)(
    document.querySelector('[data-testid=stMain]'))"""
"""Nothing has to be scrolled sideways."""


def luminance(rgb: str) -> float:
    """Relative luminance of a colour (WCAG 2.2)."""
    channels = [int(each) / 255 for each in re.findall(r"\d+", rgb)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(*colours: str) -> float:
    """Contrast of two colours (WCAG 2.2)."""
    dark, light = sorted(map(luminance, colours))
    return (light + 0.05) / (dark + 0.05)


def colour_of(element: Locator, what: str = "color") -> str:
    return str(element.evaluate(f"element => getComputedStyle(element).{what}"))


def drawn(visitor: Visitor, address: str) -> Page:
    page = visitor.open(address)
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    visitor.settled()
    return page


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on the analysis of two models with long names, which has cosines beyond 1."""
    folder = tmp_path_factory.mktemp("named")
    for model in MODELS:
        plant_scenarios(folder, model)
    found, inputs = analyse(folder)
    rows = found.tables["distances"]
    rows.loc[rows.groupby("model").head(1).index, "cv_cosine"] = 1.4
    save_analysis(ResultsRoot(folder), found, inputs, run_id="r1")
    plant_run(folder, CANCELLED, "cancelled", done=1)
    with serving(folder, folder.parent / "named-server.log") as started:
        yield started


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 420)])
def test_no_words_of_a_chart_overlap_and_no_value_is_impossible(
    named: Server, visit: Callable[..., Visitor], scheme: str, width: int
) -> None:
    window = visit(scheme, width)
    for view in VIEWS:
        page = drawn(window, f"{named.url}/{view}")
        # Charts are laid out once more when their width is known.
        with suppress(PlaywrightTimeout):
            page.wait_for_function(f"() => !({CLASHES})().length && {FITS}")
        assert page.evaluate(CLASHES) == [], view
        assert page.evaluate(CROWDED) == [], view
        if view in ("distances", "across_models"):
            assert page.evaluate(IMPOSSIBLE) == [], view
        assert page.evaluate(FITS), view
        if view == "distances?view=matrix":
            layer = page.get_by_test_id("stSliderThumbValue")
            paper = page.locator("[data-testid=stApp]")
            assert contrast(colour_of(layer), colour_of(paper, "backgroundColor")) > 4.5
    page = drawn(window, f"{named.url}/distances?view=prompts&axes=3")
    scenes = page.evaluate(
        """() => {
            const plot = document.querySelector('.js-plotly-plot')
            return ['scene', 'scene2'].map(name => {
                const scene = plot._fullLayout[name]
                const traces = plot._fullData.filter(trace => trace.scene === name)
                return ['x', 'y', 'z'].map(axis => {
                    const {title, range} = scene[axis + 'axis']
                    const values = traces.flatMap(trace => [...trace[axis]])
                    return [title.text, values.every(v => range[0] <= v && v <= range[1])]
                })
            })
        }"""
    )
    for scene in scenes:
        for number, (title, holds) in enumerate(scene, start=1):
            assert title.startswith(f"PC {number} (")
            assert holds


def test_a_report_shows_its_verdicts_beside_long_names_and_an_unknown_page_is_named(
    named: Server, visit: Callable[..., Visitor]
) -> None:
    window = visit()
    page = window.page
    page.goto(make_report(named.results).path.as_uri())
    heads = page.get_by_role("columnheader", name="verdict")
    assert heads.count()
    for head in heads.all():
        box = head.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 1280
    page.goto(f"{named.url}/no-such-page")
    expect(page.get_by_text("does not seem to exist")).to_be_visible()


def header_of_a_model_file(window: Visitor, server: Server) -> None:
    """A click on Extract does not read the 262,144 tokens of a GGUF file again."""
    path = write_gguf(server.results.parent / "large.gguf", n_tokens=1 << 18)
    page = window.page
    page.goto(f"{server.url}/extract?models={path}")
    expect(page.get_by_text("has to be converted first").first).to_be_visible(timeout=120_000)
    window.settled()
    page.get_by_role("button", name="anger").click()
    # Read anew at each click it would take longer than any expectation waits.
    expect(page.get_by_role("button", name=re.compile("^Extract 150 prompts"))).to_be_visible()


def draws_of_a_caption(window: Visitor, server: Server) -> None:
    """The caption counts the draws of its own null, not those of another test."""
    page = window.open(f"{server.url}/across_models?measure=score_corr")
    words = page.locator(".js-plotly-plot .annotation-text").last
    expect(words).to_contain_text(f"re-paired {FAST.n_pairings} times")


def values_beyond_1(window: Visitor, server: Server) -> None:
    """No mark of a cosine is beyond 1; the caption counts those of both models."""
    page = window.open(f"{server.url}/distances?model={MODELS[0]}&beside={MODELS[1]}")
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    assert page.evaluate(IMPOSSIBLE) == []
    words = page.locator(".js-plotly-plot .annotation-text").last
    expect(words).to_contain_text(re.compile("1 estimate lies beyond 1.*Grey marks.*1 estimate"))


def cancelled_run(window: Visitor, server: Server) -> None:
    """A cancelled run counts the files that are saved, and names what is computed again."""
    page = window.open(f"{server.url}/runs?run={CANCELLED}")
    again = "1 of 4 files saved; the emotion that was under way is computed again on resume"
    expect(page.get_by_text(again)).to_be_visible()


def conclusion_of_a_report(window: Visitor, server: Server) -> None:
    """The conclusion has the result, and no model is of an unknown architecture."""
    window.page.goto(make_report(server.results).path.as_uri())
    words = window.page.locator("body").inner_text()
    assert not re.search("(?i)architecture.{0,20}unknown", words)
    assert re.search(r"\d+ of \d+ directions", words.rpartition("Conclusion")[2])


def copied_folder(window: Visitor, server: Server) -> None:
    """A copy has later times and the same content."""
    for path in (server.results / "activations").rglob("*.pkl"):
        os.utime(path, (time.time() + 3600,) * 2)
    page = window.open(f"{server.url}/directions")
    expect(page.get_by_text("since this analysis was made")).to_have_count(0)


def sentence_of_a_model_file(window: Visitor, server: Server) -> None:
    """The path of a GGUF model is asked for where nothing on disk says it."""
    page = window.open(f"{server.url}/activations?view=sentence")
    expect(page.get_by_text("Type its path")).to_be_visible()


def choice_of_another_view(window: Visitor, server: Server) -> None:
    """No address was typed, so none is called wrong."""
    page = window.open(f"{server.url}/across_models?measure=raw_cos")
    page.get_by_role("radio", name="layer_map").click()
    expect(page).to_have_url(re.compile("view=layer_map"))
    window.settled()
    expect(page.get_by_text("in the address was ignored")).to_have_count(0)


def view_of_one_model(window: Visitor, server: Server) -> None:
    """A view of one model draws the first chip and says so."""
    first, second = reversed(MODELS)
    page = window.open(f"{server.url}/activations?view=heatmap&model={first}&model={second}")
    expect(page.get_by_text(f"one model at a time: {first}")).to_be_visible()
    expect(page.get_by_text(f"--model '{first}'")).to_be_visible()


def file_of_one_class(window: Visitor, server: Server) -> None:
    """The uploader has the limit of a data set, and one class is not called usable."""
    page = window.open(f"{server.url}/prompts")
    window.unfold("Import prompts of your own")
    expect(page.get_by_text("100MB")).to_be_visible()
    rows = b"text,emotion\nHello there.,joy\nAgain.,joy\n"
    page.locator("input[type=file]").set_input_files(
        FilePayload(name="one.csv", mimeType="text/csv", buffer=rows)
    )
    expect(page.get_by_text("needs a second class")).to_be_visible()


@pytest.mark.parametrize(
    "holds",
    [
        header_of_a_model_file,
        draws_of_a_caption,
        values_beyond_1,
        cancelled_run,
        conclusion_of_a_report,
        copied_folder,
        sentence_of_a_model_file,
        choice_of_another_view,
        view_of_one_model,
        file_of_one_class,
    ],
)
def test_what_users_stumbled_over_is_mended(
    named: Server, visit: Callable[..., Visitor], holds: Callable[[Visitor, Server], None]
) -> None:
    holds(visit(), named)


def test_a_link_keeps_its_model(server: Server, visit: Callable[..., Visitor]) -> None:
    for model in ("one", "two"):
        plant_scenarios(server.results, model)
    plant_heads(server.results, model="one")
    plant_steering(server.results)
    saved = plant_analysis(server.results)
    window = visit()
    links = {}
    for name, holds in (
        ("activations", ("model=one",)),
        ("directions", ("model=one", f"analysis={saved.id}")),
        ("across_models", ("pair=one", f"analysis={saved.id}")),
        ("heads", ("result=one",)),
        ("causes", ("result=gpt2",)),
    ):
        links[name] = drawn(window, f"{server.url}/{name}").url
        for part in holds:
            assert part in links[name]
    plant_scenarios(server.results, "newcomer")
    for name in ("activations", "directions"):
        page = drawn(window, links[name])
        assert "model=one" in page.url
        assert "newcomer" not in str(page.locator(".js-plotly-plot").first.text_content())


def test_panels_stack_on_a_phone_and_selected_options_of_a_dark_page_can_be_read(
    named: Server, visit: Callable[..., Visitor]
) -> None:
    phone = visit("dark", width=420)
    page = drawn(phone, f"{named.url}/activations?site=resid_pre&site=mlp_out")
    # Two panels side by side would share the row: both begin at different places on one axis.
    # Until the page has said how wide it is, they do.
    page.wait_for_function(
        """() => {
            const {xaxis, xaxis2} = document.querySelector('.js-plotly-plot')._fullLayout
            return JSON.stringify([xaxis.domain, xaxis2.domain]) === "[[0,1],[0,1]]"
        }"""
    )
    chosen = page.locator("button[data-selected=true] p").first
    # The tint behind it is darker than a fifth of the colour of the theme on the page.
    assert contrast(colour_of(chosen), "rgb(23, 45, 47)") > 4.5
