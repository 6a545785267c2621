"""A results folder that holds pooled vectors only: analysed, shown and reported as a whole one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pandas.testing import assert_frame_equal

from emoact.analysis.listing import read_analysis
from emoact.cli import main
from emoact.report.making import make_report
from emoact.store.convert import convert
from emoact.store.summaries import measures_of
from tests.support.pages import open_page, words
from tests.support.planted_scenarios import FAST_WORDS, plant_scenarios
from tests.support.stand_in_world import World


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Path, Path]]:
    """The same activations with every position, and as pooled vectors, each analysed."""
    monkeypatch.setenv("EMOACT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EMOACT_WORKERS", raising=False)
    whole, pooled = tmp_path / "whole", tmp_path / "pooled"
    plant_scenarios(whole, "gpt2")
    for path in whole.glob("activations/*/*.pkl"):
        name = path.name.replace(".pkl", ".pooled.zarr.zip")
        convert(path, to="pooled", out=pooled / "activations" / path.parent.name / name)
    for results in (whole, pooled):
        assert main(["analyze", "--results", str(results), *FAST_WORDS]) == 0
    yield whole, pooled
    World(tmp_path).end_all()


def test_it_equals_whole_files(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    whole, pooled = folders
    before, after = read_analysis(whole, None), read_analysis(pooled, None)
    assert {each.file.rpartition("/")[2] for each in after.inputs} == {
        f"activations_{emotion}.pooled.zarr.zip" for emotion in ("anger", "gratitude", "neutral")
    }
    names = [path.stem for path in sorted(before.path.rglob("*.parquet"))]
    assert "headline" in names
    assert names == [path.stem for path in sorted(after.path.rglob("*.parquet"))]
    for name in names:
        assert_frame_equal(after.table(name), before.table(name), check_exact=True)

    monkeypatch.setenv("EMOACT_RESULTS", str(pooled))
    assert "3 files of 1 model on disk" in words(open_page("home"))
    assert "3 files left out" in open_page("activations").header[0].value
    for page in ("directions", "causes", "heads", "report"):
        open_page(page)
    made = make_report(pooled, lang="en")
    text = made.path.read_text()
    assert made.n_files == 3
    assert "pooled vectors have no positions" in text
    assert make_report(pooled, lang="ja").n_files == 3
    found = measures_of(pooled)
    assert found.units == ()
    assert [unit.emotion for unit in found.pooled] == ["anger", "gratitude", "neutral"]
    assert {problem.code for problem in found.problems} == {"no_positions"}
