"""Promises of every command (help, a working example, light start), and the smaller commands."""

import argparse
import json
import math
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from emoact.cli.entry import build_parser
from emoact.cli.following import Printer
from emoact.cli.parsing import Parser
from tests.support.loaded import loaded
from tests.support.planted import plant_unit
from tests.support.run_files import SAVED, a_config, an_event, in_state, make_run
from tests.support.stand_in_world import World
from tests.support.typed import Typed


def commands(parser: Parser, name: str = "") -> Iterator[tuple[str, Parser]]:
    yield name, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, child in action.choices.items():
                yield from commands(child, f"{name} {word}".strip())


COMMANDS = dict(commands(build_parser()))


def examples(parser: Parser) -> list[list[str]]:
    _, _, shown = (parser.epilog or "").partition("example:\n")
    return [shlex.split(line.strip()) for line in shown.splitlines() if line.strip()]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example_that_parses(name: str, typed: Typed) -> None:
    parser = COMMANDS[name]
    out = typed(*name.split(), "--help").out
    assert parser.description
    assert parser.description.split()[0] in out
    assert examples(parser)
    for program, *words in examples(parser):
        assert program == "emoact"
        assert " ".join(words).startswith(name)
        assert callable(build_parser().parse_words(words).run)
    silent = [
        action.dest
        for action in parser._actions
        if not action.help and not isinstance(action, argparse._SubParsersAction)
    ]
    assert silent == []
    assert not name or "--json" in parser.option_names()


def test_the_version_is_printed(typed: Typed) -> None:
    assert typed("--version").out.startswith("emoact ")


def test_ctrl_c_during_the_first_imports_prints_no_traceback() -> None:
    code = """if True:
        import sys

        class Stop:
            def find_spec(self, name, *_):
                if name == "emoact.cli.view_command":
                    raise KeyboardInterrupt

        sys.meta_path.insert(0, Stop())
        from emoact.cli import main
        sys.exit(main(["norms"]))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (130, "")


def test_help_loads_nothing_but_the_standard_library() -> None:
    heavy = {"torch", "numpy", "pandas", "streamlit", "transformers", "huggingface_hub", "gguf"}
    assert not loaded("from emoact.cli import main; main(['--help'])") & heavy


@pytest.mark.parametrize(
    "words",
    [["models", "list"], ["runs", "list"], ["norms"], ["extract", "--model", "nowhere/model"]],
    ids=" ".join,
)
def test_no_command_but_the_worker_loads_torch(
    world: World, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("EMOACT_RESULTS", str(world.results))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    heavy = {"torch", "transformers", "transformer_lens", "streamlit", "sklearn", "scipy"}
    assert not loaded(f"from emoact.cli import main; main({words!r})") & heavy


def test_a_reader_that_has_enough_is_no_error(world: World) -> None:
    world.results.mkdir()
    for number in range(40):
        make_run(world.results, f"run-{number}")
    command = [sys.executable, "-m", "emoact", "runs", "list", "--json"]
    command += ["--results", str(world.results)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
    assert b"Traceback" not in err
    assert b"BrokenPipe" not in err


def test_models_are_listed_with_what_others_rely_on(typed: Typed) -> None:
    models = typed("models", "list", "--json").json["models"]
    assert [(model["name"], model["hub_id"]) for model in models] == [
        ("smollm2-135m", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("gemma-3-270m", "google/gemma-3-270m"),
        ("gpt2", "gpt2"),
        ("pythia-160m", "EleutherAI/pythia-160m"),
        ("gpt-neo-125m", "EleutherAI/gpt-neo-125M"),
    ]
    assert {type(model["installed"]) for model in models} == {bool}
    assert "smollm2-135m" in typed("models").out


def test_the_path_of_a_model_is_alone_on_the_last_line(world: World, typed: Typed) -> None:
    model = world.model()
    assert typed("models", "path", model).out.splitlines()[-1] == str(model)


def test_inspect_says_what_is_in_a_file(tmp_path: Path, typed: Typed) -> None:
    path = plant_unit(tmp_path)
    out = typed("inspect", path).out
    assert "emotion: anger" in out
    assert "the contract holds" in out
    document = typed("inspect", path, "--json").json
    assert (document["ok"], document["n_samples"], document["n_layers"]) == (True, 5, 4)


def test_inspect_refuses_what_would_run_and_does_not_run_it(world: World, typed: Typed) -> None:
    canary = world.path / "ran"
    evil = world.path / "evil.pkl"
    evil.write_bytes(f"cposix\nsystem\n(S'touch {canary}'\ntR.".encode())
    assert "refused at byte" in typed("inspect", evil, code=1).out
    assert typed("inspect", evil, "--json", code=1).json["refused"]["reason"]
    assert not canary.exists()


def test_norms_name_the_files_that_they_left_out(tmp_path: Path, typed: Typed) -> None:
    plant_unit(tmp_path, emotion="neutral")
    path = plant_unit(tmp_path)
    path.write_bytes(b"not a pickle")
    said = typed("norms", "--results", tmp_path, "--json", code=1)
    assert f"left out: {path}" in said.err
    assert {row["emotion"] for row in said.json["rows"]} == {"neutral"}


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    from emoact.cli.output import print_json

    print_json({"a": math.nan, "b": [math.inf, 1.0]})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.0]}


def printed(world: World, *, moving: bool) -> str:
    """Output of the printer for a run that loads, works and ends."""
    config = a_config(world.results)
    directory = make_run(world.results)
    story = [
        [an_event("turn"), an_event("step", 0.1, step="load", model="tiny", detail="weights")],
        [an_event("unit_started", 1.0, model="tiny", emotion="anger")],
        [
            an_event(
                "unit_progress", 2.0, model="tiny", emotion="anger", samples_done=2, tokens_done=20
            )
        ],
        [an_event("unit_saved", 3.0, **SAVED), an_event("note", 3.0, text="a remark")],
    ]
    from emoact.jobs.directory import Status, write_status
    from tests.support.run_files import hold

    shown: list[str] = []
    printer = Printer(shown.append, moving=moving)
    lock = hold(directory)
    snapshot = in_state(config, "pending")
    for events in story:
        snapshot = snapshot.after_all(events)
        write_status(directory.status_path, Status.now(snapshot, None), durable=False)
        printer.show(world.view("r1"))
        printer.show(world.view("r1"))
    lock.close()
    printer.show(world.view("r1"))
    return "".join(shown)


def test_a_piped_terminal_gets_each_line_once_and_no_control_characters(world: World) -> None:
    assert printed(world, moving=False).splitlines() == [
        "tiny: loading (weights)",
        "note: a remark",
        "tiny anger: 4 prompts, 40 tokens in 2.0 s (2.00 prompts/s, 20.0 tokens/s), "
        "/r/a.pkl (100 B)",
        "run r1 crashed: 1 of 2 files, 3.0 s",
    ]


def test_a_moving_bar_shows_share_unit_and_rate(world: World) -> None:
    shown = printed(world, moving=True)
    assert "[########................]  33%  tiny anger 2 of 4  2.00 prompts/s" in shown
    assert Path("/r/a.pkl").name in shown


def test_the_shipped_prompts_pass(typed: Typed) -> None:
    out, err = typed("audit", "--dataset", "data/prompts.jsonl", "--json")
    document = json.loads(out)
    assert document["ok"] is True
    assert {finding["severity"] for finding in document["findings"]} <= {"note"}
    assert "checking" in err


def test_a_confounded_data_set_is_exit_code_1(world: World, typed: Typed) -> None:
    rows = [{"text": f"Thank you so very much for number {n}!", "emotion": "a"} for n in range(20)]
    rows += [{"text": f"No {n}.", "emotion": "b"} for n in range(20)]
    world.dataset.write_text("\n".join(json.dumps(row) for row in rows))
    document = typed("audit", "--dataset", world.dataset, "--json", code=1).json
    assert document["ok"] is False
    assert document["findings"]
    assert "WARNING" in typed("audit", "--dataset", world.dataset, code=1).out
