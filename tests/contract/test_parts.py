"""An emotion of very many prompts: parts with files of their own, read as one unit."""

import json
from pathlib import Path

import numpy as np
import pytest
from pandas.testing import assert_frame_equal

import emoact
from emoact.analysis.listing import read_analysis
from emoact.cli import main
from emoact.errors import FileRefusedError, RequestError
from emoact.extraction.pipeline import run_units
from emoact.jobs.config import RunConfig
from emoact.report.making import make_report
from emoact.schema import ExtractionOptions
from emoact.store import parts
from emoact.store.parts import PART_PROMPTS, Part, parts_of
from emoact.store.protocol import find_store
from emoact.store.summaries import measures_of
from emoact.store.summaries.measures import differences_of
from emoact.store.unit import Unit
from tests.support.numpy_engine import numpy_engine
from tests.support.pages import open_page, words
from tests.support.planted_scenarios import FAST_WORDS
from tests.support.stand_in_world import World, saved_arrays
from tests.support.told import Told

SMALL = 4
"""Prompts of a part in these tests."""


def config_of(world: World, n_samples: int, **changes: object) -> RunConfig:
    world.write_dataset(n_samples=n_samples)
    model = world.path / "models" / "tiny"
    return world.config(model if model.exists() else world.model(), **changes)


def run(config: RunConfig) -> list[str]:
    """The labels of the units that were saved."""
    reporter = Told()
    run_units(config, reporter=reporter, plans={}, engine_for=numpy_engine)
    return reporter.saved


def names(world: World) -> list[str]:
    return sorted(path.name for path in world.results.glob("activations/*/*"))


def same(one: Unit, other: Unit) -> None:
    assert (one.n_samples, one.lengths, one.labels) == (
        other.n_samples,
        other.lengths,
        other.labels,
    )
    assert one.token_strings == other.token_strings
    assert one.prompts == other.prompts
    assert one.content == other.content
    assert one.sites == other.sites
    for site in one.sites:
        for left, right in zip(one.site(site), other.site(site), strict=True):
            assert len(left) == len(right) == one.n_samples
            assert all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def test_parts_follow_from_the_number_of_prompts_alone() -> None:
    for n_prompts in (1, 200, PART_PROMPTS):
        assert parts_of("anger", n_prompts) == (Part(emotion="anger"),)
        assert parts_of("anger", n_prompts)[0].label == "anger"
    for n_prompts in (PART_PROMPTS + 1, 12_345, 100_000):
        found = parts_of("anger", n_prompts)
        places = [place for part in found for place in range(n_prompts)[part.slice(n_prompts)]]
        assert places == list(range(n_prompts))
        sizes = [part.size(n_prompts) for part in found]
        assert max(sizes) <= PART_PROMPTS
        assert max(sizes) - min(sizes) <= 1
        assert [Part.of(part.label) for part in found] == list(found)
        assert [part.label for part in found] == sorted(part.label for part in found)
    assert parts_of("joy", 60_000)[2].label == "joy.part-03-of-12"
    for label in ("joy.part-3-of-12", "joy.part-13-of-12", "joy.part-1-of-1", "joy.part-0-of-3"):
        assert Part.of(label) == Part(emotion=label)


@pytest.mark.parametrize("store", ["pickle", "compact"])
def test_parts_hold_what_one_file_holds_and_are_read_as_one_unit(
    store: str, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = config_of(world, 10, results=tmp_path / "whole", store=store)
    assert run(whole) == ["anger", "neutral"]
    monkeypatch.setattr(parts, "PART_PROMPTS", SMALL)
    labels = [f"{emotion}.part-{n}-of-3" for emotion in ("anger", "neutral") for n in (1, 2, 3)]
    assert run(config_of(world, 10, store=store)) == labels
    assert [name.removeprefix("activations_").split(".p")[0] for name in names(world)] == [
        emotion for emotion in ("anger", "neutral") for _ in range(3)
    ]
    expected = {unit.emotion: unit for unit in emoact.read_all(tmp_path / "whole")}
    grid = emoact.read_all(world.results)
    assert grid.problems == ()
    assert [unit.emotion for unit in grid] == ["anger", "neutral"]
    for unit in grid:
        assert unit.path.name == expected[unit.emotion].path.name
        assert [path.name for path in unit.files] == [
            name for name in names(world) if f"_{unit.emotion}." in name
        ]
        same(unit, expected[unit.emotion])
        same(emoact.read(unit.path), expected[unit.emotion])
        assert unit.configuration == expected[unit.emotion].configuration
    assert main(["verify", "--samples", "0", "--results", str(world.results)]) == 0
    part = grid.units[0].files[1]
    other = "compact" if store == "pickle" else "pickle"
    out = part.with_name(part.name.partition(".")[0] + ".part-2-of-3" + find_store(other).suffix)
    assert main(["convert", str(part), "--to", other, "--out", str(out)]) == 0
    part.unlink()
    same(emoact.read(grid.units[0].path), expected["anger"])


def test_the_first_missing_part_comes_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_PROMPTS", SMALL)
    config = config_of(world, 10)
    run(config)
    before = saved_arrays(world.results)
    (lost,) = world.results.glob("activations/*/activations_anger.part-2-of-3.pkl")
    lost.unlink()
    grid = emoact.read_all(world.results)
    assert [unit.emotion for unit in grid] == ["neutral"]
    assert "1 of 3 parts are missing: 2" in grid.problems[0].message
    with pytest.raises(FileRefusedError, match="1 of 3 parts are missing"):
        emoact.read(lost.with_name("activations_anger.pkl"))
    assert main(["verify", "--samples", "0", "--results", str(world.results)]) == 1
    assert run(config) == ["anger.part-2-of-3"]
    assert saved_arrays(world.results) == before
    entries = json.loads((world.results / "manifest.json").read_text())["units"]
    assert len(entries) == 6


def test_another_count_is_in_the_way(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_PROMPTS", SMALL)
    run(config_of(world, 3))
    assert names(world) == ["activations_anger.pkl", "activations_neutral.pkl"]
    with pytest.raises(RequestError, match="another number of prompts"):
        config_of(world, 6)
    run(config_of(world, 6, overwrite=True))
    run(config_of(world, 10, overwrite=True))
    assert len(names(world)) == 6
    assert all("-of-3" in name for name in names(world))
    assert {unit.n_samples for unit in emoact.read_all(world.results)} == {10}
    run(config_of(world, 3, overwrite=True))
    assert names(world) == ["activations_anger.pkl", "activations_neutral.pkl"]
    entries = json.loads((world.results / "manifest.json").read_text())["units"]
    assert len(entries) == 2


def test_two_divisions_or_kinds_are_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_PROMPTS", SMALL)
    run(config_of(world, 6))
    (first,) = world.results.glob("activations/*/activations_anger.part-1-of-2.pkl")
    stray = first.with_name("activations_anger.part-1-of-3.pkl")
    stray.write_bytes(first.read_bytes())
    with pytest.raises(FileRefusedError, match="parts of 2 and of 3"):
        emoact.read(first.with_name("activations_anger.pkl"))
    stray.unlink()
    options = ExtractionOptions(sites=("mlp_out",))
    other = config_of(world, 6, results=world.path / "other", options=options)
    run(other)
    (foreign,) = (world.path / "other").glob("activations/*/activations_anger.part-2-of-2.pkl")
    first.with_name(foreign.name).write_bytes(foreign.read_bytes())
    with pytest.raises(FileRefusedError, match="differ in sites"):
        emoact.read(first.with_name("activations_anger.pkl"))


def test_pages_norms_and_report_show_parts_as_one_file(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run(config_of(world, 10, results=tmp_path / "whole"))
    monkeypatch.setattr(parts, "PART_PROMPTS", SMALL)
    run(config_of(world, 10))
    before, after = measures_of(tmp_path / "whole"), measures_of(world.results)
    assert after.problems == ()
    assert [unit.emotion for unit in after.units] == ["anger", "neutral"]
    for one, other in zip(before.units, after.units, strict=True):
        different = differences_of(other, one)
        # Of median magnitudes the mean over parts is close, and no more.
        assert set(different) <= {"provenance", *(f"{site}.typical" for site in one.sites)}
        for site, measured in other.sites.items():
            assert np.isfinite(measured.typical).all()
            assert measured.typical.shape == one.sites[site].typical.shape
    monkeypatch.setenv("EMOACT_RESULTS", str(world.results))
    assert "2 files of 1 model on disk" in words(open_page("home"))
    assert open_page("activations").get("plotly_chart")
    made = make_report(world.results, lang="en")
    assert made.n_files == 2
    (lost,) = world.results.glob("activations/*/activations_anger.part-2-of-3.pkl")
    lost.unlink()
    assert "1 file cannot be read" in words(open_page("home"))
    assert "1 of 3 parts are missing: 2" in measures_of(world.results).problems[0].message


@pytest.mark.parametrize("store", ["pickle", "pooled"])
def test_an_analysis_of_parts_has_the_tables_of_whole_files(
    store: str, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    run(config_of(world, 14, results=tmp_path / "whole"))
    monkeypatch.setattr(parts, "PART_PROMPTS", SMALL)
    run(config_of(world, 14, store=store))
    for results in (tmp_path / "whole", world.results):
        assert main(["analyze", "--results", str(results), *FAST_WORDS]) == 0
    before = read_analysis(tmp_path / "whole", None)
    after = read_analysis(world.results, None)
    assert len(after.inputs) == 8
    tables = [path.stem for path in before.path.rglob("*.parquet")]
    assert "headline" in tables
    for name in tables:
        assert_frame_equal(after.table(name), before.table(name), check_exact=True)
