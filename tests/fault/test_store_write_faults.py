"""Writers that die and disks that fail, at every system call that changes the disk.

Each kind of call and every third place are tried with one error each; the long variants kill at
every call and try every error there. Each store is tried, pooled vectors where writers are killed.
"""

import errno
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emoact.errors import EmoactError, RequestError
from emoact.store import manifest
from emoact.store.layout import ResultsRoot
from emoact.store.protocol import Store, find_store, unit_file_name
from tests.support.disks import fill, make_read_only, mounted
from tests.support.fault_writer import (
    EMOTIONS,
    FOLDER,
    Outcome,
    WriterServer,
    the_store,
    unit_key_of,
    write_units,
)
from tests.support.strace import Ended, why_not
from tests.support.units import contract_metadata, sample_unit

RecordProperty = Callable[[str, object], None]
OLD, NEW = 0, 1
ERRORS = {
    "mkdir": ("ENOSPC", "EACCES", "EROFS", "EIO", "EDQUOT"),
    "openat": ("ENOSPC", "EACCES", "EROFS", "EIO", "EDQUOT", "EMFILE"),
    "fallocate": ("ENOSPC", "EIO", "EFBIG", "EDQUOT"),
    "pwritev2": ("ENOSPC", "EIO", "EFBIG", "EDQUOT"),
    "write": ("ENOSPC", "EIO", "EFBIG", "EDQUOT"),
    "fsync": ("EIO", "ENOSPC", "EDQUOT"),
    "renameat": ("EIO", "ENOSPC", "EACCES", "EROFS"),
    "unlink": ("EIO", "EROFS"),
    "unlinkat": ("EIO", "EROFS"),
    "rmdir": ("EIO", "EROFS"),
}


@pytest.fixture(scope="module", params=["pickle", "compact"], autouse=True)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """The store of this process and of the writers that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMOACT_FAULT_STORE", request.param)
        yield the_store()


@pytest.fixture(scope="module")
def server(store: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WriterServer]:
    if reason := why_not():
        pytest.skip(reason)
    server = WriterServer(tmp_path_factory.mktemp("fault_server"))
    yield server
    server.close()


@pytest.fixture(scope="module")
def hashes(store: Store, tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, str]]:
    """What undisturbed writers leave, by seed and emotion."""
    found = {}
    for seed in (OLD, NEW):
        folder = tmp_path_factory.mktemp("undisturbed")
        write_units(folder, seed)
        found[seed] = {emotion: _hash(folder, emotion) or "" for emotion in EMOTIONS}
    return found


class Scene:
    """A results folder that starts the same way for every death."""

    def __init__(
        self, folder: Path, *, overwrites: bool, hashes: dict[int, dict[str, str]]
    ) -> None:
        self.results = folder / "results"
        self.hashes = hashes
        self._template = folder / "template" if overwrites else None
        if self._template:
            write_units(self._template, OLD)

    def restore(self) -> None:
        shutil.rmtree(self.results, ignore_errors=True)
        if self._template:
            shutil.copytree(self._template, self.results)

    def complaints(self, outcome: Outcome) -> list[str]:
        """What an interrupted writer did that it must not."""
        found = []
        root = ResultsRoot(self.results)
        for emotion, sha256 in outcome.acknowledged.items():
            state = manifest.unit_state(root, FOLDER, emotion, key=unit_key_of(emotion, NEW))
            if state != "saved" or sha256 != self.hashes[NEW][emotion]:
                found.append(f"{emotion} was acknowledged and is {state}")
        for emotion in EMOTIONS:
            is_new = f'"{unit_file_name(emotion, the_store().suffix)}") = 0' in outcome.trace
            old = self.hashes[OLD][emotion] if self._template else None
            if _hash(self.results, emotion) != (self.hashes[NEW][emotion] if is_new else old):
                found.append(f"{emotion} is torn or gone")
        listed = manifest.load(root)
        found += [
            f"{name} is listed and gone" for name in listed if not (root.path / name).exists()
        ]
        return found

    def complaints_after_resume(self) -> list[str]:
        """What the next writer did not put right by itself."""
        write_units(self.results, NEW)
        root = ResultsRoot(self.results)
        found = [
            f"{emotion} is {state} after resume"
            for emotion in EMOTIONS
            if (state := manifest.unit_state(root, FOLDER, emotion, key=unit_key_of(emotion, NEW)))
            != "saved"
            or _hash(self.results, emotion) != self.hashes[NEW][emotion]
        ]
        return found + [f"{name} is left over after resume" for name in _leftovers(self.results)]


def _hash(results: Path, emotion: str) -> str | None:
    path = results / "activations" / FOLDER / unit_file_name(emotion, the_store().suffix)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None


def _leftovers(results: Path) -> list[str]:
    return [
        str(path.relative_to(results))
        for path in results.rglob("*")
        if path.is_file()
        and (path.name.startswith(".emoact-") or ".partial" in path.relative_to(results).parts)
    ]


@pytest.fixture(params=[False, True], ids=["first time", "overwriting"])
def scene(
    request: pytest.FixtureRequest, tmp_path: Path, hashes: dict[int, dict[str, str]]
) -> Scene:
    return Scene(tmp_path, overwrites=request.param, hashes=hashes)


def _undisturbed(scene: Scene, server: WriterServer) -> Outcome:
    scene.restore()
    outcome = server.run(scene.results, NEW)
    assert (outcome.code, outcome.acknowledged) == (0, scene.hashes[NEW])
    return outcome


def _points(scene: Scene, server: WriterServer, every: bool) -> list[tuple[str, int]]:
    """The system calls to disturb: all of them, or some of every kind."""
    outcome = _undisturbed(scene, server)
    assert len(outcome.points()) >= 30
    return outcome.chosen(every, 3)


@pytest.mark.parametrize("store", ["pickle", "compact", "pooled"], indirect=True, scope="module")
def test_a_writer_killed_at_any_system_call_loses_nothing_it_acknowledged(
    scene: Scene, server: WriterServer, record_property: RecordProperty, every: bool
) -> None:
    points = _points(scene, server, every)
    complaints = []
    for name, count in points:
        scene.restore()
        outcome = server.run(scene.results, NEW, inject=f"{name}:signal=KILL:when={count}")
        found = scene.complaints(outcome) + scene.complaints_after_resume()
        if outcome.code != -9:
            found.append(f"it was not killed but ended with {outcome.code}")
        complaints += [f"killed at {name} {count}: {complaint}" for complaint in found]
    record_property("points", len(points))
    assert complaints == []


@pytest.mark.parametrize("other", ["pickle", "compact", "pooled"])
def test_a_conversion_killed_at_any_system_call_leaves_its_source_and_a_whole_file_or_none(
    other: str, store: Store, server: WriterServer, tmp_path: Path, record_property: RecordProperty
) -> None:
    """Repeated afterwards it makes the same file, from the store of this test to another."""
    metadata = contract_metadata("gpt2", "joy", n_layers=3, d_model=6, n_samples=3)
    unit = sample_unit(metadata=metadata)
    source, folder = tmp_path / f"activations_joy{store.suffix}", tmp_path / "out"
    out = folder / unit_file_name("joy", find_store(other).suffix)
    store.write(source, shard=unit, **unit.parts())
    before = source.read_bytes()

    def converted(inject: str | None = None) -> tuple[Ended, bytes | None]:
        folder.mkdir(exist_ok=True)
        ended = server.fork("convert", str(source), str(out), inject=inject)
        return ended, out.read_bytes() if out.exists() else None

    whole, expected = converted()
    assert expected is not None
    shutil.rmtree(folder)
    for name, count in whole.points():
        ended, found = converted(f"{name}:signal=KILL:when={count}")
        assert (ended.code, source.read_bytes()) == (-9, before), (name, count)
        assert found in (None, expected), (name, count)
        assert found == expected or converted()[1] == expected
        shutil.rmtree(folder)
    assert len(whole.points()) >= 4
    record_property("points", len(whole.points()))


def test_a_disk_that_fails_at_any_system_call_is_told_and_leaves_the_old_files(
    scene: Scene, server: WriterServer, record_property: RecordProperty, every: bool
) -> None:
    points = _points(scene, server, every)
    complaints, tried = [], 0
    for turn, (name, count) in enumerate(points):
        codes = ERRORS[name]
        for code in codes if every else [codes[turn % len(codes)]]:
            scene.restore()
            outcome = server.run(scene.results, NEW, inject=f"{name}:error={code}:when={count}")
            found = scene.complaints(outcome) + _complaints_about_telling(
                scene, outcome, name, code
            )
            # A disk that does not let go of a file keeps it, until the next writer comes.
            if name not in ("unlink", "unlinkat"):
                found += [f"{name} is left over" for name in _leftovers(scene.results)]
            found += scene.complaints_after_resume()
            complaints += [f"{code} at {name} {count}: {complaint}" for complaint in found]
            tried += 1
    record_property("points", tried)
    assert complaints == []


def _complaints_about_telling(scene: Scene, outcome: Outcome, name: str, code: str) -> list[str]:
    if outcome.code == 0 and name in ("unlink", "unlinkat", "rmdir"):
        return []  # scratch files that stay are no failure of the run
    began = outcome.acknowledged or "activations" in outcome.trace
    if outcome.code not in ((1,) if began else (1, 2)):
        return [f"exit code {outcome.code}"]
    error = outcome.error or ""
    # The name of a new results folder is on the disk when the folder above it is.
    above = error.startswith(f"{scene.results.parent} could not be written")
    if code not in error or not ("results" in error or above) or error.count("\n") != 1:
        return [f"the message is {error!r}"]
    if code in ("ENOSPC", "EDQUOT") and "bytes are free" not in error:
        return [f"no free bytes in {error!r}"]
    return []


def test_the_order_of_system_calls_survives_a_power_cut(scene: Scene, server: WriterServer) -> None:
    """What a kill cannot show: nothing is named before it is on the disk, or acknowledged before.

    A file's bytes are synced before its rename, its folder after, and only then does the next file
    begin, the manifest's own included.
    """
    steps: list[tuple[str, str]] = []
    folders: dict[str, str] = {}
    owners: dict[str, str] = {}
    for line in _undisturbed(scene, server).trace.splitlines():
        if match := re.match(r'openat\((\d+), "(\.emoact-\w+\.tmp)".*= (\d+)$', line):
            folder, temporary, file = match.groups()
            folders[temporary], owners[file] = folder, temporary
            steps.append((temporary, "create"))
        elif match := re.match(r"p?(write|fsync)(?:v2?)?\((\d+)", line):
            if match[2] in owners:
                step = (owners[match[2]], f"{match[1]} file")
                steps += [] if steps[-1] == step and match[1] == "write" else [step]
            elif steps and steps[-1][1].startswith("rename"):
                assert match[2] == folders[steps[-1][0]]
                steps.append((steps[-1][0], f"{match[1]} folder"))
        elif match := re.match(r'renameat\((\d+), "([^"]+)", (\d+), "([^"]+)"\)', line):
            assert match[1] == match[3] == folders[match[2]]
            steps.append((match[2], f"rename to {match[4]}"))
            owners = {file: name for file, name in owners.items() if name != match[2]}
        elif match := re.match(r'unlinkat\(\d+, "([^"]+)"', line):
            # The probe of check_writable, or activations before another store packs them.
            owners = {file: name for file, name in owners.items() if name != match[1]}
            steps = [step for step in steps if step[0] != match[1]]
    assert [step for _, step in steps] == [
        step
        for emotion in EMOTIONS
        for name in (unit_file_name(emotion, the_store().suffix), "manifest.json")
        for step in ("create", "write file", "fsync file", f"rename to {name}", "fsync folder")
    ]


@pytest.mark.parametrize("runs", [2, 4, 8])
def test_runs_into_one_folder_at_once_leave_what_one_leaves(runs: int, tmp_path: Path) -> None:
    """Every unit is computed by one of them, and its record describes the file that is there."""
    results = tmp_path / "results"
    write_units(results, OLD)
    command = [sys.executable, "-B", "-m", "tests.support.fault_writer", str(results), str(NEW)]
    processes = [
        subprocess.Popen(
            [*command, f"run{number}"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        )
        for number in range(runs)
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * runs, outputs
    root = ResultsRoot(results)
    acknowledged = [json.loads(line)["acknowledged"] for line in "".join(outputs).splitlines()]
    assert sorted(acknowledged) == [[emotion, _hash(results, emotion)] for emotion in EMOTIONS]
    for emotion in EMOTIONS:
        key = unit_key_of(emotion, NEW)
        assert manifest.unit_state(root, FOLDER, emotion, key=key) == "saved"
    assert _leftovers(results) == []


@pytest.mark.parametrize("limit", [0, 1, 500, 1000, 1500])
def test_a_file_size_limit_is_told_and_leaves_the_old_files(
    limit: int, tmp_path: Path, hashes: dict[int, dict[str, str]]
) -> None:
    write_units(tmp_path / "results", OLD)
    ended = subprocess.run(
        [sys.executable, "-B", "-m", "tests.support.fault_writer", str(tmp_path / "results"), "1"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert ended.returncode == 1, ended.stderr
    assert "the file is larger than the system allows" in ended.stdout
    assert "bytes are needed and" in ended.stdout
    assert "ulimit -f" in ended.stdout
    assert ended.stderr == ""
    for emotion in EMOTIONS:
        assert _hash(tmp_path / "results", emotion) == hashes[OLD][emotion]
    assert _leftovers(tmp_path / "results") == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    with mounted(tmp_path / "disk", "size=2m") as disk:
        yield disk


WIDTH = 2048  # 160 kB of activations a unit


def test_a_disk_that_fills_up_is_told_and_leaves_the_old_files(
    small_disk: Path, record_property: RecordProperty, every: bool, store: Store
) -> None:
    """With every amount of free space from nothing to enough, page by page where it matters."""
    results = small_disk / "results"
    told = set()
    tries = 0
    for pages in [*range(0, 60, 1 if every else 7), *range(60, 130, 1 if every else 3)]:
        shutil.rmtree(results, ignore_errors=True)
        write_units(results, OLD, d_model=WIDTH)
        before = [_hash(results, emotion) for emotion in EMOTIONS]
        ballast = fill(small_disk, but=pages * 4096)
        error = _error_of(results)
        ballast.unlink()
        if error is not None:
            assert "the disk is full" in error
            assert "bytes are free" in error
            told.add(Path(error.split(": ")[0]).name)
            first, second = (_hash(results, emotion) for emotion in EMOTIONS)
            assert second == before[1]
            if EMOTIONS[0] in error:
                assert first == before[0]
            assert _leftovers(results) == []
        write_units(results, NEW, d_model=WIDTH)
        assert all(
            manifest.unit_state(
                ResultsRoot(results), FOLDER, emotion, key=unit_key_of(emotion, NEW)
            )
            == "saved"
            for emotion in EMOTIONS
        )
        tries += 1
    record_property("points", tries)
    assert unit_file_name("anger", store.suffix) in told


def _error_of(results: Path) -> str | None:
    try:
        write_units(results, NEW, d_model=WIDTH)
    except EmoactError as error:
        return error.message
    return None


def test_a_read_only_disk_is_a_wrong_request_that_shows_before_the_work(small_disk: Path) -> None:
    root = ResultsRoot(small_disk / "results")
    write_units(root.path, OLD)
    make_read_only(small_disk)
    with pytest.raises(RequestError, match="cannot be written: Read-only file system") as refusal:
        root.check_writable()
    assert refusal.value.exit_code == 2
    assert "--results" in (refusal.value.remedy or "")
    # Reading goes on: pages and checks work on a read-only disk.
    assert len(manifest.load(root)) == 2
    key = unit_key_of("joy", OLD)
    assert manifest.unit_state(root, FOLDER, "joy", key=key) == "saved"


def test_every_error_that_is_tried_exists_here() -> None:
    assert all(hasattr(errno, code) for codes in ERRORS.values() for code in codes)
