"""What holds for every test: the long variants run only where `-m` names them."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `long`, unless the marker expression speaks of it."""
    if "long" in config.getoption("markexpr"):
        return
    short = [item for item in items if item.get_closest_marker("long") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(short)])
    items[:] = short
