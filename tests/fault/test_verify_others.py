"""`verify` finds a change of any byte of status files, events, analyses and control extractions."""

import hashlib
import json
import random
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from emoact.analysis.verify import NOT_COVERED, verify_analyses, verify_controls, verify_runs
from emoact.causes import patterns
from emoact.causes.saved import save_cause, verify_causes
from emoact.decode import unsealed
from emoact.jobs.config import now
from emoact.jobs.directory import RunDirectory
from emoact.jobs.events import Event
from emoact.report.making import make_report
from emoact.store.layout import ResultsRoot
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_heads import plant_patterns
from tests.support.planted_runs import JOB, plant_job
from tests.support.planted_scenarios import control_vectors, plant_controls, plant_scenarios
from tests.support.stand_in_world import World
from tests.support.typed import Typed


def codes(results: Path) -> list[str]:
    root = ResultsRoot(results)
    checks = (verify_runs, verify_analyses, verify_controls, verify_causes)
    return [finding.code for check in checks for finding in check(root)]


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


def test_a_flipped_bit_of_a_request_or_a_plan_is_found(world: World) -> None:
    run_id = world.start(world.config(world.model())).run_id
    world.wait(run_id)
    directory = world.directory(run_id)
    assert codes(world.results) == []
    flips(directory.config_path, world.results, n=60)
    flips(directory.plan_path, world.results, n=60)


def test_files_of_runs_from_before_there_were_hashes_are_read(world: World) -> None:
    run_id = world.start(world.config(world.model())).run_id
    world.wait(run_id)
    directory = world.directory(run_id)
    for path in (directory.config_path, directory.plan_path):
        stated, whole = unsealed(json.loads(path.read_text()))
        assert whole
        assert stated != json.loads(path.read_text())
        path.write_text(json.dumps(stated))
    assert codes(world.results) == []
    assert world.view(run_id).state == "finished"


def test_a_flipped_bit_of_a_result_about_causes_is_found(tmp_path: Path) -> None:
    root = ResultsRoot(tmp_path)
    saved = save_cause(root, "example", {"layer": 3}, {"total": 1.5, "p": [0.25] * 10})
    assert codes(tmp_path) == []
    flips(saved.path, tmp_path, n=60)
    flips(plant_patterns(tmp_path).path.parent / patterns.FILE, tmp_path, n=40)


def test_a_changed_report_is_found_and_a_removed_one_is_not(tmp_path: Path) -> None:
    plant_scenarios(tmp_path)
    plant_job(tmp_path, "finished", kind="report")
    report = make_report(tmp_path, form="md").path
    sha256 = hashlib.sha256(report.read_bytes()).hexdigest()
    # The folder was elsewhere when the report was made.
    fields = {"path": f"/elsewhere/reports/{report.name}", "size": 1, "existing": False}
    made = {"kind": "made", "at": now(), "attempt": 1, "elapsed_s": 1.5}
    event = Event(**made, fields={**fields, "sha256": sha256})  # type: ignore[arg-type]
    (tmp_path / "runs" / JOB / "events.jsonl").write_bytes(event.to_line())
    assert codes(tmp_path) == []
    report.write_text(report.read_text().replace("e", "a", 1))
    assert codes(tmp_path) == ["report_changed"]
    report.unlink()
    assert codes(tmp_path) == []


def test_a_flipped_bit_of_an_analysis_is_found(tmp_path: Path) -> None:
    plant_scenarios(tmp_path)
    path = plant_analysis(tmp_path).path
    assert codes(tmp_path) == []
    flips(path / "analysis.json", tmp_path, n=40)
    for file in (path / "tables" / "strength.csv", path / "tables" / "strength.parquet"):
        flips(file, tmp_path, n=10)


def test_a_flipped_bit_of_control_extractions_is_found(tmp_path: Path) -> None:
    controls = plant_controls(tmp_path)
    controls.write("contextless", control_vectors(controls))
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


def test_verify_reports_all_and_what_it_does_not_cover(tmp_path: Path, typed: Typed) -> None:
    plant_scenarios(tmp_path)
    plant_job(tmp_path, "finished", kind="report")
    (tmp_path / "runs" / JOB / "status.json").write_text("{}")
    document = typed("verify", "--results", tmp_path, "--samples", "0", "--json", code=1).json
    assert "run_damaged" in {finding["code"] for finding in document["findings"]}
    assert document["not_covered"] == list(NOT_COVERED)
