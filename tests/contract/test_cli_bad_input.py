"""Bad input: one message with what, where, allowed and next step; exit code 2; nothing written."""

import json
from pathlib import Path

import pytest

from tests.support.disks import fill, mounted
from tests.support.stand_in_world import World
from tests.support.typed import Typed

MODEL, DATASET, RESULTS = "{model}", "{dataset}", "{results}"
GOOD = ["extract", "--model", MODEL, "--dataset", DATASET, "--results", RESULTS]

BAD: dict[str, tuple[list[str], list[str]]] = {
    "no command": ([], ["COMMAND"]),
    "unknown command": (["exract"], ["'exract' is unknown", "Did you mean extract?"]),
    "unknown action": (["runs", "lst"], ["'lst' is unknown", "Did you mean list?"]),
    "unknown option": ([*GOOD, "--overwite"], ["'--overwite' is unknown", "--overwrite?"]),
    "unknown option with a value": ([*GOOD, "--dtyp=x"], ["'--dtyp' is unknown", "--dtype?"]),
    "an option without its value": (["extract", "--model"], ["--model", "expected one argument"]),
    "no model": (GOOD[:1] + GOOD[3:], ["no model chosen", "smollm2-135m", "--model"]),
    "unknown model": (
        ["extract", "--model", "gpt22", *GOOD[3:]],
        ["gpt22", "Did you mean gpt2?", "emoact models list"],
    ),
    "model folder that is not there": (
        ["extract", "--model", "./nowhere/model", *GOOD[3:]],
        ["nowhere/model does not exist", "config.json"],
    ),
    "unknown emotion": (
        [*GOOD, "--emotion", "angr"],
        ["emotion 'angr'", "it has anger, neutral", "Did you mean anger?"],
    ),
    "emotion that leaves its folder": (
        [*GOOD, "--emotion", "../anger"],
        ["'../anger' cannot name a file", "letters, digits"],
    ),
    "unknown site": ([*GOOD, "--site", "mlp"], ["'mlp' is unknown", "resid_pre", "mlp_out?"]),
    "unknown bos": ([*GOOD, "--bos", "maybe"], ["--bos", "prepend, none"]),
    "unknown dtype": ([*GOOD, "--dtype", "float33"], ["float32, bfloat16", "mean float32?"]),
    "unknown device": ([*GOOD, "--device", "tpu"], ["auto, cpu, cuda, mps"]),
    "unknown processing": ([*GOOD, "--processing", "cooked"], ["raw, tl_compat"]),
    "hostile run id": ([*GOOD, "--run-id", "../../x"], ["run id", "is not allowed"]),
    "missing data set": (
        ["extract", "--model", MODEL, "--dataset", "no.jsonl", "--results", RESULTS],
        ["no.jsonl", "there is no such file"],
    ),
    "results below a file": (
        ["extract", "--model", MODEL, "--dataset", DATASET, "--results", "{dataset}/x"],
        ["prompts.jsonl"],
    ),
    "run that is not there": (
        ["runs", "show", "nope", "--results", RESULTS],
        ["there is no run 'nope'", "emoact runs list"],
    ),
    "cancel of nothing": (["runs", "cancel", "nope", "--results", RESULTS], ["there is no run"]),
    "resume of nothing": (["runs", "resume", "nope", "--results", RESULTS], ["there is no run"]),
    "logs of nothing": (["runs", "logs", "nope", "--results", RESULTS], ["there is no run"]),
    "delete of nothing": (["runs", "delete", "nope", "--results", RESULTS], ["there is no run"]),
    "delete in the folder before the action": (
        ["runs", "--results", RESULTS, "delete", "nope"],
        ["there is no run 'nope' in", "/results/runs"],
    ),
    "a seed beyond all seeds": (["audit", "--seed", "1" + "0" * 19], ["is no seed"]),
    "more draws than fit": (["analyze", "--permutations", "2000000000"], ["up to 100,000"]),
    "hostile run": (["runs", "show", "../..", "--results", RESULTS], ["run id", "not allowed"]),
    "runs without an id": (["runs", "show"], ["ID"]),
    "file that is not there": (["inspect", "no.pkl"], ["there is no file no.pkl"]),
    "norms of nothing": (["norms", "--results", RESULTS], ["there are no activations"]),
    "unknown norm": (["norms", "--norm", "l3"], ["l2, l1, rms"]),
    "unknown table of norms": (["norms", "--by", "mood"], ["layer, position"]),
    # The cache of this world is empty, so the embedded model is not installed in it.
    "path of a model that is not installed": (
        ["models", "path", "smollm2-135m"],
        ["emoact models install smollm2-135m"],
    ),
    "audit with a model that is not installed": (
        ["audit", "--dataset", DATASET, "--model", "smollm2-135m"],
        ["emoact models install smollm2-135m"],
    ),
}


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(world.path / "hub"))
    monkeypatch.chdir(world.path)


def filled(words: list[str], world: World, model: Path) -> list[str]:
    values = {"model": model, "dataset": world.dataset, "results": world.results}
    return [word.format(**values) for word in words]


def everything_below(path: Path) -> set[str]:
    # The cache keeps hashes of model files, outside the results.
    return {str(each) for each in path.rglob("*") if "cache" not in each.parts}


@pytest.mark.parametrize("case", BAD)
def test_bad_words_are_refused_and_leave_nothing(world: World, typed: Typed, case: str) -> None:
    words, expected = BAD[case]
    asked = filled(words, world, world.model())
    before = everything_below(world.path)
    out, err = typed(*asked, code=2)
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("error:") == 1
    assert "Traceback" not in err
    for part in expected:
        assert part in err
    if words:
        out, same = typed(*asked, "--json", code=2)
        assert same == err
        document = json.loads(out)
        assert document["ok"] is False
        assert document["error"]["message"] in err
    assert everything_below(world.path) == before


def test_a_malformed_data_set_is_refused_before_anything_starts(world: World, typed: Typed) -> None:
    model = world.model("m")
    world.dataset.write_bytes(b'{"text": "hello"}\n')
    before = everything_below(world.path)
    assert "prompts.jsonl" in typed(*filled(GOOD, world, model), code=2).err
    assert everything_below(world.path) == before


def test_a_file_of_another_configuration_is_in_the_way(world: World, typed: Typed) -> None:
    words = filled(GOOD, world, world.model())
    typed(*words)
    files = {path: path.read_bytes() for path in world.results.rglob("*.pkl")}
    runs = sorted(path.name for path in (world.results / "runs").iterdir())
    err = typed(*words, "--bos", "none", code=2).err
    assert 'bos: saved "prepend", asked "none"' in err
    assert "--overwrite" in err
    assert {path: path.read_bytes() for path in world.results.rglob("*.pkl")} == files
    assert sorted(path.name for path in (world.results / "runs").iterdir()) == runs
    typed(*words, "--bos", "none", "--overwrite")


@pytest.mark.parametrize("kind", ["read-only", "full"])
def test_a_disk_that_takes_nothing_is_refused(world: World, typed: Typed, kind: str) -> None:
    options = "size=64k,nr_inodes=20" + (",ro" if kind == "read-only" else "")
    with mounted(world.path / "disk", options) as disk:
        if kind == "full":
            fill(disk)
        model = world.model()
        words = ["extract", "--model", str(model), "--dataset", str(world.dataset)]
        err = typed(*words, "--results", disk / "results", code=2).err
        assert str(disk) in err
        assert ("Read-only" in err) if kind == "read-only" else ("the disk is full" in err)
        assert not list(disk.glob("results/runs/[!.]*"))
