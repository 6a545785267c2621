"""Results on an S3-compatible server: written, killed, resumed, verified and read from there."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import ANY, Mock
from urllib.request import Request, urlopen

import pytest

from emoact.analysis.saved import SavedAnalysis
from emoact.causes.saved import save_once, saved_causes, verify_causes
from emoact.jobs.directory import RunDirectory
from emoact.jobs.reporter import RunReporter
from emoact.store.layout import ResultsRoot, results_folder, results_folders
from tests.support.numpy_engine import behave
from tests.support.pages import ROOT, boxes, open_page
from tests.support.planted_causes import plant_steering
from tests.support.stand_in_world import World, saved_arrays, wait_for, words
from tests.support.typed import Typed

s3fs = pytest.importorskip("s3fs")
pytest.importorskip("moto")

URL = "s3://shelf/results"
EMOTIONS = ("anger", "gratitude", "neutral")
ODD = (
    "records/x/y.pkl.json",
    "analysis/analysis.json",
    f"analysis/{'a' * 20}/analysis.json",
    f"analysis/{'a' * 20}/.hidden",
    "causes/steer.json",
    "causes/../a/x.json",
)
"""Objects that no emoact puts there."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Address of a server in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


@pytest.fixture
def storage(server: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing-only")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    system = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
    if system.exists("shelf"):
        system.rm("shelf", recursive=True)
    system.mkdir("shelf")
    return system


@contextmanager
def without_rights(server: str) -> Iterator[None]:
    """The server knows no user, and refuses every request."""

    def let_through(n_requests: int) -> None:
        own = {"Content-Type": "text/plain"}
        data = str(n_requests).encode()
        urlopen(Request(f"{server}/moto-api/reset-auth", data=data, headers=own)).close()

    let_through(0)
    try:
        yield
    finally:
        let_through(1_000_000_000)


def other_machine(world: World, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("EMOACT_CACHE", str(world.path / name))


def test_a_run_that_is_killed_and_resumed_leaves_the_units_of_a_local_run(
    world: World, storage: Any, monkeypatch: pytest.MonkeyPatch, typed: Typed
) -> None:
    world.write_dataset(EMOTIONS, n_samples=6)
    model = world.model()
    typed(*words(world, model, results=world.path / "one"))
    expected = saved_arrays(world.path / "one")
    behave(model, pass_s=0.6)
    typed(*words(world, model, "--run-id", "mine", "--detach", results=URL))
    local = Path(results_folder(URL))
    wait_for(lambda: storage.find("shelf/results/records"))
    directory = RunDirectory(local / "runs" / "mine")
    worker = directory.status().worker
    assert worker is not None
    os.kill(worker.pid, signal.SIGKILL)
    # The system takes a moment to end a process of this size.
    wait_for(lambda: not directory.lock_is_held())
    assert len(storage.find("shelf/results/records")) < len(EMOTIONS)
    behave(model, pass_s=0.0)
    typed("runs", "resume", "mine", "--results", URL)
    assert saved_arrays(local) == expected

    # Another machine reads, verifies and finds nothing left to compute.
    other_machine(world, monkeypatch, "second")
    typed("verify", "--samples", "0", "--results", URL)
    assert saved_arrays(results_folder(URL)) == expected
    behave(model, fail="nothing is left to compute")
    typed(*words(world, model, results=URL))
    # It analyses them, and a third machine has the analysis; what else lies there costs itself.
    typed("analyze", "--results", URL)
    other_machine(world, monkeypatch, "third")
    for name in ODD:
        storage.pipe_file(f"shelf/results/{name}", b'{"folder": ')
    listed, said = typed("analyze", "list", "--results", URL, "--json")
    (analysis,) = json.loads(listed)["analyses"]
    assert sorted(said.split(f"not brought: {URL}/")[1:]) == [ANY, ANY]
    assert "records/x/y.pkl.json: it is no record" in said
    assert ".hidden: its name leads elsewhere" in said
    SavedAnalysis.open(Path(results_folder(URL)) / "analysis" / analysis["id"]).check()

    # A result about causes goes there once it is saved, and every page shows it elsewhere.
    root = ResultsRoot(results_folder(URL))
    planted = plant_steering(root.path)
    save_once(root, planted.kind, planted.rests_on, Mock(spec=RunReporter), dict)
    other_machine(world, monkeypatch, "pages")
    monkeypatch.setenv("EMOACT_RESULTS", URL)
    monkeypatch.chdir(ROOT)
    for file in sorted((ROOT / "pages").glob("*.py")):
        open_page(file.stem)
    root = ResultsRoot(results_folder(URL))
    assert [saved.id for saved in saved_causes(root, "steer")] == [planted.id]
    assert not list(verify_causes(root))
    assert saved_arrays(root.path) == expected

    # An object that vanished is named, and put back by the machine that has it.
    other_machine(world, monkeypatch, "second")
    (gone,) = storage.glob("shelf/results/activations/*/*gratitude*")
    storage.rm(gone)
    found = typed("verify", "--samples", "0", "--results", URL, code=1).out
    assert "the object is not there any more" in found
    assert "it is no record" in found
    assert "its name leads elsewhere" in found
    other_machine(world, monkeypatch, "fourth")
    assert "not there any more" in typed("verify", "--samples", "0", "--results", URL, code=1).err
    other_machine(world, monkeypatch, "second")
    typed(*words(world, model, results=URL))
    assert storage.exists(gone)


def test_what_cannot_be_used_is_named_before_work_starts(
    world: World, server: str, storage: Any, monkeypatch: pytest.MonkeyPatch, typed: Typed
) -> None:
    model = world.model()
    for odd in ("ftp://somewhere/results", "s3://KEY:SECRET@shelf/results", "s3://shelf/./results"):
        assert "s3://BUCKET/FOLDER" in typed(*words(world, model, results=odd), code=2).err
    monkeypatch.setenv("EMOACT_RESULTS", "s3://shelf/./results")
    assert "a results folder that is none" in boxes(open_page("home"))
    assert not list(world.path.rglob("*SECRET*"))
    monkeypatch.delenv("EMOACT_RESULTS")
    said = typed(*words(world, model, results="s3://nowhere/results"), code=2)
    assert "s3://nowhere/results cannot be written" in said.err
    with without_rights(server):
        assert "PermissionError" in typed(*words(world, model, results=URL), code=2).err
    monkeypatch.setenv("EMOACT_RESULTS", os.pathsep.join(["here", URL]))
    assert results_folders() == ["here", results_folder(URL)]
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert "pip install 'emoact[s3]'" in typed(*words(world, model, results=URL), code=2).err
