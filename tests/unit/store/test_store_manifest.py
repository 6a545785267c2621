"""The record of acknowledged units, written by many at once and read by all."""

import errno
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

import pytest

from emoact.errors import CancelledError, EmoactError, RequestError
from emoact.store import manifest
from emoact.store.layout import ResultsRoot
from emoact.store.locks import remove_stale_files
from emoact.store.manifest import unit_lock
from tests.support.units import manifest_entry

KEY = "a" * 64


@pytest.fixture
def root(tmp_path: Path) -> ResultsRoot:
    return ResultsRoot(tmp_path / "results")


def test_a_folder_that_was_never_written_has_no_units(root: ResultsRoot) -> None:
    assert dict(manifest.load(root)) == {}
    assert manifest.entry(root, "gpt2", "joy") is None
    assert manifest.forget(root, "gpt2", "joy") is False


def test_the_latest_record_of_a_unit_is_found_until_it_is_forgotten(root: ResultsRoot) -> None:
    joy, anger = manifest_entry(), manifest_entry(emotion="anger", size=8)
    manifest.record(root, manifest_entry(size=9))
    manifest.record(root, joy)
    manifest.record(root, anger)
    assert manifest.entry(root, "gpt2", "joy") == joy
    assert list(manifest.load(root).values()) == [anger, joy]
    assert manifest.forget(root, "gpt2", "joy") is True
    assert manifest.entry(root, "gpt2", "joy") is None
    assert manifest.entry(root, "gpt2", "anger") == anger


def test_the_file_is_the_documented_json(root: ResultsRoot) -> None:
    manifest.record(root, manifest_entry())
    assert json.loads(root.manifest.read_text()) == {
        "schema_version": 1,
        "units": {
            "activations/gpt2/activations_joy.pkl": {
                "folder": "gpt2",
                "emotion": "joy",
                "sha256": "b" * 64,
                "size": 7,
                "key": KEY,
                "model": "gpt2",
                "run_id": "r1",
                "written_at": "2026-01-01T00:00:00+00:00",
                "schema_version": 1,
                "configuration": {"processing": "raw"},
            }
        },
    }


def test_what_a_later_version_added_survives_a_change_by_this_one(root: ResultsRoot) -> None:
    manifest.record(root, manifest_entry())
    content = json.loads(root.manifest.read_text())
    content["note"] = "kept"
    content["units"]["activations/gpt2/activations_joy.pkl"]["colour"] = "kept"
    root.manifest.write_text(json.dumps(content))
    manifest.record(root, manifest_entry(emotion="anger"))
    assert manifest.entry(root, "gpt2", "joy") == manifest_entry()
    after = json.loads(root.manifest.read_text())
    assert after["note"] == "kept"
    assert after["units"]["activations/gpt2/activations_joy.pkl"]["colour"] == "kept"


UNIT = "activations/gpt2/activations_joy.pkl"
SOUND = manifest_entry().to_json()
DAMAGED: dict[str, bytes] = {
    "empty": b"",
    "cut short": b'{"schema_version": 1, "units": {',
    "not JSON": b"\x80\x04.",
    "not UTF-8": b'{"schema_version": 1, "units": {"\xff": 1}}',
    "a list": b"[]",
    "a number": b"1",
    "no version": b'{"units": {}}',
    "a version of another kind": b'{"schema_version": "1", "units": {}}',
    "no units": b'{"schema_version": 1}',
    "units of another kind": b'{"schema_version": 1, "units": []}',
    "too deep": b"[" * 200_000,
    **{
        name: json.dumps({"schema_version": 1, "units": {unit: entry}}).encode()
        for name, unit, entry in (
            ("an entry of another kind", UNIT, []),
            ("an entry that is null", UNIT, None),
            ("an entry without a hash", UNIT, {k: v for k, v in SOUND.items() if k != "sha256"}),
            ("a hash too short", UNIT, SOUND | {"sha256": "abc"}),
            ("a key that is a number", UNIT, SOUND | {"key": 5}),
            ("a size below zero", UNIT, SOUND | {"size": -1}),
            ("a size that is true", UNIT, SOUND | {"size": True}),
            ("a configuration that is a list", UNIT, SOUND | {"configuration": []}),
            ("an entry of another unit", UNIT, SOUND | {"emotion": "anger"}),
            ("a folder that climbs", "activations/../x.pkl", SOUND | {"folder": ".."}),
            ("an absolute name", "/etc/passwd", SOUND),
            ("a hostile label", UNIT, SOUND | {"emotion": "../../x"}),
        )
    },
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_manifest_is_refused_and_left(damage: str, root: ResultsRoot) -> None:
    root.path.mkdir()
    root.manifest.write_bytes(DAMAGED[damage])
    with pytest.raises(EmoactError, match=r"manifest\.json is damaged: .+") as refusal:
        manifest.load(root)
    assert "move it away" in (refusal.value.remedy or "")
    if damage in ("empty", "cut short", "a list"):
        with pytest.raises(EmoactError, match="damaged"):
            manifest.record(root, manifest_entry())
    assert root.manifest.read_bytes() == DAMAGED[damage]


def test_a_manifest_of_a_newer_emoact_is_not_touched(root: ResultsRoot) -> None:
    root.path.mkdir()
    root.manifest.write_text('{"schema_version": 99, "units": {}}')
    with pytest.raises(EmoactError, match="schema version 99; this emoact knows 1"):
        manifest.record(root, manifest_entry())
    assert root.manifest.read_text() == '{"schema_version": 99, "units": {}}'


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sha256": "B" * 64}, "sha256 is"),
        ({"key": ""}, "key is"),
        ({"size": -1}, "size is -1"),
        ({"schema_version": -1}, "schema_version is -1"),
    ],
)
def test_an_impossible_entry_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        manifest_entry(**change)


def test_a_hostile_entry_is_not_recorded(root: ResultsRoot) -> None:
    with pytest.raises(RequestError):
        manifest.record(root, manifest_entry(folder="../outside"))
    assert not root.path.exists()


@pytest.mark.parametrize(
    ("on_disk", "recorded", "key", "state"),
    [
        (None, None, KEY, "missing"),
        (None, b"content", KEY, "missing"),
        (b"content", b"content", KEY, "saved"),
        (b"Content", b"content", KEY, "damaged"),
        (b"conten", b"content", KEY, "damaged"),
        (b"content!", b"content", KEY, "damaged"),
        (b"", b"content", KEY, "damaged"),
        (b"content", b"content", "c" * 64, "other"),
        (b"content", None, KEY, "unrecorded"),
    ],
)
def test_the_state_of_a_unit_follows_from_its_file_and_its_record(
    root: ResultsRoot, on_disk: bytes | None, recorded: bytes | None, key: str, state: str
) -> None:
    path = root.unit_path("gpt2", "joy")
    path.parent.mkdir(parents=True)
    if on_disk is not None:
        path.write_bytes(on_disk)
    if recorded is not None:
        digest = hashlib.sha256(recorded).hexdigest()
        manifest.record(root, manifest_entry(sha256=digest, size=len(recorded), key=key))
    assert manifest.unit_state(root, "gpt2", "joy", key=KEY) == state


def test_a_folder_in_place_of_a_unit_is_an_error(root: ResultsRoot) -> None:
    root.unit_path("gpt2", "joy").mkdir(parents=True)
    with pytest.raises(EmoactError, match="cannot be read: it is a folder"):
        manifest.unit_state(root, "gpt2", "joy", key=KEY)


WRITER = """
import sys
from emoact.store import manifest
from emoact.store.layout import ResultsRoot
from tests.support.units import manifest_entry
root, worker, count = ResultsRoot(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for turn in range(count):
    manifest.record(root, manifest_entry(f"m{worker}", f"e{turn}", size=turn))
    if turn % 3 == 2:
        manifest.forget(root, f"m{worker}", f"e{turn}")
"""


@pytest.mark.parametrize("workers", [2, 8])
def test_processes_that_record_at_once_lose_nothing(workers: int, root: ResultsRoot) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(root.path), str(worker), "9"],
            env={"PYTHONPATH": ":".join(sys.path)},
        )
        for worker in range(workers)
    ]
    # A reader finds a whole manifest at every moment.
    while any(process.poll() is None for process in processes):
        manifest.load(root)
    assert [process.wait() for process in processes] == [0] * workers
    assert set(manifest.load(root)) == {
        f"activations/m{worker}/activations_e{turn}.pkl"
        for worker in range(workers)
        for turn in (0, 1, 3, 4, 6, 7)
    }
    assert sorted(path.name for path in root.path.iterdir()) == [".manifest.lock", "manifest.json"]


def test_a_pipe_in_its_place_is_an_error_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises(EmoactError, match="not a regular file"):
        manifest.load(ResultsRoot(tmp_path))


def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text('{"schema_version": 1, "units": {}}')
    (tmp_path / "manifest.json").symlink_to("kept.json")
    assert manifest.load(ResultsRoot(tmp_path)) == {}


def test_a_hanging_lock_is_told(root: ResultsRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "_PATIENCE_S", 0.05)
    root.path.mkdir()
    with root.manifest_lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(EmoactError, match="held by another process"):
            manifest.record(root, manifest_entry())
    manifest.record(root, manifest_entry())
    assert len(manifest.load(root)) == 1


def test_no_locks_are_refused(root: ResultsRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(EmoactError, match="ENOLCK"):
        manifest.record(root, manifest_entry())
    assert not root.manifest.exists()


def give_up() -> None:
    raise CancelledError("waited")


def test_a_second_run_waits_until_the_first_is_done(root: ResultsRoot) -> None:
    inside, order = threading.Event(), []

    def second() -> None:
        with unit_lock(root, "gpt2", "joy", while_waiting=lambda: inside.set()):
            order.append("second")

    with unit_lock(root, "gpt2", "joy"):
        thread = threading.Thread(target=second)
        thread.start()
        assert inside.wait(timeout=10)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_many_runs_are_inside_one_at_a_time_even_while_others_sweep_up(root: ResultsRoot) -> None:
    inside, most, done = [], [], []

    def run(worker: int) -> None:
        for _ in range(5):
            remove_stale_files(root.partial)
            with unit_lock(root, "gpt2", "joy"):
                inside.append(worker)
                most.append(len(inside))
                time.sleep(0.002)
                inside.remove(worker)
            done.append(worker)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    assert max(most) == 1
    assert len(done) == 20


def test_other_units_are_not_kept_waiting(root: ResultsRoot) -> None:
    with (
        unit_lock(root, "gpt2", "joy"),
        unit_lock(root, "gpt2", "anger", while_waiting=give_up),
        unit_lock(root, "pythia-160m", "joy", while_waiting=give_up),
    ):
        assert len(list(root.partial.rglob("*.lock"))) == 3


def test_a_waiting_run_can_give_up(root: ResultsRoot) -> None:
    with (
        unit_lock(root, "gpt2", "joy"),
        pytest.raises(CancelledError),
        unit_lock(root, "gpt2", "joy", while_waiting=give_up),
    ):
        pytest.fail("two runs are inside at once")


def test_the_lock_of_a_killed_run_is_free(root: ResultsRoot) -> None:
    script = (
        "import os, sys; from emoact.store.layout import ResultsRoot;"
        "from emoact.store.manifest import unit_lock\n"
        "with unit_lock(ResultsRoot(sys.argv[1]), 'gpt2', 'joy'): os.kill(os.getpid(), 9)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(root.path)],
        check=False,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert ended.returncode == -9
    assert root.lock_path("gpt2", "joy").exists()
    with unit_lock(root, "gpt2", "joy", while_waiting=give_up):
        pass
    assert not root.lock_path("gpt2", "joy").exists()


def test_the_lock_is_given_back_after_an_error(root: ResultsRoot) -> None:
    with pytest.raises(ValueError, match="mine"), unit_lock(root, "gpt2", "joy"):
        raise ValueError("mine")
    assert not root.lock_path("gpt2", "joy").exists()


def test_a_lock_that_cannot_be_made_is_an_error_with_the_path(root: ResultsRoot) -> None:
    root.path.mkdir()
    root.partial.write_text("in the way")
    with (
        pytest.raises(EmoactError, match=r"activations_joy\.lock could not be written"),
        unit_lock(root, "gpt2", "joy"),
    ):
        pytest.fail("there is no lock")
