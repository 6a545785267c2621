import shutil
from pathlib import Path

import pytest

from emoact.bench.clicks import click_times
from emoact.errors import RequestError


def test_clicks_are_refused_without_a_browser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(RequestError, match="there is none"):
        click_times(tmp_path)
