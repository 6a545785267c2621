"""Steering from the form to the verdict, ablation, a text that is continued, and its tokens."""

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from emoact.jobs.directory import RunDirectory
from emoact.jobs.progress import list_runs, read_run
from emoact.store.layout import ResultsRoot
from tests.support.axe import violations
from tests.support.planted import plant_grid
from tests.support.planted_heads import plant_heads, plant_lens, plant_patterns
from tests.support.server import Server, serving
from tests.support.stand_in_world import wait_for
from tests.support.visitor import Visitor

WORK_MS = 90_000


def held(results: Path, run_id: str) -> int:
    """The process that works the run off, stopped as soon as it does."""
    wait_for(lambda: read_run(results, run_id).state == "running")
    worker = RunDirectory(ResultsRoot(results).run_dir(run_id)).status().worker
    assert worker is not None
    os.kill(worker.pid, signal.SIGSTOP)
    return worker.pid


@pytest.fixture
def server(tiny: Path, tmp_path: Path, visit: Callable[..., Visitor]) -> Iterator[Server]:
    """A server on a copy of them; windows close before it ends."""
    del visit
    with serving(shutil.copytree(tiny, tmp_path / "results"), tmp_path / "server.log") as started:
        yield started


def test_a_direction_is_steered_and_resumed(server: Server, visit: Callable[..., Visitor]) -> None:
    first = visit()
    page = first.open(f"{server.url}/causes")
    expect(page.get_by_text("Nothing was steered or taken out yet")).to_be_visible()
    expect(page.get_by_text("3 directions with 100 random and 20 shuffled")).to_be_visible()
    page.get_by_role("textbox", name="Doses").fill("-1, 1")
    page.keyboard.press("Enter")
    expect(page.get_by_text("--dose=-1.0 --dose=1.0")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("button", name=re.compile("^Steer [0-9]+ direction")).click()
    expect(page).to_have_url(re.compile(r"[?&]run="))
    run_id = str(re.findall(r"[?&]run=([^&]+)", page.url)[0])
    # The rest of the journey does not depend on the speed of the machine.
    worker = held(server.results, run_id)
    page.reload()
    expect(page.get_by_role("button", name="Cancel run")).to_be_visible()
    # Another window shows it once the first one is closed.
    address = page.url
    page.close()
    second = visit("dark")
    page = second.open(address)
    second.shoot("causes-running-dark")
    page.get_by_role("button", name="Cancel run").click()
    expect(page.get_by_role("button", name="Cancelling")).to_be_disabled()
    os.kill(worker, signal.SIGCONT)
    resume = page.get_by_role("button", name="Resume run")
    expect(resume).to_be_visible(timeout=WORK_MS)
    assert read_run(server.results, run_id).state == "cancelled"
    assert violations(page) == []
    resume.click()
    wait_for(lambda: read_run(server.results, run_id).state != "cancelled")
    # It goes on without a window, and a later one shows its result.
    page.close()
    wait_for(lambda: read_run(server.results, run_id).state == "finished")
    third = visit()
    page = third.open(f"{server.url}/causes")
    expect(page.get_by_text("nats a token; 95 % of 100 random directions")).to_be_visible()
    assert violations(page) == []
    assert [run.state for run in list_runs(server.results) if run.kind == "causes"] == ["finished"]

    # Every tab is reached with the keys alone.
    page.get_by_role("radio", name="doses").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(page.get_by_role("figure", name="by the layer at whose input it is")).to_be_visible()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No part was taken out yet.")).to_be_visible()


def continue_a_text(window: Visitor) -> None:
    page = window.page
    window.unfold("Continue a typed text with a direction")
    page.get_by_role("textbox", name="Text").fill("Thank you <b>so</b> much")
    page.get_by_role("button", name="Continue both ways").click()
    expect(page.get_by_text("With 2 times anger at layer 1")).to_be_visible(timeout=WORK_MS)
    window.settled()
    expect(page.get_by_text("An illustration and no evidence")).to_be_visible()
    # Both texts have their table beside them, and that of the ablations stands above.
    expect(page.get_by_test_id("stDataFrame")).to_have_count(3)
    # Must not happen: markup of a text that is read as markup.
    expect(page.locator("[data-testid=stMain] b", has_text="so")).to_have_count(0)
    assert violations(page) == []


def look_at_tokens(window: Visitor) -> None:
    page = window.page
    page.get_by_role("combobox", name="Saved prompt").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.type("anger-1")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Sentence")).not_to_have_value("")
    window.settled()
    page.get_by_role("button", name="Look at the sentence").click()
    expect(page.get_by_text("contribute most, in model units")).to_be_visible(timeout=WORK_MS)
    window.settled()
    expect(page.locator(".js-plotly-plot")).to_be_visible()
    expect(page.get_by_test_id("stDataFrame")).to_have_count(1)
    assert violations(page) == []


def test_parts_are_taken_out(server: Server, visit: Callable[..., Visitor]) -> None:
    light, dark = visit(), visit("dark")
    page = light.open(f"{server.url}/causes?view=ablations")
    light.unfold("Take parts out")
    page.get_by_role("textbox", name="Class words").fill("soup, plate")
    page.keyboard.press("Enter")
    expect(page.get_by_text("--word=soup --word=plate")).to_be_visible()
    light.settled()
    assert violations(page) == []
    light.shoot("causes-form")
    page.get_by_role("button", name="Take the parts out").click()
    expect(page.get_by_text("by ablation (mean)")).to_be_visible(timeout=WORK_MS)
    expect(page.get_by_role("radio", name="ablations")).to_be_checked()
    odds = "as the next token change most without"
    expect(page.get_by_text(f"The log-odds of 'soup', 'plate' {odds}")).to_be_visible()
    # The model is warm from here on.
    continue_a_text(light)
    page.get_by_role("textbox", name="Text").fill(" ")
    page.get_by_role("button", name="Continue both ways").click()
    expect(page.get_by_text("the sentence is empty")).to_be_visible()
    dark.open(f"{server.url}/causes?view=ablations")
    continue_a_text(dark)
    dark.shoot("causes-typed-dark")

    page = light.open(f"{server.url}/heads")
    page.get_by_role("button", name="Take the direction apart").click()
    expect(page.get_by_text("heads add")).to_be_visible(timeout=WORK_MS)
    page.get_by_role("radio", name="tokens").click()
    look_at_tokens(light)
    light.shoot("heads-tokens-light")
    dark.open(f"{server.url}/heads?view=tokens")
    look_at_tokens(dark)
    dark.shoot("heads-tokens-dark")


def test_attention_is_reached_by_keyboard(server: Server, visit: Callable[..., Visitor]) -> None:
    plant_grid(server.results, ["gpt2"], n_samples=3)
    plant_heads(server.results)
    plant_lens(server.results)
    plant_patterns(server.results)
    window = visit()
    page = window.open(f"{server.url}/heads?view=attention")
    text = page.get_by_role("combobox", name="Text")
    expect(text).to_be_visible()
    text.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.type("short")
    page.keyboard.press("Enter")
    expect(page.get_by_text("On this text of 4 positions")).to_be_visible()
    window.settled()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    # The pattern's own table stands below it, and that of all heads.
    expect(page.get_by_test_id("stDataFrame")).to_have_count(2)
    # The head is chosen in the same way.
    page.get_by_role("combobox", name="Head").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.type("0.1")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Head 0.1 adds")).to_be_visible()
    expect(page.get_by_text("its entropy is 0.00 bits")).to_be_visible()
    page.get_by_role("radio", name="lens").click()
    expect(page.get_by_text("not above random").first).to_be_visible()
    page.get_by_role("radio", name="projections").click()
    expect(page.get_by_text("project most on the direction of gratitude")).to_be_visible()
    # What the largest components do in every prompt is boxes, read by axe in the other scheme.
    window = visit("dark")
    page = window.open(f"{server.url}/heads?view=largest")
    expect(page.get_by_role("heading", name="The same by prompt")).to_be_visible()
    assert violations(page) == []
