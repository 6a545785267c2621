import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from emoact.decode import sealed, unsealed
from emoact.errors import EmoactError, RequestError
from emoact.jobs import directory as directory_module
from emoact.jobs.directory import FrozenChoices, RunDirectory, Status, write_status
from emoact.jobs.lock import WorkerProcess
from emoact.jobs.machine import this_machine
from emoact.jobs.redact import RedactedStream, redact
from emoact.jobs.snapshot import Snapshot
from tests.support.run_files import a_config, in_state


def no_room(*arguments: object, **options: object) -> None:
    raise EmoactError("the disk is full")


def test_a_full_disk_takes_the_last_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "status.json"
    config = a_config(tmp_path)
    write_status(path, Status.now(in_state(config, "running"), None), durable=False)
    inode = path.stat().st_ino
    monkeypatch.setattr(directory_module, "write_json", no_room)
    ended = Status.now(in_state(config, "failed"), None)
    real, synced = os.fsync, []

    def spy(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    write_status(path, ended, durable=True)
    assert synced == [inode]
    assert RunDirectory(tmp_path).status() == ended
    assert path.stat().st_ino == inode


def test_a_full_disk_keeps_the_old_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "status.json"
    first = Status.now(Snapshot(), None)
    write_status(path, first, durable=False)
    monkeypatch.setattr(directory_module, "write_json", no_room)
    with pytest.raises(EmoactError):
        write_status(path, Status.now(Snapshot(), None), durable=False)
    assert RunDirectory(tmp_path).status() == first


def test_a_signal_reaches_only_a_worker_that_holds_its_lock() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=-1)
    worker = WorkerProcess(pid=child.pid, machine=this_machine())
    assert not worker.send(signal.SIGKILL, is_alive=lambda: False)
    assert child.poll() is None
    elsewhere = WorkerProcess(pid=child.pid, machine="another/boot")
    assert not elsewhere.send(signal.SIGKILL, is_alive=lambda: True)
    assert child.poll() is None
    assert worker.send(signal.SIGTERM, is_alive=lambda: True)
    assert child.wait(5) == -signal.SIGTERM
    assert not worker.send(signal.SIGTERM, is_alive=lambda: True)


def test_a_worker_never_signals_itself() -> None:
    worker = WorkerProcess.current()
    assert not worker.send(signal.SIGKILL, is_alive=lambda: True)
    assert worker.pid == os.getpid()


def test_choices_are_frozen_at_the_first_start(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    first = FrozenChoices(path)
    first["gpt2"] = {"plan": "prefix_tree", "threads": 2}
    again = FrozenChoices(path)
    assert dict(again) == {"gpt2": {"plan": "prefix_tree", "threads": 2}}
    again["neo"] = {"plan": "one_at_a_time"}
    assert list(FrozenChoices(path)) == ["gpt2", "neo"]
    with pytest.raises(KeyError, match="frozen"):
        again["gpt2"] = {"plan": "sorted_batches"}
    with pytest.raises(KeyError, match="frozen"):
        del again["gpt2"]


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"schema_version": 2, "models": {}}', b'{"models": 3}', b"\xff"],
)
def test_damaged_choices_end_a_run(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    with pytest.raises(EmoactError, match="is damaged"):
        FrozenChoices(path)


def test_secrets_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("hf_stored_canary\n")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_TOKEN_PATH", raising=False)
    monkeypatch.setenv("HF_TOKEN", "hf_canary_value")
    monkeypatch.setenv("MY_API_KEY", "hf_canary")
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "true")
    text = "with hf_canary_value, hf_stored_canary and hf_canary; true"
    assert redact(text) == "with ***, *** and ***; true"
    with (tmp_path / "log").open("w") as file:
        stream = RedactedStream(file)
        stream.write(text)
        stream.flush()
        assert stream.name == file.name
    assert "canary" not in (tmp_path / "log").read_text()


def test_a_log_on_a_full_disk_does_not_end_a_run() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    stream = RedactedStream(Full())
    assert stream.write("x\n") == 2
    stream.flush()


def test_a_status_of_too_many_files_is_refused_unbuilt(tmp_path: Path) -> None:
    fields = Status.now(in_state(a_config(tmp_path), "failed"), None).to_json()
    units = fields["snapshot"]["units"]
    fields["snapshot"]["units"] = [*units[:1] * 20_000, "none"]
    with pytest.raises(RequestError, match="it has 20,001 files; 20,000 are allowed"):
        Status.from_json(sealed(unsealed(fields)[0]))
