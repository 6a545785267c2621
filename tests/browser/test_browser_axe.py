"""axe finds nothing on any page, in either scheme, and no page is wider than its window."""

from collections.abc import Callable

from playwright.sync_api import expect

from emoact.jobs.snapshot import RunError
from tests.support.axe import violations
from tests.support.planted import plant_grid
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_causes import plant_ablations, plant_steering
from tests.support.planted_heads import plant_heads, plant_lens, plant_patterns
from tests.support.planted_runs import plant_run
from tests.support.planted_scenarios import plant_scenarios
from tests.support.server import Server
from tests.support.visitor import Visitor

RUNNING, FAILED, FINISHED = "20260131-150000-run1", "20260131-140500-fail", "20260131-130500-done"
PAGES = {
    "": "On disk",
    "extract?models=gpt2": "Options",
    f"extract?run={RUNNING}": "Log of the worker",
    f"runs?run={FAILED}&part=Config": "Log of the worker",
    f"runs?run={FAILED}&run={FINISHED}": "Two runs compared",
    "activations?model=gpt2&first=true": "What am I looking at",
    "prompts": "What am I looking at",
    "report?lang=ja": "Report",
    "directions?view=separation": "What am I looking at",
    "distances?view=prompts": "What am I looking at",
    "across_models": "What am I looking at",
    "heads": "What am I looking at",
    "heads?view=attention&text=anger:+long&head=0.1": "What am I looking at",
    "heads?view=lens": "What am I looking at",
    "heads?view=projections": "What am I looking at",
    "causes": "What am I looking at",
    "causes?view=layers": "What am I looking at",
    "causes?view=ablations": "What am I looking at",
}

_TRIES = 8


def test_axe_finds_nothing_in_either_scheme_and_every_page_fits_its_window(
    server: Server, visit: Callable[..., Visitor]
) -> None:
    plant_grid(server.results, ["gpt2"], n_samples=5)
    (server.results / "activations/gpt2/activations_joy.pkl").write_bytes(b"nonsense")
    error = RunError(message="the disk is full", remedy="Free some space.", exit_code=1)
    plant_run(server.results, FAILED, "failed", error=error)
    plant_run(server.results, FINISHED, "finished")
    plant_scenarios(server.results, "pythia-160m")
    plant_heads(server.results)
    plant_lens(server.results)
    plant_patterns(server.results)
    plant_steering(server.results)
    plant_ablations(server.results)
    plant_scenarios(server.results, "other")
    plant_analysis(server.results, models=("pythia-160m", "other"))
    lock = plant_run(server.results, RUNNING, "running")
    assert lock is not None
    found = []
    window = visit(width=800)
    for address, heading in PAGES.items():
        page = window.open(f"{server.url}/{address}")
        words = page.locator("[data-testid=stMain]").get_by_text(heading, exact=True).first
        expect(words).to_be_visible()
        words.click()
        window.settled()
        # Must not happen: a page that has to be scrolled sideways.
        overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, address
        here = violations(page)
        page.emulate_media(color_scheme="dark")
        # Of what axe looks at, colours alone depend on the scheme; charts are drawn once more.
        for _ in range(_TRIES):
            window.settled()
            dark = violations(page, "color-contrast")
            if not dark:
                break
        page.emulate_media(color_scheme="light")
        found += [(address, *each) for each in (*here, *dark)]
    lock.close()
    assert found == []
