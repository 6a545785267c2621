"""`verify` finds a change of any byte of status files, events, analyses and control extractions."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from emoact.analysis.verify import NOT_COVERED, verify_analyses, verify_controls, verify_runs
from emoact.cli import main
from emoact.jobs.config import now
from emoact.jobs.directory import RunDirectory
from emoact.jobs.events import Event
from emoact.store.controls import ControlSettings, UnitControls
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read_all
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_runs import JOB, plant_job
from tests.support.planted_scenarios import plant_scenarios

pytestmark = pytest.mark.fault


def codes(results: Path) -> list[str]:
    root = ResultsRoot(results)
    found = (*verify_runs(root), *verify_analyses(root), *verify_controls(root))
    return [finding.code for finding in found]


def flips(path: Path, results: Path, *, n: int) -> None:
    """Flip bits one at a time: each is found, and none is left behind."""
    whole = path.read_bytes()
    random_ = random.Random(path.name)
    for _ in range(n):
        place, bit = random_.randrange(len(whole)), random_.randrange(8)
        damaged = bytearray(whole)
        damaged[place] ^= 1 << bit
        if _same(bytes(damaged), whole):
            continue
        path.write_bytes(damaged)
        assert codes(results), (path.name, place, bit, bytes(damaged[place - 20 : place + 20]))
    path.write_bytes(whole)
    assert codes(results) == []


def _same(one: bytes, other: bytes) -> bool:
    """True where both are the same JSON: white space may change, and digits beyond a float's."""
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


def test_a_flipped_bit_of_a_status_or_an_event_is_found(tmp_path: Path) -> None:
    plant_job(tmp_path, "finished", kind="report")
    directory = RunDirectory(tmp_path / "runs" / JOB)
    event = Event(kind="note", at=now(), attempt=1, elapsed_s=1.5, fields={"text": "a note"})
    directory.events_path.write_bytes(event.to_line())
    assert codes(tmp_path) == []
    flips(directory.status_path, tmp_path, n=150)
    flips(directory.events_path, tmp_path, n=150)


def test_a_flipped_bit_of_an_analysis_is_found(tmp_path: Path) -> None:
    plant_scenarios(tmp_path)
    path = plant_analysis(tmp_path).path
    assert codes(tmp_path) == []
    flips(path / "analysis.json", tmp_path, n=40)
    for file in (path / "tables" / "strength.csv", path / "tables" / "strength.parquet"):
        flips(file, tmp_path, n=10)


def test_a_flipped_bit_of_control_extractions_is_found(tmp_path: Path) -> None:
    plant_scenarios(tmp_path)
    root = ResultsRoot(tmp_path)
    settings = ControlSettings(
        sites=("resid_pre", "mlp_out"), pooling="mean_content", n_shuffles=1, seed=0
    )
    unit = next(iter(read_all(tmp_path)))
    controls = UnitControls(root=root, unit=unit, settings=settings)
    rng = np.random.default_rng(0)
    pooled = {site: rng.normal(size=shape).astype("f4") for site, shape in controls.shapes.items()}
    controls.write("contextless", pooled)
    path = controls.path("contextless")
    assert codes(tmp_path) == []
    data = path.read_bytes()
    for place in (-1, len(data) // 2, 8 + int.from_bytes(data[:8], "little")):
        damaged = bytearray(data)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        assert codes(tmp_path) == ["controls_damaged"]
    save_file({"a": np.ones(1)}, path)
    assert codes(tmp_path) == ["controls_damaged"]


def test_verify_reports_all_of_it_and_says_what_it_does_not_cover(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plant_scenarios(tmp_path)
    plant_job(tmp_path, "finished", kind="report")
    (tmp_path / "runs" / JOB / "status.json").write_text("{}")
    assert main(["verify", "--results", str(tmp_path), "--samples", "0", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert "run_damaged" in {finding["code"] for finding in document["findings"]}
    assert document["not_covered"] == list(NOT_COVERED)
