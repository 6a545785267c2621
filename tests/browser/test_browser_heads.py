"""From a direction that was taken apart to its tokens, and to what a head reads, by keyboard."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.support.axe import violations
from tests.support.planted import plant_grid
from tests.support.planted_heads import plant_heads, plant_lens, plant_patterns
from tests.support.server import Server
from tests.support.visitor import Visitor

pytestmark = pytest.mark.browser


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
