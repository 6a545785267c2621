"""What the fault tests share: how thorough they are."""

import pytest


@pytest.fixture(
    params=[pytest.param(False, id="some"), pytest.param(True, id="every", marks=pytest.mark.long)]
)
def every(request: pytest.FixtureRequest) -> bool:
    """Whether every place is disturbed in every way, or some of every kind."""
    return bool(request.param)
