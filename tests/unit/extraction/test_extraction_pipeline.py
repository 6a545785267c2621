"""Two runs at one unit: the second looks between the first's file and its record.

Latches force the moment; nothing here depends on speed.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from emoact.errors import CancelledError, RequestError
from emoact.extraction.engine import Tokenised
from emoact.extraction.pipeline import run_units
from emoact.jobs.request import ExtractRequest, prepare
from emoact.schema import DType, ExtractionOptions
from emoact.store import manifest
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read
from tests.support.numpy_engine import NumpyEngine, numpy_engine
from tests.support.stand_in_world import LONGEST_WAIT_S, World
from tests.support.tiny_models import save_tiny
from tests.support.told import Told


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
    assert told.saved == [*first.emotions]


def test_a_pass_is_left_at_the_next_layer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[tuple[object, ...]] = []
    forward = NumpyEngine.forward

    def watched(self: NumpyEngine, prompts: Sequence[Tokenised], *, put: Any, on_pass: Any) -> Any:
        def told(*array: Any) -> None:
            computed.append(array[:2])
            put(*array)

        return forward(self, prompts, put=told, on_pass=on_pass)

    monkeypatch.setattr(NumpyEngine, "forward", watched)
    # While its first pass is under way.
    reporter = Told(stop=lambda: bool(computed))
    with pytest.raises(CancelledError):
        run_units(world.config(world.model()), reporter=reporter, plans={}, engine_for=numpy_engine)
    assert len(computed) == 1


ROWS = """\
{"id": "a", "emotion": "neutral", "text": "The train leaves at nine."}
{"id": "b", "emotion": "neutral", "text": "The train leaves at noon."}
"""


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_the_run_says_how_far_half_precision_is_from_float32(dtype: DType, tmp_path: Path) -> None:
    folder = save_tiny("gpt2", tmp_path / "tiny")
    dataset = tmp_path / "rows.jsonl"
    dataset.write_text(ROWS, encoding="utf-8")
    request = ExtractRequest(
        models=(str(folder),),
        dataset=dataset,
        results=tmp_path / "results",
        options=ExtractionOptions(dtype=dtype),
    )
    reporter = Told()
    run_units(prepare(request), reporter=reporter, plans={})
    (path,) = (tmp_path / "results" / "activations").glob("*/*.pkl")
    provenance = read(path).provenance
    assert provenance is not None
    throughput = provenance["throughput"]
    assert throughput["n_distinct_prefixes"] < throughput["n_tokens"]
    if dtype == "float32":
        assert reporter.notes == []
        return
    error = provenance["self_check"]["dtype_error"]
    assert f"differs from float32 by up to {error['largest']:.1g}" in reporter.notes[0]
