"""What axe finds on a page beyond what Streamlit's own elements bring."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

ALLOWED = json.loads((Path(__file__).parents[1] / "browser" / "axe_allowed.json").read_text())
"""Findings that are not ours, each with its cause."""


def violations(page: Page, *only: str) -> tuple[list[tuple[str, str]], set[int]]:
    """Rules and elements that are not on the list, and numbers of the entries that were used.

    Args:
        page: The page.
        only: Rules to look at; all when empty.
    """
    # A tooltip under the pointer is drawn by Streamlit, outside of all regions.
    page.mouse.move(0, 0)
    expect(page.get_by_role("tooltip")).to_have_count(0)
    found, used = [], set()
    options = {"runOnly": list(only)} if only else None
    for violation in Axe().run(page, options=options).response["violations"]:
        for node in violation["nodes"]:
            entry = _allowed_by(page, violation["id"], node)
            if entry is None:
                found.append((violation["id"], node["html"][:200]))
            else:
                used.add(entry)
    return found, used


def _allowed_by(page: Page, rule: str, node: dict[str, Any]) -> int | None:
    """The entry of the list that allows a finding, by its number."""
    target = node["target"][0]
    # Elements of a component of our own are named from the outside to the inside.
    element = page.locator(target if isinstance(target, str) else " >> ".join(target)).first
    for number, entry in enumerate(ALLOWED):
        inside = "(element, selector) => element.closest(selector) !== null"
        if entry["rule"] == rule and element.evaluate(inside, entry["within"]):
            return number
    return None
