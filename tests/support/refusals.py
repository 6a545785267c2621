"""Assertion that a data set is refused with path, place, problem and remedy."""

from pathlib import Path

import pytest

from emoact.data import read_prompts
from emoact.errors import RequestError


def check_refused(path: Path, place: str, problem: str, remedy: str) -> None:
    """Assert the refusal; `place` is empty, or ` line 3` or ` row 3`."""
    with pytest.raises(RequestError) as caught:
        read_prompts(path)
    assert caught.value.message.startswith(f"{path}{place}: ")
    assert problem in caught.value.message
    assert caught.value.remedy is not None
    assert remedy in caught.value.remedy
    assert len(str(caught.value)) < 500 + len(str(path))
