"""Analyses with control extractions, from the request to the files; the model is a stand-in."""

import dataclasses
import json
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from emoact.analysis.request import AnalyzeRequest, PreparedAnalysis, prepare_analysis
from emoact.analysis.saved import SavedAnalysis
from emoact.decode import sealed, unsealed
from emoact.errors import RequestError
from emoact.jobs import control, launch
from emoact.jobs.controls import controls_of
from emoact.jobs.views import RunView
from emoact.store.reading import read_all
from tests.support.numpy_engine import behave
from tests.support.planted_scenarios import FAST
from tests.support.stand_in_world import World, running
from tests.support.typed import Typed

SETTINGS = dataclasses.replace(FAST, control_shuffles=20)
N_SETS = 2 * 21
N_BYTES = 6 * 2 * 2 * 4 * 4
"""Of one file: 6 prompts, 2 sites of 2 layers, 4 dimensions, float32."""


@pytest.fixture
def world(world: World) -> World:
    """Two extracted units of one model; each run is a process of its own."""
    world.write_dataset(n_samples=6)
    config = world.config(world.model())
    launch.start(config)
    assert world.wait(config.run_id).state == "finished"
    return world


def prepared(world: World, **changes: object) -> PreparedAnalysis:
    settings = dataclasses.replace(SETTINGS, **changes)  # type: ignore[arg-type]
    return prepare_analysis(AnalyzeRequest(results=world.results, settings=settings))


def analysed(world: World, **changes: object) -> tuple[SavedAnalysis, RunView]:
    config = prepared(world, **changes).config
    launch.start(config)
    view = world.wait(config.run_id)
    assert view.state == "finished", world.directory(config.run_id).log_tail()
    (made,) = view.made
    return SavedAnalysis.open(made.path), view


def files(world: World) -> list[Path]:
    return sorted((world.results / "controls").glob("*/*.safetensors"))


def steps(world: World, view: RunView) -> set[str]:
    events = world.directory(view.summary.id).events()
    return {event.fields["step"] for event in events if event.kind == "step"}


def test_weights_from_pickles_are_allowed_by_the_user_alone(world: World) -> None:
    for path in (world.results / "runs").glob("*/config.json"):
        content, _ = unsealed(json.loads(path.read_text()))
        path.write_text(json.dumps(sealed({**content, "allow_pickle_weights": True})))
    (model,) = controls_of(prepared(world).config).models
    assert not model.allow_pickle_weights
    request = AnalyzeRequest(
        results=world.results, settings=SETTINGS, allow_pickle_weights=True, run_id="trusted"
    )
    config = prepare_analysis(request).config
    assert "--allow-pickle-weights" in config.command
    behave(world.path / "models" / "tiny", fail="not today")
    launch.start(config)
    assert world.wait("trusted").state == "failed"
    behave(world.path / "models" / "tiny")
    for start_it in (control.resume, control.again):
        with pytest.raises(RequestError, match="stored as pickles, which can run code"):
            start_it(world.results, "trusted")
    control.resume(world.results, "trusted", allow_pickle_weights=True)
    assert world.wait("trusted").state == "finished"


def test_an_analysis_extracts_its_controls_once_and_says_what_it_used(world: World) -> None:
    saved, first = analysed(world)
    assert len(files(world)) == N_SETS
    assert {"load", "extract", "analyze"} <= steps(world, first)
    assert [each.emotion for each in saved.controls] == ["anger", "neutral"]
    assert {each.key for each in saved.controls} == {path.parent.name for path in files(world)}
    assert {each.n_shuffles for each in saved.controls} == {20}
    assert "--controls 20" in saved.command
    # "the anger text number 0" to "... 5": four shared tokens and six numbers.
    assert [each.n_tokens for each in saved.controls] == [10, 10]

    before = {path: path.stat().st_mtime_ns for path in files(world)}
    behave(world.path / "models" / "tiny", fail="the model was asked")
    again, second = analysed(world, alpha=0.01)
    assert again.id != saved.id
    assert steps(world, second) <= {"read", "analyze", "write"}
    assert {path: path.stat().st_mtime_ns for path in files(world)} == before
    assert [unit.emotion for unit in read_all(world.results)] == ["anger", "neutral"]

    without, third = analysed(world, control_shuffles=0)
    assert without.id != saved.id
    assert without.controls == ()
    assert "--controls" not in without.command
    assert steps(world, third) <= {"read", "analyze", "write"}


def test_a_killed_run_keeps_the_controls_that_it_finished(world: World) -> None:
    model = world.path / "models" / "tiny"
    behave(model, pass_s=0.01)
    config = prepared(world).config
    launch.start(config)
    world.wait(config.run_id, lambda view: running(view) and len(files(world)) > 3)
    world.kill(config.run_id)
    assert world.wait(config.run_id).state == "crashed"
    kept = {path: path.stat().st_mtime_ns for path in files(world)}
    assert 3 < len(kept) < N_SETS
    control.resume(world.results, config.run_id)
    assert world.wait(config.run_id).state == "finished"
    assert len(files(world)) == N_SETS
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_a_run_is_cancelled_between_passes(world: World) -> None:
    behave(world.path / "models" / "tiny", pass_s=0.01)
    config = prepared(world).config
    launch.start(config)
    world.wait(config.run_id, lambda view: running(view) and len(files(world)) > 0)
    control.cancel(world.results, config.run_id, wait=True)
    assert world.wait(config.run_id).state == "cancelled"
    assert 0 < len(files(world)) < N_SETS
    assert not list((world.results / "analysis").glob("*/analysis.json"))


def test_a_damaged_file_is_named_and_alone_extracted_again(world: World) -> None:
    analysed(world)
    found = prepared(world, alpha=0.01).controls
    assert found is not None
    assert (found.n_prompts, found.n_bytes) == (0, 0)
    assert "no model is loaded" in found.sentence
    more = prepared(world, control_shuffles=25).controls
    assert more is not None
    assert more.n_prompts == 2 * 5 * 6

    path = files(world)[0]
    right = path.read_bytes()
    path.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    _, view = analysed(world, alpha=0.01)
    assert any(str(path) in note and "extracted again" in note for note in view.notes)
    assert path.read_bytes()[-N_BYTES:] == right[-N_BYTES:]


def test_the_cost_is_counted_before_anything_starts(world: World) -> None:
    cost = prepared(world).controls
    assert cost is not None
    assert cost.n_units == 2
    assert cost.n_prompts == 2 * (20 * 6 + 10)
    assert cost.n_tokens == 2 * (20 * 6 * 6 + 10 * 2)
    assert cost.n_bytes == N_SETS * N_BYTES
    assert f"{cost.n_prompts}" in cost.sentence
    assert not (world.results / "controls").exists()


def test_the_command_says_cost_and_controls(world: World, typed: Typed) -> None:
    words = ["analyze", "--results", str(world.results), "--permutations", "1000"]
    captured = typed(*words, "--controls", "--json")
    assert captured.err.startswith("Control extractions: 260 short prompts")
    document = captured.json
    assert document["settings"]["control_shuffles"] == 20
    assert {each["key"] for each in document["controls"]} == {
        path.parent.name for path in files(world)
    }
    said = typed("analyze", "show", "newest", "--results", world.results).out
    assert "2 units: 20 tokens without context, 20 orders of the words" in said


def test_the_command_of_a_run_asks_for_the_same_controls(world: World) -> None:
    words = shlex.split(prepared(world, control_shuffles=30).config.command)
    assert words[words.index("--controls") + 1] == "30"


def test_a_model_that_is_not_on_this_machine_is_named_before_anything_starts(world: World) -> None:
    shutil.rmtree(world.path / "models" / "tiny")
    with pytest.raises(RequestError, match="models/tiny does not exist"):
        prepared(world)
    prepared(world, control_shuffles=0)


def test_controls_that_are_on_disk_need_no_model_on_this_machine(world: World) -> None:
    analysed(world)
    shutil.rmtree(world.path / "models" / "tiny")
    config = prepared(world, alpha=0.01).config
    assert not config.needs_model
    launch.start(config)
    assert world.wait(config.run_id).state == "finished"
    with pytest.raises(RequestError, match="models/tiny does not exist"):
        prepared(world, control_shuffles=21)


def test_another_model_at_the_same_place_is_refused(world: World) -> None:
    save_file({"other": np.zeros(1)}, world.path / "models" / "tiny" / "model.safetensors")
    with pytest.raises(RequestError, match="revision of the files is"):
        prepared(world)


def test_units_whose_model_no_file_names_are_refused(world: World) -> None:
    shutil.rmtree(world.results / "runs")
    with pytest.raises(RequestError, match="whose path its files do not say"):
        prepared(world)


@pytest.mark.parametrize("count", [-1, 1, 19])
def test_fewer_than_twenty_shuffles_are_refused(count: int) -> None:
    with pytest.raises(RequestError, match="0 or at least 20"):
        dataclasses.replace(SETTINGS, control_shuffles=count)
