"""Screens that are narrow or dark: panels one below the other, and options that can be read."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.support.planted import plant_grid
from tests.support.server import Server
from tests.support.visitor import Visitor

pytestmark = pytest.mark.browser


def luminance(rgb: str) -> float:
    """Relative luminance of a colour (WCAG 2.2)."""
    channels = [int(each) / 255 for each in re.findall(r"\d+", rgb)[:3]]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_panels_stack_on_a_phone_and_selected_options_of_a_dark_page_can_be_read(
    server: Server, visit: Callable[..., Visitor]
) -> None:
    plant_grid(server.results, ["gpt2"])
    phone = visit("dark", width=420)
    page = phone.open(f"{server.url}/activations?site=resid_pre&site=mlp_out")
    expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible()
    phone.settled()
    # Two panels side by side would share the row: both begin at different places on one axis.
    domains = page.evaluate(
        """() => {
            const {xaxis, xaxis2} = document.querySelector('.js-plotly-plot')._fullLayout
            return [xaxis.domain, xaxis2.domain]
        }"""
    )
    assert domains == [[0, 1], [0, 1]]
    chosen = page.locator("button[data-selected=true] p").first
    colour = chosen.evaluate("element => getComputedStyle(element).color")
    # The tint behind it is darker than a fifth of the colour of the theme on the page.
    behind = luminance("rgb(23, 45, 47)")
    assert (luminance(colour) + 0.05) / (behind + 0.05) > 4.5
