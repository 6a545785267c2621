"""A run that writes compact files: recorded, resumed, checked, shown, and apart from pickles."""

import json
from pathlib import Path

import numpy as np
import pytest

import emoact
from emoact.cli import main
from emoact.jobs import launch
from emoact.report.making import make_report
from emoact.store.compact.pooled import pool_unit, poolings_of
from tests.support.pages import ROOT, choices, open_page
from tests.support.pages import words as page_words
from tests.support.stand_in_worker import WORKER
from tests.support.stand_in_world import EMOTIONS, World, saved_arrays


@pytest.fixture
def world(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(launch, "WORKER", WORKER)
    world.model()
    return world


def extract(world: World, *more: str) -> int:
    model = str(world.path / "models" / "tiny")
    paths = ["--dataset", str(world.dataset), "--results", str(world.results)]
    return main(["extract", "--model", model, *paths, *more])


def files(world: World) -> list[Path]:
    return sorted(world.results.glob("activations/*/*"))


def test_a_compact_run_holds_what_a_pickle_run_holds(world: World) -> None:
    assert extract(world) == 0
    pickles = saved_arrays(world.results)
    assert extract(world, "--store", "compact", "--overwrite") == 0
    assert [path.name for path in files(world)] == [
        f"activations_{emotion}.zarr.zip" for emotion in EMOTIONS
    ]
    assert saved_arrays(world.results) == pickles


def test_precision_is_in_provenance_in_the_key_and_in_the_configuration(world: World) -> None:
    keys = {}
    for precision in ("lossless", "rel1e-3", "rel8e-3"):
        assert extract(world, "--store", "compact", "--precision", precision, "--overwrite") == 0
        unit = emoact.read(files(world)[0])
        assert unit.provenance is not None
        assert unit.provenance["precision"] == precision
        keys[precision] = unit.provenance["unit_key"]
        assert (unit.configuration or {}).get("precision") == (
            None if precision == "lossless" else precision
        )
        manifest = json.loads((world.results / "manifest.json").read_text())
        entry = manifest["units"][files(world)[0].relative_to(world.results).as_posix()]
        assert entry["configuration"]["precision"] == precision
        assert entry["key"] == keys[precision]
    assert len(set(keys.values())) == 3


def test_a_second_run_leaves_it_alone_and_another_precision_is_in_the_way(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert extract(world, "--store", "compact") == 0
    before = [path.stat().st_mtime_ns for path in files(world)]
    assert extract(world, "--store", "compact") == 0
    assert [path.stat().st_mtime_ns for path in files(world)] == before
    capsys.readouterr()
    assert extract(world, "--store", "compact", "--precision", "rel1e-3") == 2
    assert 'precision: saved "lossless", asked "rel1e-3"' in capsys.readouterr().err


def test_a_rounded_pickle_is_a_wrong_request(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert extract(world, "--precision", "rel1e-3") == 2
    told = capsys.readouterr().err
    assert "pickle keeps every bit" in told
    assert "--store compact" in told


def test_the_commands_take_it(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert extract(world, "--store", "compact", "--precision", "rel8e-3") == 0
    results = ["--results", str(world.results)]
    assert main(["inspect", str(files(world)[0]), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["emotion"], told["n_samples"]) == (True, "anger", 3)
    assert told["provenance"]["precision"] == "rel8e-3"
    assert main(["verify", "--samples", "0", *results]) == 0
    capsys.readouterr()
    assert main(["norms", *results, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {row["emotion"] for row in rows} == set(EMOTIONS)


def test_of_two_formats_of_one_unit_the_pickle_is_read_and_verify_says_so(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert extract(world) == 0
    pickle = files(world)[0]
    compact = pickle.with_name("activations_anger.zarr.zip")
    assert main(["convert", str(pickle), "--to", "compact", "--out", str(compact)]) == 0
    grid = emoact.read_all(world.results)
    assert [unit.path.name for unit in grid] == ["activations_anger.pkl", "activations_neutral.pkl"]
    assert grid.problems == ()
    capsys.readouterr()
    assert main(["verify", "--samples", "0", "--results", str(world.results), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [each["where"] for each in found if each["code"] == "several_formats"] == [str(pickle)]
    assert extract(world, "--overwrite") == 0
    assert extract(world) == 0


def test_a_run_that_keeps_pooled_vectors_is_analysed_and_its_norms_are_refused(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert extract(world) == 0
    whole = {unit.emotion: unit for unit in emoact.read_all(world.results)}
    expected = {
        (emotion, pooling): pool_unit(unit, "mlp_out", pooling)
        for emotion, unit in whole.items()
        for pooling in poolings_of(unit)
    }
    assert extract(world, "--keep", "pooled", "--store", "compact") == 2
    assert extract(world, "--keep", "pooled", "--site", "pattern", "--overwrite") == 2
    assert extract(world, "--keep", "pooled", "--overwrite") == 0
    assert [path.name for path in files(world)] == [
        f"activations_{emotion}.pooled.zarr.zip" for emotion in EMOTIONS
    ]
    for unit in emoact.read_all(world.results):
        assert unit.sites == ("resid_pre", "mlp_out")
        for pooling in poolings_of(unit):
            found = unit.pooled["mlp_out", pooling]()
            np.testing.assert_array_equal(unit.pooled["mlp_out", pooling](1), found[:, 1:2])
            assert np.array_equal(found, expected[unit.emotion, pooling], equal_nan=True)
    capsys.readouterr()
    assert main(["verify", "--results", str(world.results), "--samples", "1", "--json"]) == 0
    assert extract(world, "--keep", "pooled") == 0
    assert main(["inspect", str(files(world)[0])]) == 0
    assert "mean_content" in capsys.readouterr().out
    assert main(["norms", "--results", str(world.results)]) != 0
    assert "it keeps pooled vectors only" in capsys.readouterr().err


def test_pages_open_beside_pooled_files(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert extract(world, "--keep", "pooled") == 0
    monkeypatch.setenv("EMOACT_RESULTS", str(world.results))
    monkeypatch.chdir(ROOT)
    for name in ("home", "extract", "activations", "directions", "report"):
        page = open_page(name)
        assert not page.exception


def test_a_flipped_bit_anywhere_is_found_without_the_manifest(world: World) -> None:
    assert extract(world, "--store", "compact") == 0
    path = files(world)[0]
    whole = path.read_bytes()
    (world.results / "manifest.json").unlink()
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        assert main(["verify", "--samples", "0", "--results", str(world.results)]) == 1, place


def test_pages_and_report_show_its_units_and_their_precision(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert extract(world, "--store", "compact", "--precision", "rel1e-3") == 0
    monkeypatch.setenv("EMOACT_RESULTS", str(world.results))
    monkeypatch.chdir(ROOT)
    assert "2 files of 1 model on disk" in page_words(open_page("home"))
    page = open_page("extract")
    assert choices(page)["Format"][:2] == ["Pickle", "Compact"]
    assert "are rounded (rel1e-3)" in page_words(open_page("activations"))
    text = make_report(world.results, lang="en").path.read_text()
    assert "activations_anger.zarr.zip" in text
    assert "rel1e-3" in text
