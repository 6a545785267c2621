"""What holds for every test: which run at all, and which may run beside others."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ALONE = (
    "browser",
    "contract/test_cli_extract.py",
    "contract/test_dashboard_sessions.py",
    "fault/test_pickle_bombs.py",
    "fault/test_real_model_killed.py",
    "fault/test_runs_disks.py",
    "fault/test_runs_faults.py",
    "property/test_runs_machine.py",
    "unit/runs",
    "unit/sentence",
)
"""Folders and files whose tests wait for other processes or look at the clock: with `pytest -n 2`
they have one worker to themselves, one after the other, and the other worker takes the rest."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `long`, unless `-m` speaks of it, and say what goes together."""
    if "long" not in config.getoption("markexpr"):
        short = [item for item in items if item.get_closest_marker("long") is None]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(short)])
        items[:] = short
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item.path.relative_to(TESTS).as_posix())))


def _group(path: str) -> str:
    """Tests of one file stay together, so that what they share is made once."""
    return "alone" if any(f"{path}/".startswith(f"{part}/") for part in ALONE) else path
