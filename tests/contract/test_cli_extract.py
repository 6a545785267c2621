"""`emoact extract` from the words typed to files, exit code and what is printed where."""

import functools
import json
import os
import pty
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from emoact.cli import main
from emoact.jobs import progress
from tests.support.loaded import loaded
from tests.support.numpy_engine import CONTEXT
from tests.support.stand_in_cli import COMMAND
from tests.support.stand_in_world import LONGEST_WAIT_S, World, running, wait_for, words
from tests.support.typed import Typed


def only_run(world: World) -> str:
    (row,) = progress.list_runs(world.results)
    return row.id


def process(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    # A suite that runs in the background of a shell would hand down that SIGINT is ignored.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen([*COMMAND, *arguments], text=True, preexec_fn=heed, **options)


def wait_for_a_running_run(world: World) -> str:
    wait_for(lambda: progress.list_runs(world.results))
    run_id = only_run(world)
    world.wait(run_id, running)
    return run_id


def test_it_saves_every_unit_and_says_so_line_by_line(world: World, typed: Typed) -> None:
    model = world.model()
    out, err = typed(*words(world, model))
    assert out == ""
    lines = err.splitlines()
    for emotion in ("anger", "neutral"):
        path = next(world.results.glob(f"activations/*/activations_{emotion}.pkl"))
        (line,) = [line for line in lines if line.startswith(f"tiny {emotion}: ")]
        assert "3 prompts, 18 tokens" in line
        assert "prompts/s" in line
        assert str(path) in line
    assert lines[-1].startswith(f"run {only_run(world)} finished: 2 of 2 files")
    assert "\x1b" not in err
    assert "\r" not in err


def test_json_is_one_document_and_alone_on_standard_output(world: World, typed: Typed) -> None:
    document = typed(*words(world, world.model(), "--json", "--run-id", "mine")).json
    assert (document["id"], document["state"], document["error"]) == ("mine", "finished", None)
    assert document["existing"] is False
    assert [unit["emotion"] for unit in document["units"]] == ["anger", "neutral"]
    for unit in document["units"]:
        assert Path(unit["path"]).stat().st_size == unit["size"]
        assert re.fullmatch("[0-9a-f]{64}", unit["sha256"])


def test_units_on_disk_are_not_computed_again(world: World, typed: Typed) -> None:
    model = world.model()
    main(words(world, model))
    out, err = typed(*words(world, model, "--json"))
    assert [unit["state"] for unit in json.loads(out)["units"]] == ["skipped", "skipped"]
    assert "tiny anger: already on disk" in err


def test_detached_it_prints_the_run_and_leaves_it_to_work(world: World, typed: Typed) -> None:
    run_id = typed(*words(world, world.model(pass_s=0.05), "--detach")).out.strip()
    assert world.view(run_id).summary.active
    assert world.wait(run_id).state == "finished"


def test_a_detached_run_outlives_the_shell_that_started_it(world: World) -> None:
    started = process(
        *words(world, world.model(pass_s=0.1), "--detach", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    out, _ = started.communicate(timeout=LONGEST_WAIT_S)
    with pytest.raises(ProcessLookupError):
        os.killpg(started.pid, signal.SIGHUP)
    assert world.wait(json.loads(out)["id"]).state == "finished"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_cancels_its_run(world: World, number: signal.Signals) -> None:
    world.write_dataset(n_samples=500)
    command = process(
        *words(world, world.model(pass_s=0.1), "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    run_id = wait_for_a_running_run(world)
    command.send_signal(number)
    out, err = command.communicate(timeout=LONGEST_WAIT_S)
    assert command.returncode == 130
    assert world.view(run_id).state == "cancelled"
    assert json.loads(out)["state"] == "cancelled"
    assert f"emoact runs resume {run_id}" in err
    assert "Traceback" not in err


def test_a_second_start_follows_the_first_and_does_not_cancel_it(world: World) -> None:
    world.write_dataset(n_samples=60)
    model = world.model(pass_s=0.05)
    run_id = world.start(world.config(model)).run_id
    second = process(
        *words(world, model), stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    world.wait(run_id, running)
    assert second.stderr is not None
    lines = [second.stderr.readline() for _ in range(2)]
    assert lines[1] == f"run {run_id} is already doing this; following it\n"
    second.send_signal(signal.SIGINT)
    _, err = second.communicate(timeout=LONGEST_WAIT_S)
    assert second.returncode == 130
    assert f"run {run_id} continues" in err
    assert world.wait(run_id).state == "finished"


def test_a_killed_command_leaves_the_run_at_work(world: World) -> None:
    command = process(
        *words(world, world.model(pass_s=0.1)), stderr=subprocess.DEVNULL, start_new_session=True
    )
    run_id = wait_for_a_running_run(world)
    command.kill()
    command.wait()
    assert world.wait(run_id).state == "finished"


def test_a_failure_is_one_message_and_exit_code_1(world: World, typed: Typed) -> None:
    out, err = typed(*words(world, world.model(fail="the model said no"), "--json"), code=1)
    told = {"message": "the model said no", "remedy": "Try another model."}
    assert json.loads(out)["error"] == told
    assert "error: the model said no\nTry another model." in err
    error = world.view(only_run(world)).error
    assert error is not None
    assert error.log_tail[-1] == "the model said no"


def test_a_crash_is_told_with_its_remedy(world: World, typed: Typed) -> None:
    assert "Resume the run" in typed(*words(world, world.model(die=True)), code=1).err
    assert world.view(only_run(world)).state == "crashed"


def test_a_prompt_beyond_the_context_is_refused_or_cut(world: World, typed: Typed) -> None:
    world.dataset.write_text(
        json.dumps({"id": "long-one", "emotion": "anger", "text": "word " * (CONTEXT + 5)}) + "\n"
    )
    model = world.model()
    assert "prompt long-one has" in typed(*words(world, model), code=2).err
    typed(*words(world, model, "--truncate"))


def test_a_bar_is_drawn_on_a_terminal(world: World) -> None:
    ours, theirs = pty.openpty()
    command = process(
        *words(world, world.model(pass_s=0.2)), stdout=subprocess.DEVNULL, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65_536)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert command.wait(LONGEST_WAIT_S) == 0
    text = shown.decode()
    assert re.search(r"\r\x1b\[2K\[[#.]{24}\] +\d+%  tiny anger \d of 3", text)
    assert len(re.findall(r"tiny anger: 3 prompts", text)) == 1


@pytest.mark.fault
def test_a_canary_token_is_found_nowhere(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = "hf_canaryCANARYcanary0123456789"
    monkeypatch.setenv("HF_TOKEN", canary)
    command = process(
        *words(world, world.model(crash=f"the hub refused {canary}")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = command.communicate(timeout=LONGEST_WAIT_S)
    assert command.returncode == 1
    assert "the hub refused ***" in err
    assert canary not in out + err
    assert "the hub refused ***" in world.directory(only_run(world)).log_path.read_text()
    written = [path for path in world.path.rglob("*") if path.is_file()]
    assert [path.name for path in written if canary.encode() in path.read_bytes()] == [
        # Where the test itself put it.
        "stand_in.json"
    ]


def test_the_python_of_the_command_never_loads_torch(world: World) -> None:
    code = (
        "from emoact.cli import main; from emoact.jobs import launch; "
        "from tests.support.stand_in_worker import WORKER; launch.WORKER = WORKER; "
        f"assert main({words(world, world.model())!r}) == 0"
    )
    assert not loaded(code) & {"torch", "transformers", "transformer_lens", "sklearn"}
