"""Size and error of every store on planted units, and clicks without a browser."""

import shutil
from pathlib import Path

import pytest

from emoact.bench.clicks import click_times
from emoact.errors import RequestError
from emoact.store.protocol import STORES
from tests.support.planted_scenarios import plant_scenarios
from tests.support.typed import Typed

BOUNDS = {"lossless": 0.0, "rel1e-3": 1e-3, "rel8e-3": 8e-3}


def test_every_store_and_precision_is_measured(tmp_path: Path, typed: Typed) -> None:
    paths = plant_scenarios(tmp_path, emotions=("anger", "neutral"))
    found = typed("bench", "--store", "--results", tmp_path, "--json").json["stores"]
    assert [(each["store"], each["precision"]) for each in found] == [
        (store.name, precision) for store in STORES[:2] for precision in store.precisions
    ]
    assert found[0]["n_bytes"] == sum(path.stat().st_size for path in paths)
    for each in found:
        bound = BOUNDS[each["precision"]]
        assert 0.1 * bound <= each["relative_error"] <= bound
    typed("bench", "--store", "--results", tmp_path / "without files", code=2)


def test_clicks_need_a_browser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(RequestError, match="there is none"):
        click_times(tmp_path)
