"""A clock that jumps, memory that ends, and files of another user."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from emoact.errors import EmoactError
from emoact.jobs import control, launch, progress
from tests.support.fault_runs import run_server
from tests.support.planted import plant_unit
from tests.support.planted_runs import plant_run
from tests.support.planted_scenarios import plant_scenarios
from tests.support.stand_in_world import World, saved_arrays
from tests.support.strace import why_not

FAKETIME = next(Path("/usr/lib").rglob("libfaketime.so.1"), None)
NOTHING = ("true",)
DAY = 86_400
STEP = 1 << 20
RUNS = ("20260131-140500-aaaa", "20260131-140600-bbbb")
OWNER, STRANGER = 65_533, 65_534
"""A user to whom the results belong, and `nobody`, who reads them."""
_NOBODY = (
    *("setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"),
    # What setpriv itself starts is still found with the rights of root.
    "env",
)
_OPENED = (
    'mount -t tmpfs none /mnt && mkdir /mnt/u /mnt/w && mount -t overlay none -o "lowerdir=$0,'
    'upperdir=/mnt/u,workdir=/mnt/w" "$0" && chmod 755 "$0" && exec '
    f'{" ".join(_NOBODY)} "$@"'
)
"""In mounts of its own, where others may pass the home folder, which can hold the interpreter."""
WAYS: tuple[tuple[str, ...], ...] = (
    _NOBODY,
    ("unshare", "--mount", "sh", "-c", _OPENED, str(Path.home())),
    # Root, who may not pass over permissions.
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"),
)
"""Words before a command that take root's rights from it: the first that work are used."""


@pytest.mark.skipif(FAKETIME is None, reason="faketime is not installed: apt-get install faketime")
@pytest.mark.parametrize("jump", [400 * DAY, -400 * DAY, -90])
def test_a_run_whose_clock_jumps_finishes_with_the_same_files(
    world: World, monkeypatch: pytest.MonkeyPatch, jump: int
) -> None:
    alone = World(world.path / "alone")
    alone.path.mkdir()
    alone.write_dataset()
    gate = world.path / "gate"
    model = world.model(gate=str(gate))
    clock = world.path / "clock"
    clock.write_text("+0")
    with monkeypatch.context() as patched:
        for name, value in {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }.items():
            patched.setenv(name, value)
        run_id = world.start(world.config(model)).run_id
    world.wait(run_id, lambda view: view.state == "running")
    clock.write_text(f"{jump:+d}")
    log = world.directory(run_id).log_path
    seen = world.wait(run_id, lambda view: view.state == "running")
    assert seen.summary.active
    gate.touch()
    view = world.wait(run_id)
    assert view.state == "finished", log.read_text()
    (row,) = progress.list_runs(world.results)
    assert (row.state, row.problem) == ("finished", None)
    events = world.directory(run_id).events()
    ended = [event.at for event in events if event.kind == "ended"]
    started = [event.at for event in events if event.kind == "turn"]
    # The jump was seen by the worker: its times say so, its seconds do not.
    assert (ended[0] > started[0]) == (jump > 0)
    assert all(0 <= event.elapsed_s < 60 for event in events)
    expected = alone.start(alone.config(model)).run_id
    alone.wait(expected)
    assert saved_arrays(world.results) == saved_arrays(alone.results)


def test_a_run_whose_memory_ends_anywhere_loses_nothing(
    world: World, record_property: Callable[[str, object], None]
) -> None:
    if reason := why_not():
        pytest.skip(reason)
    world.write_dataset(n_samples=2)
    server = run_server(world.path)
    template = world.path / "template"
    config = world.config(world.model(), run_id="r1")
    launch.start(config, worker=NOTHING)
    world.wait("r1")
    world.results.rename(template)
    expected: object = None
    codes, complaints = [], []
    try:
        # From enough to none at all.
        for steps in (None, *range(24, -1, -1)):
            shutil.rmtree(world.results, ignore_errors=True)
            shutil.copytree(template, world.results)
            spare = -1 if steps is None else steps * STEP // 4
            codes.append(server.fork("limited", str(world.results), "r1", spare).code)
            try:
                (row,) = progress.list_runs(world.results)
                assert row.problem is None
                assert (row.state == "finished") == (codes[-1] == 0), (row.state, codes[-1])
                if row.state != "finished":
                    control.resume(world.results, "r1", worker=NOTHING)
                    world.wait("r1")
                    assert server.fork("work", str(world.results), "r1").code == 0
                arrays = saved_arrays(world.results)
                expected = expected or arrays
                assert arrays == expected
            except (AssertionError, EmoactError) as error:
                complaints.append(f"{spare:,} bytes: {error}")
    finally:
        server.close()
    record_property("points", len(codes))
    assert codes[0] == 0
    assert set(codes) != {0}
    assert complaints == []


@pytest.fixture
def theirs() -> Iterator[Path]:
    """A results folder in a place of its own."""
    place = Path(tempfile.mkdtemp(prefix="emoact-owner-"))
    place.chmod(0o777)
    results = place / "results"
    plant_scenarios(results, n=8, n_layers=2)
    plant_unit(results, "gpt2", "anger")
    for run in RUNS:
        plant_run(results, run, "finished", models=("gpt2",), log="a line\n")
    for path in results.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    yield place
    for path in (results, *results.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(place)


def test_files_of_another_owner_are_read_and_not_written(theirs: Path) -> None:
    results = theirs / "results"
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    writing = (("runs", "delete", RUNS[0], "--yes"), ("report",), ("runs", "resume", RUNS[0]))
    listed, verified, *refused = as_a_stranger(
        theirs, ("runs", "list"), ("verify", "--samples", "0"), *writing
    )
    assert listed.code == 0
    assert all(run in listed.said for run in RUNS)
    assert verified.code in (0, 1)
    for words, answer in zip(writing, refused, strict=True):
        assert answer.code in (1, 2), (words, answer.said)
        assert "Traceback" not in answer.said
        assert "denied" in answer.said, (words, answer.said)
    assert {path: path.read_bytes() for path in results.rglob("*") if path.is_file()} == before


def test_what_may_not_be_read_costs_its_own_row(theirs: Path) -> None:
    results = theirs / "results"
    for closed in ("activations/closed", "causes/closed", "datasets", "summaries"):
        (results / closed).mkdir(parents=True, exist_ok=True)
        (results / closed).chmod(0)
    (results / "runs" / RUNS[0] / "status.json").chmod(0)
    unit = sorted(results.rglob("*.pkl"))[0]
    unit.chmod(0)
    listed, verified, measured = as_a_stranger(
        theirs, ("runs", "list"), ("verify", "--samples", "0"), ("norms",)
    )
    assert listed.code == 0
    assert RUNS[1] in listed.said
    assert verified.code == 1
    assert unit.name in verified.said
    assert "activations/closed: this user may not read it" in verified.said
    assert "this user may not read it" in measured.said
    assert "gratitude" in measured.said
    assert "Traceback" not in listed.said + verified.said + measured.said


@dataclass(frozen=True)
class Answer:
    """Exit code of a command, and what it printed."""

    code: int
    said: str


def as_a_stranger(place: Path, *commands: tuple[str, ...]) -> list[Answer]:
    """Commands by a user to whom nothing in the results folder belongs.

    One who is not root can give no files away: nobody may then write them.
    """
    results = place / "results"
    for path in (results, *results.rglob("*")):
        if os.getuid() == 0:
            os.chown(path, OWNER, OWNER)
        else:
            path.chmod(path.stat().st_mode & ~0o222)
    way = _way() if os.getuid() == 0 else ()
    environment = {**os.environ, "HOME": str(place), "EMOACT_CACHE": str(place / "cache")}
    answers = []
    for words in commands:
        done = subprocess.run(
            [*way, sys.executable, "-m", "emoact", *words, "--results", str(results)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        answers.append(Answer(done.returncode, done.stdout))
    return answers


def _way() -> tuple[str, ...]:
    for way in WAYS:
        words = [*way, sys.executable, "-c", "import emoact"]
        null = subprocess.DEVNULL
        if shutil.which(way[0]) and not subprocess.call(words, stderr=null):
            return way
    pytest.skip("this root can become no other user, and give up no capabilities")
