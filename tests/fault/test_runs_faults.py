"""Workers and launchers that die or find the disk failing, at every call that changes the disk.

Every kind of call and every sixth place are tried; the long variants try every call.
"""

import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator

import pytest

from emoact.errors import EmoactError
from emoact.jobs import control, launch, progress
from emoact.store import manifest
from emoact.store.layout import ResultsRoot
from tests.support.fault_runs import run_server
from tests.support.stand_in_world import EMOTIONS, World, saved_arrays
from tests.support.strace import FaultServer, why_not

RecordProperty = Callable[[str, object], None]
NOTHING = ("true",)
"""A worker that leaves at once without a word."""
ERRORS = {
    "mkdir": ("ENOSPC", "EROFS", "EIO"),
    "fallocate": ("ENOSPC", "EFBIG"),
    "pwritev2": ("ENOSPC", "EIO"),
    "write": ("ENOSPC", "EIO", "EFBIG"),
    "fsync": ("EIO", "ENOSPC"),
    "renameat": ("EIO", "ENOSPC"),
    "rename": ("EIO", "ENOSPC"),
    "unlink": ("EIO",),
    "unlinkat": ("EIO",),
    "rmdir": ("EIO",),
    "ftruncate": ("EIO",),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultServer]:
    if reason := why_not():
        pytest.skip(reason)
    server = run_server(tmp_path_factory.mktemp("fault_server"))
    yield server
    server.close()


@pytest.fixture
def world(world: World) -> World:
    world.write_dataset(n_samples=2)
    return world


class Scene:
    """A results folder with one run in it that starts the same way for every death."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.config = world.config(world.model(), run_id="r1")
        self._template = world.path / "template"
        launch.start(self.config, worker=NOTHING)
        self.settle()
        world.results.rename(self._template)
        self.restore()

    def restore(self, *, empty: bool = False) -> None:
        shutil.rmtree(self.world.results, ignore_errors=True)
        if not empty:
            shutil.copytree(self._template, self.world.results)

    def settle(self) -> None:
        """Wait until no worker lives."""
        self.world.wait("r1")

    def acknowledged(self) -> dict[str, str]:
        """What the manifest lists, all of it there and whole."""
        found = {}
        root = ResultsRoot(self.world.results)
        for entry in manifest.load(root).values():
            state = manifest.unit_state(root, entry.folder, entry.emotion, key=entry.key)
            assert state == "saved", f"{entry.emotion} was acknowledged and is {state}"
            found[entry.emotion] = entry.sha256
        return found

    def saved_events(self) -> list[str]:
        """The units that the run reported as saved."""
        events = self.world.directory("r1").events()
        return [event.fields["emotion"] for event in events if event.kind == "unit_saved"]

    def leftovers(self) -> list[str]:
        results = self.world.results
        return [
            str(path.relative_to(results))
            for path in results.rglob("*")
            if path.name.startswith((".emoact-", ".new-", ".deleted-"))
        ]


@pytest.fixture
def scene(world: World) -> Scene:
    return Scene(world)


def finish(scene: Scene, server: FaultServer) -> None:
    """Resume as a user would, and let the new worker do its work."""
    if scene.world.view("r1").state != "finished":
        control.resume(scene.world.results, "r1", worker=NOTHING)
        scene.settle()
        assert server.fork("work", str(scene.world.results), "r1").code == 0


def test_a_worker_killed_at_any_system_call_loses_nothing_it_acknowledged(
    scene: Scene, server: FaultServer, record_property: RecordProperty, every: bool
) -> None:
    results = str(scene.world.results)
    undisturbed = server.fork("work", results, "r1")
    assert undisturbed.code == 0
    assert scene.world.view("r1").state == "finished"
    expected = saved_arrays(scene.world.results)
    assert len(expected) == len(EMOTIONS)
    points = undisturbed.chosen(every, 6)
    assert len(undisturbed.points()) >= 60
    complaints = []
    for name, count in points:
        scene.restore()
        ended = server.fork("work", results, "r1", inject=f"{name}:signal=KILL:when={count}")
        try:
            assert ended.code == -9, f"it was not killed but ended with {ended.code}"
            (row,) = progress.list_runs(results)
            assert row.state in ("crashed", "finished")
            assert row.problem is None
            kept = scene.acknowledged()
            assert set(scene.saved_events()) <= set(kept)
            finish(scene, server)
            assert scene.world.view("r1").state == "finished"
            assert {unit.state for unit in scene.world.view("r1").units} <= {"saved", "skipped"}
            after = scene.acknowledged()
            assert sorted(after) == sorted(EMOTIONS)
            assert {emotion: after[emotion] for emotion in kept} == kept
            assert saved_arrays(scene.world.results) == expected
            assert scene.leftovers() == []
        except (AssertionError, EmoactError) as error:
            complaints.append(f"killed at {name} {count}: {error}")
    record_property("points", len(points))
    assert complaints == []


def test_a_disk_that_fails_under_a_worker_is_told(
    scene: Scene, server: FaultServer, record_property: RecordProperty, every: bool
) -> None:
    results = str(scene.world.results)
    points = server.fork("work", results, "r1").chosen(every, 6)
    expected = saved_arrays(scene.world.results)
    complaints, tried = [], 0
    for turn, (name, count) in enumerate(points):
        codes = ERRORS[name]
        for code in codes if every else [codes[turn % len(codes)]]:
            scene.restore()
            ended = server.fork("work", results, "r1", inject=f"{name}:error={code}:when={count}")
            tried += 1
            try:
                view = scene.world.view("r1")
                # A heartbeat or the removal of a scratch file may fail without harm.
                assert (ended.code, view.state) in ((0, "finished"), (1, "failed"))
                if view.state == "failed":
                    assert view.error is not None
                    assert code in view.error.message
                    assert view.error.remedy
                kept = scene.acknowledged()
                assert set(scene.saved_events()) <= set(kept)
                finish(scene, server)
                assert saved_arrays(scene.world.results) == expected
                assert sorted(scene.acknowledged()) == sorted(EMOTIONS)
                assert scene.leftovers() == []
            except (AssertionError, EmoactError) as error:
                complaints.append(f"{code} at {name} {count}: {error}")
    record_property("points", tried)
    assert complaints == []


@pytest.mark.parametrize("action", ["start", "resume", "delete"])
def test_a_launcher_killed_at_any_system_call_leaves_a_run_or_none(
    scene: Scene, server: FaultServer, record_property: RecordProperty, action: str
) -> None:
    results = str(scene.world.results)
    words = [action, results, "r1"]
    if action == "start":
        words.append(json.dumps(scene.config.to_json()))
    scene.restore(empty=action == "start")
    points = server.fork(*words).points()
    assert len(points) >= 3
    complaints = []
    for name, count in points:
        scene.restore(empty=action == "start")
        ended = server.fork(*words, inject=f"{name}:signal=KILL:when={count}")
        try:
            assert ended.code == -9, f"it was not killed but ended with {ended.code}"
            scene_of_one_run(scene, action)
        except (AssertionError, EmoactError) as error:
            complaints.append(f"{action} killed at {name} {count}: {error}")
    record_property("points", len(points))
    assert complaints == []


def scene_of_one_run(scene: Scene, action: str) -> None:
    """Check that there is a whole run or none, and that a start after it works and cleans up."""
    rows = progress.list_runs(scene.world.results)
    if rows:
        scene.settle()
        (row,) = progress.list_runs(scene.world.results)
        assert (row.id, row.state, row.problem) == ("r1", "crashed", None)
        assert row.n_samples == 4
    else:
        assert action != "resume"
    if action == "resume":
        control.resume(scene.world.results, "r1", worker=NOTHING)
    else:
        launch.start(dataclasses.replace(scene.config, run_id="r2"), worker=NOTHING)
        scene.world.wait("r2")
    assert scene.leftovers() == []


@pytest.mark.parametrize("n_runs", [2, 8])
def test_runs_at_once_equal_one(world: World, monkeypatch: pytest.MonkeyPatch, n_runs: int) -> None:
    model = world.model(pass_s=0.01)
    alone = World(world.path / "alone")
    alone.path.mkdir()
    alone.write_dataset(n_samples=2)
    alone.wait(alone.start(alone.config(model)).run_id)
    monkeypatch.setenv("EMOACT_WORKERS", str(n_runs))
    # Not the same request, or the second start would return the first run: each run names the
    # emotions in another choice, so that every file is wanted by several at once.
    choices = [EMOTIONS, EMOTIONS[:1], EMOTIONS[1:]]
    configs = [
        world.config(model, emotions=choices[turn % 3], overwrite=turn % 2 == 1)
        for turn in range(n_runs)
    ]
    ids = {world.start(config).run_id for config in configs}
    assert len(ids) == min(n_runs, 6)
    assert {world.wait(run_id).state for run_id in ids} == {"finished"}
    together, single = (saved_arrays(each.results) for each in (world, alone))
    assert together == single
    Scene.acknowledged(_view(world))
    assert Scene.leftovers(_view(world)) == []


def _view(world: World) -> Scene:
    """The looking half of a scene, for a world that was made otherwise."""
    scene = Scene.__new__(Scene)
    scene.world = world
    return scene
