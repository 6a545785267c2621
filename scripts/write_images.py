"""Write docs/images: every page in both schemes, as a browser shows it.

Usage: python scripts/write_images.py results

RESULTS should hold two extracted models, an analysis and results about causes; look at the images
before they are committed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from emoact.report.making import make_report  # noqa: E402
from tests.support.server import serving  # noqa: E402
from tests.support.visitor import chromium, window  # noqa: E402

IMAGES = ROOT / "docs" / "images"
HIGHEST = 1300
"""Pixels; a page that is longer is cut."""


def main() -> None:
    """Open every page, light and dark, and a report in Japanese."""
    parser = argparse.ArgumentParser(description="Write docs/images.")
    parser.add_argument("results", type=Path)
    results = parser.parse_args().results
    pages = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
    addresses = {page.replace("_", "-"): "" if page == "home" else page for page in pages}
    addresses["activations-prompt"] = "activations?view=prompt"
    with tempfile.TemporaryDirectory() as scratch, chromium() as browser:
        with serving(results, Path(scratch) / "server.log") as server:
            for scheme in ("light", "dark"):
                visitor = window(browser, scheme)
                for name, address in addresses.items():
                    visitor.open(f"{server.url}/{address}")
                    visitor.shoot(f"{name}-{scheme}", folder=IMAGES, highest=HIGHEST)
        report = make_report(results, lang="ja", out=Path(scratch) / "report.html")
        page = window(browser, width=1180).page
        page.goto(report.path.as_uri())
        page.screenshot(path=IMAGES / "report-ja-light.png")


if __name__ == "__main__":
    main()
