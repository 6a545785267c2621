"""Every file of a results folder, with another thing in its place: no reader waits, fails or fills.

One bad file costs its own row, and no other.
"""

import contextlib
import os
import resource
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emoact.analysis.listing import list_analyses
from emoact.analysis.saved import SavedAnalysis
from emoact.analysis.verify import verify_analyses, verify_controls, verify_runs
from emoact.causes.project import passages_of
from emoact.causes.saved import saved_causes
from emoact.data import read_prompts
from emoact.decode import read_json
from emoact.errors import EmoactError, RequestError
from emoact.jobs.control import resume
from emoact.jobs.directory import FrozenChoices, RunDirectory
from emoact.jobs.progress import list_runs, read_run
from emoact.report.making import make_report
from emoact.store import manifest
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read_all
from emoact.store.remote import remote_of
from emoact.store.summaries import measures_of
from emoact.store.verify import verify_files
from emoact.ui.notes import notes_of
from emoact.ui.reading import reports_of
from tests.support.pages import open_page
from tests.support.planted import plant_unit
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_causes import plant_steering
from tests.support.planted_runs import JOB, plant_job, plant_run
from tests.support.planted_scenarios import plant_scenarios
from tests.support.stand_in_world import wait_for

SECONDS = 240
"""Wall time of a reader that waits; a disk that others keep busy can hold one for a minute."""
RUN, OTHER_RUN = "20260131-140500-aaaa", "20260131-140600-bbbb"


def _link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def _bytes(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


LATER = (
    "activations/gpt2/activations_pride.part-1-of-2.pkl",
    "activations/gpt2/activations_pride.part-2-of-99999.pkl",
    f"runs/{RUN}/plan.json",
    f"runs/{RUN}.2-of-99999",
    "causes/*/steer.json",
    "notes.json",
    "remote.json",
)
"""Places where the short run has the pipe alone."""
REFUSED = {"manifest.json": "manifest", "datasets/own.jsonl": "data set"}
"""Files without which one reader has nothing; every other thing in their place is refused by it.

A refused manifest costs no unit: units are read from their files, and their record says if they
were saved. A file of 1 TB in its place is refused by its size.
"""

THINGS: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "device": _link("/dev/zero"),
    "folder": Path.mkdir,
    "link to nothing": _link("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "link out": _link("/etc/hostname"),
    "empty": _bytes(b""),
    "huge": _huge,
    "deep": _bytes(b"[" * 300_000),
    "overflowing": _bytes(b'{"schema_version": 1e999, "size": 1' + b"0" * 5_000 + b"}"),
    "foreign": _bytes(b"\x89PNG\r\n\x1a\n" + b"\xff\x00" * 500),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with two of every kind of file."""
    results = tmp_path_factory.mktemp("whole") / "results"
    plant_scenarios(results, n=8, n_layers=2)
    plant_unit(results, "pythia-160m", "anger")
    plant_analysis(results, models=["gpt2"])
    for run in (RUN, OTHER_RUN):
        plant_run(results, run, "finished", models=("gpt2",), log="a line\n")
    plant_job(results, "finished", kind="report")
    plant_steering(results)
    measures_of(results)
    make_report(results, form="md")
    (results / "datasets").mkdir()
    (results / "datasets" / "own.jsonl").write_text('{"text": "A text.", "emotion": "joy"}\n')
    return results


@pytest.fixture
def results(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "results"))


@pytest.fixture(autouse=True)
def watchdog() -> Iterator[None]:
    """End a reader that waits."""

    def late(_number: int, _frame: object) -> None:
        raise AssertionError(f"a reader took more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def read_everything(results: Path) -> dict[str, object]:
    """What every reader makes of the folder; None where it refused all of it."""
    root = ResultsRoot(results)

    def analyses() -> list[str]:
        found = []
        for row in list_analyses(root):
            if row.problem is None:
                saved = SavedAnalysis.open(root.analysis_dir(row.id))
                for name in saved.tables[:2]:
                    attempt(lambda saved=saved, name=name: saved.table(name))  # type: ignore[misc]
            found.append(row.id)
        return found

    readers: dict[str, Callable[[], object]] = {
        "units": lambda: [unit.path.name for unit in read_all(results)],
        "measures": lambda: [unit.emotion for unit in measures_of(results).units],
        "manifest": lambda: manifest.load(root),
        "runs": lambda: [row.id for row in list_runs(results)],
        "run": lambda: read_run(results, RUN).to_json(),
        "log": lambda: RunDirectory(root.run_dir(RUN)).log_tail(),
        "analyses": analyses,
        "data set": lambda: read_prompts(results / "datasets" / "own.jsonl"),
        "reports": lambda: [report.path.name for report in reports_of(str(results))],
        "causes": lambda: [saved.id for saved in saved_causes(root, "steer")],
        "notes": lambda: notes_of(str(results)),
        "remote": lambda: remote_of(root),
        "choices": lambda: FrozenChoices(RunDirectory(root.run_dir(RUN)).plan_path),
        "verify": lambda: verify_files(results).findings,
        "verify others": lambda: [
            *verify_runs(root),
            *verify_analyses(root),
            *verify_controls(root),
        ],
    }
    return {name: attempt(reader) for name, reader in readers.items()}


def attempt(read: Callable[[], object]) -> object:
    with contextlib.suppress(EmoactError):
        return read()
    return None


def places() -> tuple[str, ...]:
    """One path for every kind of file, as patterns."""
    return (
        "activations/gpt2/activations_anger.pkl",
        "summaries/*.safetensors",
        "manifest.json",
        f"runs/{RUN}/config.json",
        f"runs/{RUN}/status.json",
        f"runs/{RUN}/events.jsonl",
        f"runs/{RUN}/worker.log",
        f"runs/{RUN}/lock",
        f"runs/{RUN}/cancel",
        "analysis/*/analysis.json",
        "analysis/*/tables/headline.parquet",
        "analysis/*/directions_gpt2_resid_pre.safetensors",
        "reports/*.md",
        "datasets/own.jsonl",
        *LATER,
    )


def _replace(results: Path, pattern: str, thing: str) -> Path:
    found = sorted(results.glob(pattern))
    place = found[0] if found else results / pattern
    if found:
        place.unlink()
    THINGS[thing](place)
    return place


def cases() -> Iterator[Any]:
    """Every thing in every place; the short run has the pipe everywhere and each other thing once.

    A sparse file of 1 TB in place of activations is left out: it is hashed, which takes hours.
    """
    others = [thing for thing in THINGS if thing != "pipe"]
    for number, pattern in enumerate(places()):
        for thing in THINGS:
            if thing == "huge" and pattern.startswith("activations"):
                continue
            once = () if pattern in LATER else (others[number % len(others)],)
            short = thing in ("pipe", *once)
            yield pytest.param(pattern, thing, marks=() if short else pytest.mark.long)


@pytest.mark.parametrize(("pattern", "thing"), list(cases()))
def test_another_thing_for_a_file_costs_its_row(results: Path, pattern: str, thing: str) -> None:
    _replace(results, pattern, thing)
    found = read_everything(results)
    assert isinstance(found["runs"], list)
    assert {RUN, OTHER_RUN} <= set(found["runs"])
    if not pattern.startswith("activations"):
        assert isinstance(found["units"], list)
        assert "activations_anger.pkl" in found["units"]
        assert isinstance(found["measures"], list)
        assert "gratitude" in found["measures"]
    reader = REFUSED.get(pattern)
    if reader is not None:
        # No manifest is one without units, from before the first.
        absent = reader == "manifest" and thing == "link to nothing"
        assert (found[reader] is None) != absent


@pytest.mark.parametrize(
    "thing", ["pipe", "device", "folder", "link out", "foreign", "second name"]
)
@pytest.mark.parametrize("name", ["worker.log", "cancel", "events.jsonl", "status.json", "lock"])
def test_a_received_run_is_resumed_or_refused(tmp_path: Path, name: str, thing: str) -> None:
    plant_job(tmp_path, "failed", kind="report")
    place = tmp_path / "runs" / JOB / name
    mine = tmp_path / "mine"
    if thing == "second name":
        mine.write_bytes(place.read_bytes() if place.exists() else b"")
        kept = mine.read_bytes()
        place.unlink(missing_ok=True)
        place.hardlink_to(mine)
    else:
        place.unlink(missing_ok=True)
        THINGS[thing](place)
    with contextlib.suppress(EmoactError):
        resume(tmp_path, JOB, worker=[sys.executable, "-c", "print('said')"])
        wait_for(lambda: not RunDirectory(tmp_path / "runs" / JOB).lock_is_held())
    assert thing != "second name" or mine.read_bytes() == kept


@pytest.mark.parametrize("thing", ["pipe", "device", "folder"])
def test_a_corpus_that_is_no_file_is_refused(tmp_path: Path, thing: str) -> None:
    place = tmp_path / "corpus.txt"
    THINGS[thing](place)
    with pytest.raises(RequestError, match="not a regular file"):
        list(passages_of(place, ""))


def test_a_file_beyond_its_limit_is_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    _huge(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(EmoactError, match="larger than 200,000,000 bytes"):
        manifest.load(ResultsRoot(tmp_path))
    with pytest.raises(RequestError, match="larger than 500,000,000 bytes"):
        read_json(path, limit=500_000_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_pages_show_the_rest_of_a_folder(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOACT_RESULTS", str(results))
    for pattern, thing in zip(places(), list(THINGS) * 2, strict=False):
        if thing != "huge":
            _replace(results, pattern, thing)
    for page in ("home", "runs", "activations", "directions", "report", "prompts"):
        open_page(page)
