"""A run that writes compact files: recorded, resumed, checked, shown, and apart from pickles."""

import json

import numpy as np
import pytest

import emoact
from emoact.report.making import make_report
from emoact.store.compact.pooled import pool_unit, poolings_of
from tests.support.pages import choices, open_page
from tests.support.pages import words as page_words
from tests.support.stand_in_world import EMOTIONS, World, extract, files, saved_arrays
from tests.support.typed import Typed


@pytest.fixture
def world(world: World) -> World:
    world.model()
    return world


def test_a_compact_run_holds_what_a_pickle_run_holds_and_the_commands_take_it(
    world: World, typed: Typed
) -> None:
    typed(*extract(world))
    pickles = saved_arrays(world.results)
    typed(*extract(world, "--store", "compact", "--overwrite"))
    assert [path.name for path in files(world)] == [
        f"activations_{emotion}.zarr.zip" for emotion in EMOTIONS
    ]
    assert saved_arrays(world.results) == pickles
    told = typed("inspect", files(world)[0], "--json").json
    assert (told["ok"], told["emotion"], told["n_samples"]) == (True, "anger", 3)
    typed("verify", "--samples", "0", "--results", world.results)
    rows = typed("norms", "--results", world.results, "--json").json["rows"]
    assert {row["emotion"] for row in rows} == set(EMOTIONS)


def test_precision_is_in_provenance_in_the_key_and_in_the_configuration(
    world: World, typed: Typed
) -> None:
    keys = {}
    for precision in ("lossless", "rel1e-3", "rel8e-3"):
        typed(*extract(world, "--store", "compact", "--precision", precision, "--overwrite"))
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
    told = typed("inspect", files(world)[0], "--json").json
    assert told["provenance"]["precision"] == "rel8e-3"
    typed("verify", "--samples", "0", "--results", world.results)


def test_a_second_run_leaves_it_alone_and_another_precision_is_in_the_way(
    world: World, typed: Typed
) -> None:
    said = typed(*extract(world, "--precision", "rel1e-3"), code=2).err
    assert "pickle keeps every bit" in said
    assert "--store compact" in said
    typed(*extract(world, "--store", "compact"))
    before = [path.stat().st_mtime_ns for path in files(world)]
    typed(*extract(world, "--store", "compact"))
    assert [path.stat().st_mtime_ns for path in files(world)] == before
    said = typed(*extract(world, "--store", "compact", "--precision", "rel1e-3"), code=2).err
    assert 'precision: saved "lossless", asked "rel1e-3"' in said


def test_of_two_formats_of_one_unit_the_pickle_is_read_and_verify_says_so(
    world: World, typed: Typed
) -> None:
    typed(*extract(world))
    pickle = files(world)[0]
    compact = pickle.with_name("activations_anger.zarr.zip")
    typed("convert", pickle, "--to", "compact", "--out", compact)
    grid = emoact.read_all(world.results)
    assert [unit.path.name for unit in grid] == ["activations_anger.pkl", "activations_neutral.pkl"]
    assert grid.problems == ()
    said = typed("verify", "--samples", "0", "--results", world.results, "--json").json
    several = [each for each in said["findings"] if each["code"] == "several_formats"]
    assert [each["where"] for each in several] == [str(pickle)]
    typed(*extract(world, "--overwrite"))
    typed(*extract(world))


def test_a_run_that_keeps_pooled_vectors_is_analysed_and_its_norms_are_refused(
    world: World, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(*extract(world))
    whole = {unit.emotion: unit for unit in emoact.read_all(world.results)}
    expected = {
        (emotion, pooling): pool_unit(unit, "mlp_out", pooling)
        for emotion, unit in whole.items()
        for pooling in poolings_of(unit)
    }
    typed(*extract(world, "--keep", "pooled", "--store", "compact"), code=2)
    typed(*extract(world, "--keep", "pooled", "--site", "pattern", "--overwrite"), code=2)
    typed(*extract(world, "--keep", "pooled", "--overwrite"))
    assert [path.name for path in files(world)] == [
        f"activations_{emotion}.pooled.zarr.zip" for emotion in EMOTIONS
    ]
    for unit in emoact.read_all(world.results):
        assert unit.sites == ("resid_pre", "mlp_out")
        for pooling in poolings_of(unit):
            found = unit.pooled["mlp_out", pooling]()
            np.testing.assert_array_equal(unit.pooled["mlp_out", pooling](1), found[:, 1:2])
            assert np.array_equal(found, expected[unit.emotion, pooling], equal_nan=True)
    typed("verify", "--results", world.results, "--samples", "1", "--json")
    typed(*extract(world, "--keep", "pooled"))
    assert "mean_content" in typed("inspect", files(world)[0]).out
    said = typed("norms", "--results", world.results, code=1).err
    assert "it keeps pooled vectors only" in said
    monkeypatch.setenv("EMOACT_RESULTS", str(world.results))
    for name in ("home", "extract", "activations", "directions", "report"):
        open_page(name)


def test_a_flipped_bit_anywhere_is_found_without_the_manifest(world: World, typed: Typed) -> None:
    typed(*extract(world, "--store", "compact"))
    path = files(world)[0]
    whole = path.read_bytes()
    (world.results / "manifest.json").unlink()
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        typed("verify", "--samples", "0", "--results", world.results, code=1)


def test_pages_and_report_show_its_units_and_their_precision(
    world: World, monkeypatch: pytest.MonkeyPatch, typed: Typed
) -> None:
    typed(*extract(world, "--store", "compact", "--precision", "rel1e-3"))
    monkeypatch.setenv("EMOACT_RESULTS", str(world.results))
    assert "2 files of 1 model on disk" in page_words(open_page("home"))
    assert choices(open_page("extract"))["Format"][:2] == ["Pickle", "Compact"]
    assert "are rounded (rel1e-3)" in page_words(open_page("activations"))
    text = make_report(world.results, lang="en").path.read_text()
    assert "activations_anger.zarr.zip" in text
    assert "rel1e-3" in text
