"""What is refused before anything starts, and what an accepted request becomes."""

import dataclasses
import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from emoact.cli.entry import build_parser
from emoact.cli.extract_command import request_of
from emoact.errors import RequestError
from emoact.jobs import request as request_module
from emoact.jobs.config import DatasetRef, config_from_json, new_run_id
from emoact.jobs.request import AgreementError, prepare, shell_command
from emoact.models.source import ModelSource
from emoact.schema import ChatFormat, ExtractionOptions, Generation
from tests.support.numpy_engine import stand_in_model
from tests.support.run_files import ESTIMATE, a_config, a_model
from tests.support.stand_in_world import World


def everything_below(path: Path) -> set[str]:
    return {str(each.relative_to(path)) for each in path.rglob("*")}


def test_a_good_request_becomes_a_config_and_writes_nothing(world: World) -> None:
    world.write_dataset(n_samples=3)
    model = world.model()
    before = everything_below(world.path)
    config = prepare(world.request(model, run_id="mine"))
    assert everything_below(world.path) == before
    assert config.run_id == "mine"
    assert config.emotions == ("anger", "neutral")
    assert config.counts == {"anger": 3, "neutral": 3}
    assert config.n_samples == 6
    assert config.models[0].asked == str(model)
    assert config.models[0].folder.startswith("local~tiny~")
    assert config.results == str(world.results)
    assert config.dataset.path == str(world.dataset)
    assert config.estimate is not None
    assert config.estimate.n_tokens > 0


def test_paths_hold_from_any_folder(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.model()
    monkeypatch.chdir(world.path)
    config = prepare(
        world.request(Path("./models/tiny"), dataset="prompts.jsonl", results="results")
    )
    assert config.models[0].asked == str(world.path / "models" / "tiny")
    assert config.results == str(world.results)
    assert config.dataset.path == str(world.dataset)
    assert config.dataset.source == "prompts.jsonl"


@pytest.mark.parametrize(
    "options",
    [
        {"bos": "none", "truncate": True, "sites": ("mlp_out", "attn_out"), "device": "cpu"},
        {
            "chat": ChatFormat(system="-v", assistant="It's"),
            "generation": Generation(max_tokens=7, temperature=0.8, seed=3),
            "allow_nonadditive_mlp": True,
            "dtype": "bfloat16",
            "processing": "tl_compat",
            "precision": "rel1e-3",
        },
    ],
)
def test_the_command_asks_for_the_same_again(world: World, options: dict[str, Any]) -> None:
    asked = world.request(
        world.model("a b"),
        dataset=str(world.dataset),
        results=str(world.results),
        emotions=("anger",),
        options=ExtractionOptions(**options),
        store="compact",
        overwrite=True,
    )
    words = shlex.split(shell_command(asked))
    assert words[:4] == ["python", "-m", "emoact", "extract"]
    assert {"--bos", "--processing", "--dtype", "--site"} <= set(words)
    assert request_of(build_parser().parse_args(words[3:]), shard=None) == asked


def test_emotions_keep_the_order_asked_for_and_count_once(world: World) -> None:
    config = prepare(world.request(world.model(), emotions=("neutral", "anger", "neutral")))
    assert config.emotions == ("neutral", "anger")


def test_one_model_in_two_spellings_counts_once(world: World) -> None:
    model = world.model()
    twice = dataclasses.replace(world.request(model), models=(str(model), f"{model}/"))
    assert len(prepare(twice).models) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"emotions": ()}, "no emotion chosen"),
        ({"results": "a\0b"}, "results folder"),
        ({"results": __file__}, "Not a directory"),
    ],
)
def test_a_wrong_request_is_refused(world: World, changes: dict[str, Any], message: str) -> None:
    model = world.model()
    fields = {"models": (str(model),), "dataset": world.dataset, "results": world.results}
    before = everything_below(world.path)
    with pytest.raises(RequestError, match=message):
        prepare(request_module.ExtractRequest(**{**fields, **changes}))
    assert everything_below(world.path) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a folder immutable")
def test_results_that_cannot_be_written_are_refused(world: World) -> None:
    with pytest.raises(RequestError, match="/proc"):
        prepare(world.request(world.model(), results="/proc/emoact/results"))


def test_a_unit_that_is_there_already_costs_nothing(world: World) -> None:
    model = world.model()
    first = world.config(model, emotions=("anger",))
    world.wait(world.start(first).run_id)
    config = world.config(model)
    assert config.estimate is not None
    assert config.estimate.models[0].n_samples == config.counts["neutral"]


def test_a_file_that_is_not_recorded_is_in_the_way(world: World) -> None:
    model = world.model()
    config = world.config(model)
    folder = world.results / "activations" / config.models[0].folder
    folder.mkdir(parents=True)
    (folder / "activations_anger.pkl").write_bytes(b"mine")
    with pytest.raises(RequestError, match="no run of emoact is known"):
        world.config(model)
    assert world.config(model, overwrite=True).overwrite
    assert world.config(model, emotions=("neutral",)).emotions == ("neutral",)


def test_a_damaged_manifest_is_refused_before_the_start(world: World) -> None:
    model = world.model()
    world.results.mkdir()
    (world.results / "manifest.json").write_text("{")
    with pytest.raises(RequestError, match=r"manifest\.json is damaged"):
        world.config(model)


def to_download(n_bytes: int | None) -> ModelSource:
    return ModelSource(
        name="big",
        model_name="some/big",
        kind="hub",
        folder="some~big@main",
        revision="main",
        commit=None,
        weight_source="Hugging Face hub",
        needs="download",
        download_bytes=n_bytes,
    )


@pytest.mark.parametrize(
    ("n_bytes", "asks"), [(200_000_001, True), (None, True), (200_000_000, False)]
)
def test_a_large_download_is_asked_about_first(
    world: World, monkeypatch: pytest.MonkeyPatch, n_bytes: int | None, asks: bool
) -> None:
    monkeypatch.setattr(request_module, "resolve_model", lambda *_, **__: to_download(n_bytes))
    asked = world.request(Path("some/big"))
    if asks:
        with pytest.raises(AgreementError) as caught:
            prepare(asked)
        assert caught.value.exit_code == 2
        assert "--yes" in (caught.value.remedy or "")
    else:
        assert prepare(asked).models[0].needs == "download"
    agreed = world.request(Path("some/big"), assume_yes=True)
    assert prepare(agreed).models[0].download_bytes == n_bytes


def test_run_ids_made_at_once_differ() -> None:
    assert len({new_run_id() for _ in range(50)}) > 40


def test_a_data_set_of_other_labels_is_taken_as_it_is(world: World, tmp_path: Path) -> None:
    rows = [{"text": "x y", "emotion": "Überraschung"}, {"text": "z", "emotion": "a-1"}]
    world.dataset.write_text("\n".join(json.dumps(row) for row in rows))
    model = stand_in_model(tmp_path / "other")
    assert prepare(world.request(model)).emotions == ("Überraschung", "a-1")


def test_a_config_survives_its_file(tmp_path: Path) -> None:
    config = a_config(tmp_path, estimate=ESTIMATE, overwrite=True)
    again = config_from_json(json.loads(json.dumps(config.to_json())))
    assert again == config
    assert again.to_json() == config.to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"run_id": "other"},
        {"command": "another"},
        {"created_at": "1999-01-01T00:00:00+00:00"},
        {"emotions": ("neutral", "anger")},
        {"models": (a_model("b"), a_model("a"))},
        {"estimate": ESTIMATE},
        {"options": ExtractionOptions(sites=("mlp_out", "resid_pre"))},
    ],
)
def test_the_fingerprint_ignores_the_rest(tmp_path: Path, change: dict[str, Any]) -> None:
    config = a_config(tmp_path, models=(a_model("a"), a_model("b")))
    assert dataclasses.replace(config, **change).fingerprint() == config.fingerprint()


@pytest.mark.parametrize(
    "change",
    [
        {"emotions": ("anger",)},
        {"models": (a_model("other"),)},
        {"models": (a_model(commit="d" * 40),)},
        {"options": ExtractionOptions(bos="none")},
        {"options": ExtractionOptions(sites=("resid_pre",))},
        {"dataset": DatasetRef(source="p.jsonl", path="/nowhere/p.jsonl", sha256="1" * 64)},
        {"results": "/elsewhere"},
        {"overwrite": True},
    ],
)
def test_the_fingerprint_follows_the_files(tmp_path: Path, change: dict[str, Any]) -> None:
    config = a_config(tmp_path)
    assert dataclasses.replace(config, **change).fingerprint() != config.fingerprint()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "written by a newer emoact"),
        ({"schema_version": None}, "no run that this emoact knows"),
        ({"kind": "party"}, "no run that this emoact knows"),
        ({"models": []}, "at least one model"),
        ({"emotions": ["anger", "anger"]}, "no emotion twice"),
        ({"counts": {"anger": 1}}, "the number of prompts of 'neutral' is missing"),
        ({"options": {"bos": "maybe"}}, "options.bos is 'maybe'"),
        ({"unheard_of": 1}, "unheard_of: this field is unknown"),
        ({"run_id": 3}, "run_id is int 3"),
    ],
)
def test_a_foreign_config_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        config_from_json({**a_config(tmp_path).to_json(), **change})


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_a_config_that_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(RequestError, match="expected a JSON object"):
        config_from_json(value)


@pytest.mark.parametrize("counts", [{"anger": 2**62}, {"anger": 10**30}, {"anger": -1}])
def test_counts_beyond_any_run_are_refused(tmp_path: Path, counts: dict[str, int]) -> None:
    with pytest.raises(RequestError, match="counts ask for"):
        a_config(tmp_path, counts={"neutral": 2, **counts})
    models = tuple(a_model(f"m{number}") for number in range(1000))
    with pytest.raises(RequestError, match=r"counts ask for 101,000 files"):
        a_config(tmp_path, models=models, counts={"anger": 500_000, "neutral": 2})
    assert len(a_config(tmp_path, counts={"anger": 50_000_000, "neutral": 2}).units) == 10_001
