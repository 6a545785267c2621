"""The real model's worker, killed at a unit boundary, then resumed."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoact.jobs import control, launch
from emoact.jobs.progress import read_run
from emoact.jobs.request import ExtractRequest, prepare
from emoact.jobs.views import RunView
from emoact.store.layout import ResultsRoot
from emoact.store.summaries import kept_measures
from emoact.store.verify import verify_files
from tests.support.stand_in_world import World, wait_for

pytestmark = pytest.mark.slow

EMOTIONS = ("gratitude", "anger", "neutral")


@pytest.fixture
def world(tmp_path: Path) -> World:
    """The embedded model of this machine, twelve of the shipped prompts."""
    world = World(tmp_path)
    shipped = (Path(__file__).parents[2] / "data" / "prompts.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(line) for line in shipped.splitlines()]
    chosen = [
        row for emotion in EMOTIONS for row in [r for r in rows if r["emotion"] == emotion][:4]
    ]
    world.dataset.write_text("".join(json.dumps(row) + "\n" for row in chosen))
    return world


def _load(results: Path, emotion: str) -> dict[str, Any]:
    path = results / "activations" / "smollm2-135m" / f"activations_{emotion}.pkl"
    with path.open("rb") as file:
        loaded: dict[str, Any] = pickle.load(file)
    return loaded


def test_a_killed_run_of_the_real_model_resumes_to_identical_files(world: World) -> None:
    request = ExtractRequest(models=("smollm2-135m",), dataset=world.dataset, results=world.results)
    run_id = launch.start(prepare(request)).run_id

    def one_is_saved(view: RunView) -> bool:
        return any(unit.state == "saved" for unit in view.units)

    world.wait(run_id, one_is_saved)
    world.kill(run_id)
    crashed = world.wait(run_id)
    assert crashed.state == "crashed"
    kept = {unit.emotion for unit in crashed.units if unit.state == "saved"}
    assert kept
    control.resume(world.results, run_id)
    assert world.wait(run_id).state == "finished"

    undisturbed = world.path / "undisturbed"
    again = ExtractRequest(models=("smollm2-135m",), dataset=world.dataset, results=undisturbed)
    other = launch.start(prepare(again)).run_id
    wait_for(lambda: read_run(undisturbed, other).state == "finished", within_s=120)

    for emotion in EMOTIONS:
        ours, theirs = _load(world.results, emotion), _load(undisturbed, emotion)
        for sample in range(4):
            assert ours["tokens"][sample].tolist() == theirs["tokens"][sample].tolist()
            for key in ("residual_stream", "mlp_output"):
                for layer in range(30):
                    np.testing.assert_array_equal(
                        ours[key][layer][sample], theirs[key][layer][sample]
                    )
    assert verify_files(world.results).findings == ()
    # A worker whose run has ended measures the files for the pages.
    root = ResultsRoot(undisturbed)
    wait_for(lambda: all(kept_measures(root, "smollm2-135m", each) for each in EMOTIONS))
