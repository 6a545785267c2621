"""A run on a warm host with a real (tiny) model: the same bits as in a process of its own."""

from pathlib import Path

import pytest

from emoact.jobs.config import RunConfig
from emoact.jobs.request import ExtractRequest, prepare
from emoact.models import hosts
from emoact.store.reading import read_all
from emoact.store.unit import Unit
from tests.support.stand_in_world import World, finished, steps_of, worker_of
from tests.support.tiny_models import save_tiny


def extracted(world: World, model: Path, results: str, emotions: tuple[str, ...]) -> RunConfig:
    """A finished run in a results folder of its own."""
    request = ExtractRequest(
        models=(str(model),), dataset=world.dataset, results=world.path / results, emotions=emotions
    )
    config = prepare(request)
    finished(config)
    return config


def content(unit: Unit) -> tuple[object, ...]:
    """Everything in a unit that is not the time or the name of its run."""
    arrays = tuple(
        rows.tobytes()
        for layers in (unit.residual_stream, unit.mlp_output)
        for samples in layers
        for rows in samples
    )
    assert unit.provenance is not None
    made = {
        name: unit.provenance[name]
        for name in ("plan", "self_check", "unit_key", "bos", "versions", "device")
    }
    return arrays, made


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_warm_runs_equal_cold(tmp_path: Path, family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    world = World(tmp_path)
    world.write_dataset(("anger", "gratitude", "neutral"), n_samples=5)
    model = save_tiny(family, tmp_path / "model")
    everything = ("anger", "gratitude", "neutral")
    monkeypatch.setenv(hosts.IDLE, "60")
    try:
        first = extracted(world, model, "first", everything)
        same = extracted(world, model, "same", everything)
        # The check of the model is made on prompts of the first emotion: other ones here.
        other = extracted(world, model, "other", ("neutral", "gratitude"))
    finally:
        hosts.leave_others()
    assert ["load" in steps_of(run) for run in (first, same, other)] == [True, False, False]
    assert worker_of(first) == worker_of(same) == worker_of(other)
    cold = {unit.emotion: content(unit) for unit in read_all(first.results)}
    assert {unit.emotion: content(unit) for unit in read_all(same.results)} == cold
    monkeypatch.setenv(hosts.IDLE, "0")
    other_cold = extracted(world, model, "other-cold", ("neutral", "gratitude"))
    assert "load" in steps_of(other_cold)
    expected = {unit.emotion: content(unit) for unit in read_all(other_cold.results)}
    assert {unit.emotion: content(unit) for unit in read_all(other.results)} == expected
