"""Runs that outlive their server, their worker and each other, watched in a real browser."""

import contextlib
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, expect

from emoact.jobs import executor
from emoact.jobs.directory import RunDirectory
from emoact.jobs.progress import list_runs, read_run
from emoact.jobs.snapshot import State
from emoact.store import manifest
from emoact.store.layout import ResultsRoot
from tests.browser.conftest import needs_model
from tests.support.server import Server, serving
from tests.support.tiny_models import save_tiny
from tests.support.visitor import Visitor

PATIENCE_S = 120.0
MODEL = "smollm2-135m"

pytestmark = needs_model

Visit = Callable[..., Visitor]


def until(happened: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if happened():
            return
        time.sleep(0.01)
    raise AssertionError(f"it did not happen within {PATIENCE_S:.0f} s: {what}")


def state(results: Path, run_id: str) -> State:
    return read_run(results, run_id).state


def worker(results: Path, run_id: str) -> int:
    """The process that works the run off."""
    found = RunDirectory(ResultsRoot(results).run_dir(run_id)).status().worker
    assert found is not None
    return found.pid


def saved(results: Path, run_id: str) -> list[str]:
    return [unit.emotion for unit in read_run(results, run_id).units if unit.state == "saved"]


def hashes(results: Path) -> dict[str, str]:
    """What the manifest acknowledges, by emotion."""
    units = manifest.load(ResultsRoot(results))
    return {entry.emotion: entry.sha256 for entry in units.values()}


@pytest.fixture
def hold() -> Iterator[Callable[[int], None]]:
    """Stops a worker, so that the rest does not depend on how fast this machine is."""
    held: list[int] = []

    def stop(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        held.append(pid)

    yield stop
    for pid in held:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def start(page: Page, server: Server, query: str = "", model: str = MODEL) -> str:
    """Click the button as a person does; returns the run's id."""
    Visitor(page=page).open(f"{server.url}/extract?models={model}{query}")
    page.get_by_role("button", name=re.compile(r"^Extract [\d,]+ prompts? with")).click()
    expect(page).to_have_url(re.compile(r"[?&]run="))
    return str(re.findall(r"[?&]run=([^&]+)", page.url)[0])


def test_a_killed_worker_resumes_where_it_was(server: Server, visit: Visit) -> None:
    page = visit().page
    run_id = start(page, server)
    until(lambda: saved(server.results, run_id), "a first file is saved")
    os.kill(worker(server.results, run_id), signal.SIGKILL)
    expect(page.get_by_text("The worker was killed")).to_be_visible()
    assert state(server.results, run_id) == "crashed"
    kept = hashes(server.results)
    assert 1 <= len(kept) < 4

    page.get_by_role("button", name="Resume run").click()
    expect(page.get_by_role("button", name="Cancel run")).to_be_visible()
    expect(page.get_by_text("The worker was killed")).to_have_count(0)
    until(lambda: state(server.results, run_id) == "finished", "the resumed run ends")
    expect(page.get_by_role("button", name="Look at the activations")).to_be_visible()

    # Must not happen: what was acknowledged is made again, or a second run appears.
    after = hashes(server.results)
    assert len(after) == 4
    assert {emotion: after[emotion] for emotion in kept} == kept
    assert [run.id for run in list_runs(server.results)] == [run_id]


def test_a_run_goes_on_while_its_server_is_gone_and_two_tabs_see_one_run(
    tmp_path: Path, visit: Visit, hold: Callable[[int], None]
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    with serving(results, tmp_path / "first.log") as server:
        first, second = visit(), visit("dark")
        second.open(f"{server.url}/extract?models={MODEL}")
        run_id = start(first.page, server)
        until(lambda: state(results, run_id) == "running", "the run is at work")
        held = worker(results, run_id)
        hold(held)
        # The other tab still shows the form, and asks for the same.
        second.page.get_by_role("button", name=re.compile("^Extract 200 prompts")).click()
        expect(second.page).to_have_url(re.compile(f"run={run_id}"))
        expect(second.page.get_by_text("no second one was started")).to_be_visible()
    done = read_run(results, run_id).summary.samples_done
    with serving(results, tmp_path / "second.log") as server:
        pages = [first.page, second.page]
        for page in pages:
            page.goto(f"{server.url}/extract?run={run_id}")
            expect(page.get_by_role("button", name="Cancel run")).to_be_visible()
        os.kill(held, signal.SIGCONT)
        until(lambda: state(results, run_id) == "finished", "the run ends")
        for page in pages:
            expect(page.get_by_role("button", name="Look at the activations")).to_be_visible()

        # Must not happen: the server's end took the run along, or started another.
        assert read_run(results, run_id).summary.samples_done > done
        assert len(hashes(results)) == 4
        assert [run.id for run in list_runs(results)] == [run_id]


def test_three_runs_take_turns(server: Server, visit: Visit, hold: Callable[[int], None]) -> None:
    page = visit().page
    ids = [start(page, server, "&emotions=anger")]
    until(lambda: state(server.results, ids[0]) != "pending", "the first is at work")
    hold(worker(server.results, ids[0]))
    ids += [start(page, server, f"&emotions={emotion}") for emotion in ("apology", "neutral")]
    expect(page.get_by_text("number 2 in the queue")).to_be_visible()
    page.goto(f"{server.url}/extract?run={ids[1]}")
    expect(page.get_by_text("next in the queue")).to_be_visible()
    page.goto(f"{server.url}/runs")
    expect(page.locator("[data-testid=stDataFrame]")).to_be_visible()
    assert [run.state for run in list_runs(server.results)].count("pending") == 2

    page.goto(f"{server.url}/extract?run={ids[1]}")
    page.get_by_role("button", name="Cancel run").click()
    expect(page.get_by_role("button", name="Resume run")).to_be_visible()
    page.goto(f"{server.url}/extract?run={ids[2]}")
    expect(page.get_by_text("next in the queue")).to_be_visible()
    os.kill(worker(server.results, ids[0]), signal.SIGCONT)
    expect(page.get_by_role("button", name="Look at the activations")).to_be_visible(
        timeout=PATIENCE_S * 1000
    )
    assert [state(server.results, run_id) for run_id in ids] == [
        "finished",
        "cancelled",
        "finished",
    ]

    # Must not happen: two at work at once, or a file of the run that never had its turn.
    root = ResultsRoot(server.results)
    first, third = (RunDirectory(root.run_dir(run_id)).events() for run_id in ids[::2])
    ended = next(event.at for event in first if event.kind == "ended")
    began = next(event.at for event in third if event.kind == "turn")
    assert ended <= began
    assert sorted(hashes(server.results)) == ["anger", "neutral"]


def ray_workers(pid: int) -> list[int]:
    """Processes of Ray that compute for a run, by the process that gives them their units."""
    below = psutil.Process(pid).children(recursive=True)
    return [each.pid for each in below if "_Worker" in " ".join(each.cmdline())]


@pytest.mark.skipif(len(executor.offered()) == 1, reason="Ray is not installed (emoact[ray])")
def test_a_run_on_ray_is_watched_by_worker_cancelled_and_resumed(
    server: Server, visit: Visit, hold: Callable[[int], None], tmp_path: Path
) -> None:
    texts = (
        f"The {emotion} text {n}." for emotion in ("joy", "fear", "neutral") for n in range(800)
    )
    rows = [{"text": text, "emotion": text.split()[1]} for text in texts]
    data = tmp_path / "many.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = save_tiny("llama", tmp_path / "tiny")
    window = visit()
    page = window.page
    run_id = start(page, server, f"&dataset={data}&executor=Ray", str(model))
    until(lambda: saved(server.results, run_id), "a first file is saved")
    held = ray_workers(worker(server.results, run_id))
    for pid in held:
        hold(pid)
    expect(page.get_by_text("worker-1, ").first).to_contain_text("/s")
    window.shoot("run_on_ray")
    page.get_by_role("button", name="Cancel run").click()
    expect(page.get_by_role("button", name="Resume run")).to_be_visible(timeout=PATIENCE_S * 1000)
    assert state(server.results, run_id) == "cancelled"
    kept = hashes(server.results)
    assert 1 <= len(kept) < 3

    page.get_by_role("button", name="Resume run").click()
    until(lambda: state(server.results, run_id) == "finished", "the resumed run ends")
    expect(page.get_by_text("neutral 800 of 800")).to_contain_text(re.compile("worker-[12], "))
    # Must not happen: what was saved is computed again, or the run goes on elsewhere.
    after = hashes(server.results)
    assert len(after) == 3
    assert {emotion: after[emotion] for emotion in kept} == kept
    view = read_run(server.results, run_id)
    assert (view.state, view.summary.executor, view.attempt) == ("finished", "ray", 2)
    assert all(unit.worker is not None for unit in view.units)
