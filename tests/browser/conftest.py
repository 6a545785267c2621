"""A real server and a real Chromium; nothing here waits for a fixed time."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from emoact.models.cache import converted_dir, is_converted
from emoact.models.registry import SMOLLM2
from tests.support.server import Server, serving
from tests.support.visitor import CHROMIUM, Visitor, chromium, window

needs_model = pytest.mark.skipif(
    not is_converted(converted_dir(SMOLLM2.gguf_sha256)),
    reason="no embedded model; get it with `python -m emoact models install smollm2-135m`",
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server that nobody has visited yet, with an empty results folder."""
    results = tmp_path / "results"
    results.mkdir()
    with serving(results, tmp_path / "server.log") as started:
        yield started


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None and os.environ.get("EMOACT_REQUIRE_BROWSER"):
        pytest.fail("no browser is installed, and this run was told to have one")
    if CHROMIUM is None:
        pytest.skip("no browser is installed; get one with `apt-get install chromium`")
    with chromium() as started:
        yield started


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Opens windows, light or dark; none of them may ask a stranger or raise an error."""
    visitors: list[Visitor] = []

    def opened(scheme: str = "light", width: int = 1280) -> Visitor:
        visitor = window(browser, scheme, width)
        visitors.append(visitor)
        return visitor

    yield opened
    for visitor in visitors:
        visitor.page.context.close()
    assert [url for visitor in visitors for url in visitor.strangers] == []
    assert [error for visitor in visitors for error in visitor.errors] == []
