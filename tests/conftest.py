"""What every test may use, which tests run at all, and which may run beside others."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.support import shapes  # noqa: F401

# isort: split
from emoact.host import client
from emoact.jobs import launch
from emoact.models import alike, hosts
from emoact.models.cache import cache_root
from tests.support import stand_in_sentence, stand_in_worker
from tests.support.stand_in_world import World
from tests.support.typed import Typed

# Deadlines look at the clock, which says nothing on a busy machine.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# Torch's threads, which spin while they wait, would take the time of the tests beside these.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# No process may outlive the test that started it; tests of hosts set a time of their own.
os.environ[hosts.IDLE] = "0"

ALONE = (
    "browser",
    "contract/test_cli_extract.py",
    "contract/test_dashboard_sessions.py",
    "contract/test_ray.py",
    "contract/test_shards.py",
    "fault/test_pickle_bombs.py",
    "fault/test_real_model_killed.py",
    "fault/test_runs_disks.py",
    "fault/test_runs_faults.py",
    "property/test_runs_machine.py",
    "unit/jobs",
    "unit/host",
)
"""Folders and files whose tests wait for other processes or look at the clock: with `pytest -n 2`
they have one worker to themselves, one after the other, and the other worker takes the rest."""

MARKED = ("browser", "fault")
"""Folders whose tests have a mark of the same name."""


def pytest_configure(config: pytest.Config) -> None:
    """Each test process has hosts of its own; what is remembered of models is shared."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Sockets have short names.
        own = Path(tempfile.mkdtemp(prefix="emoact-"))
        config.add_cleanup(lambda: shutil.rmtree(own, ignore_errors=True))
        cache_root().mkdir(parents=True, exist_ok=True)
        for kept in cache_root().iterdir():
            if not kept.name.startswith("host-"):
                (own / kept.name).symlink_to(kept.absolute())
        os.environ["EMOACT_CACHE"] = os.fspath(own)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by their folders; leave out what is marked `long`, unless `-m` speaks of it."""
    for item in items:
        if item.path.parent.name in MARKED:
            item.add_marker(item.path.parent.name)
    if "long" not in config.getoption("markexpr"):
        short = [item for item in items if item.get_closest_marker("long") is None]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(short)])
        items[:] = short


class _ByFile(LoadScopeScheduling):  # type: ignore[misc]
    """Tests of one file stay together, so that what they share is made once."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0].removeprefix("tests/")
        return "alone" if any(f"{path}/".startswith(f"{part}/") for part in ALONE) else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """What xdist has no name for; in its own order one worker would be idle at the end."""
    config.option.loadscopereorder = False
    return _ByFile(config, log)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A world of its own whose workers compute with the stand-in; none outlives the test."""
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EMOACT_WORKERS", raising=False)
    monkeypatch.delenv("EMOACT_RESULTS", raising=False)
    monkeypatch.setattr(launch, "WORKER", stand_in_worker.WORKER)
    world = World(tmp_path)
    world.write_dataset()
    yield world
    world.end_all()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Activations of a tiny model, which stays installed and warm for the tests of a file."""
    from tests.support.tiny_results import tiny_results

    with tiny_results(tmp_path_factory.mktemp("tiny")) as results:
        yield results


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> Typed:
    return Typed(capsys)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Hosts of arithmetic in a cache folder of this test; they leave when it ends."""
    # Sockets have short names, and pytest's folders are deep.
    cache = Path(tempfile.mkdtemp(prefix="emoact-"))
    monkeypatch.setenv("EMOACT_CACHE", str(cache))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[1]))
    monkeypatch.setattr(client, "WORKER", stand_in_sentence.WORKER)
    source = stand_in_sentence.installed()
    monkeypatch.setattr(alike, "resolve_model", lambda _, **__: source)
    monkeypatch.setenv(hosts.IDLE, "30")
    yield cache
    hosts.leave_others()
    shutil.rmtree(cache, ignore_errors=True)
