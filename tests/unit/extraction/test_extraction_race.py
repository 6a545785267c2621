"""Two runs at one unit: the second looks between the first's file and its record.

Latches force the moment; nothing here depends on speed.
"""

import threading
from typing import Any

import pytest

from emoact.errors import RequestError
from emoact.extraction.extractor import Quiet
from emoact.extraction.pipeline import run_units
from emoact.store import manifest
from emoact.store.layout import ResultsRoot
from tests.support.numpy_engine import numpy_engine
from tests.support.stand_in_world import LONGEST_WAIT_S, World


class Told(Quiet):
    """A reporter that keeps what becomes of units."""

    def __init__(self) -> None:
        self.units: list[tuple[str, str]] = []

    def unit(self, *event: object, **fields: object) -> None:
        self.units.append((str(event[0]), str(fields["emotion"])))


def test_a_file_being_recorded_is_known(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    model = world.model()
    first, second = (world.config(model, run_id=name) for name in ("r1", "r2"))
    written, seen = threading.Event(), threading.Event()
    failures: list[BaseException] = []
    record, unit_state = manifest.record, manifest.unit_state

    def record_once_seen(root: ResultsRoot, entry: manifest.ManifestEntry) -> None:
        written.set()
        assert seen.wait(LONGEST_WAIT_S)
        record(root, entry)

    def look(*place: Any, key: str) -> manifest.UnitState:
        state = unit_state(*place, key=key)
        if state == "unrecorded":
            seen.set()
        return state

    def write() -> None:
        try:
            run_units(first, reporter=Told(), plans={}, engine_for=numpy_engine)
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            failures.append(error)

    monkeypatch.setattr(manifest, "record", record_once_seen)
    monkeypatch.setattr(manifest, "unit_state", look)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert written.wait(LONGEST_WAIT_S)
        told = Told()
        run_units(second, reporter=told, plans={}, engine_for=numpy_engine)
    finally:
        seen.set()
        writer.join(LONGEST_WAIT_S)
    assert failures == []
    assert told.units[0] == ("unit_skipped", second.emotions[0])
    root = ResultsRoot(second.results)
    written_by = {entry.emotion: entry.run_id for entry in manifest.load(root).values()}
    assert written_by[second.emotions[0]] == "r1"
    assert sorted(written_by) == sorted(second.emotions)


def test_a_file_that_no_run_is_recording_stays_in_the_way(world: World) -> None:
    model = world.model()
    first, second = (world.config(model, run_id=name) for name in ("r1", "r2"))
    run_units(first, reporter=Told(), plans={}, engine_for=numpy_engine)
    for entry in manifest.load(ResultsRoot(first.results)).values():
        manifest.forget(ResultsRoot(first.results), entry.folder, entry.emotion)
    with pytest.raises(RequestError, match="no run acknowledged it"):
        run_units(second, reporter=Told(), plans={}, engine_for=numpy_engine)
    # The run that wrote it was killed before it recorded it, and goes on.
    told = Told()
    run_units(first, reporter=told, plans={}, engine_for=numpy_engine)
    assert [emotion for kind, emotion in told.units if kind == "unit_saved"] == [*first.emotions]
