"""What axe finds on a page."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect


def violations(page: Page, *only: str) -> list[tuple[str, str]]:
    """Rules that a page breaks, and the beginning of each element that does."""
    # A tooltip under the pointer is drawn by Streamlit, outside of all regions.
    page.mouse.move(0, 0)
    expect(page.get_by_role("tooltip")).to_have_count(0)
    # Selectors of the elements that pass take longer than the rules.
    options = {"resultTypes": ["violations"], **({"runOnly": list(only)} if only else {})}
    return [
        (violation["id"], node["html"][:200])
        for violation in Axe().run(page, options=options).response["violations"]
        for node in violation["nodes"]
    ]
