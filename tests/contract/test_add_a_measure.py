"""A measure that is defined here, in one record, appears everywhere without another changed file.

Tests of a page's picker and of the report take the fixture `saved` as well.
"""

import csv
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import emoact
from emoact.analysis.saved import SavedAnalysis
from emoact.measures import Measure
from emoact.stats import catalogue
from tests.support.pages import ROOT, figure, open_page
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_scenarios import plant_scenarios
from tests.support.typed import Typed


def largest(cell: Any) -> np.ndarray:
    """The largest entry of the direction at each layer."""
    return np.asarray(np.abs(cell.direction).max(axis=1))


LARGEST = Measure(
    name="largest",
    table="strength",
    definition="Largest absolute entry of the direction",
    label="largest entry",
    unit="model units",
    formula="max_j |d_j|",
    compute=largest,
)
ABOVE = Measure(
    name="above_half",
    table="headline",
    kind="bool",
    definition="The headline probe is right in more than half of the prompts",
    compute=lambda cell: cell.median.accuracy > 0.5,
)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    plant_scenarios(tmp_path / "results")
    return tmp_path / "results"


@pytest.fixture
def saved(results: Path, monkeypatch: pytest.MonkeyPatch) -> SavedAnalysis:
    """An analysis with one measure more in each of two tables."""
    added = {measure.table: measure for measure in (LARGEST, ABOVE)}
    tables = tuple(
        dataclasses.replace(table, measures=(*table.measures, added[table.name]))
        if table.name in added
        else table
        for table in catalogue.TABLES
    )
    monkeypatch.setattr(catalogue, "TABLES", tables)
    return plant_analysis(results)


def test_it_is_computed_saved_and_read(saved: SavedAnalysis, results: Path) -> None:
    found = emoact.read_analysis(results).table("strength")
    assert found["largest"].dtype == np.float64
    assert list(found)[-1] == "largest"
    directions = saved.directions("gpt2", "resid_pre")
    rows = found[(found["site"] == "resid_pre") & (found["emotion"] == "anger")]
    np.testing.assert_allclose(rows["largest"], np.abs(directions["anger"]).max(axis=1), rtol=1e-6)
    with (saved.path / "tables" / "strength.csv").open(newline="") as file:
        written = [float(row["largest"]) for row in csv.DictReader(file)]
    assert written == list(found["largest"])


def test_the_command_s_document_has_it(saved: SavedAnalysis, results: Path, typed: Typed) -> None:
    words = ["analyze", "show", saved.id, "--results", str(results), "--json"]
    rows = typed(*words).json["headline"]
    assert [row["above_half"] for row in rows] == [row["accuracy"] > 0.5 for row in rows]


def test_it_is_in_pickers_axes_and_the_documents(saved: SavedAnalysis) -> None:
    assert saved.missing("strength") == ()
    assert LARGEST in catalogue.labelled("strength")
    assert catalogue.measure("strength", "largest").axis_title == "largest entry, model units"
    (line,) = (
        line for line in catalogue.measures_markdown("strength").split("\n") if "`largest`" in line
    )
    assert line == (
        r"| `largest` | model units | Largest absolute entry of the direction. max_j \|d_j\| |"
    )


def test_it_is_in_the_picker_of_the_page_and_drawn(
    saved: SavedAnalysis, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOACT_RESULTS", str(results))
    app = open_page("directions", measure="largest")
    picker = app.selectbox(key="measure")
    assert "largest" in picker.options
    assert "`largest`: largest entry. Largest absolute entry of the direction." in picker.help
    assert figure(app)["layout"]["yaxis"]["title"]["text"] == "largest entry, model units"
    drawn = app.dataframe[0].value.sort_values(["emotion", "site", "layer"])["value"]
    table = saved.table("strength").sort_values(["emotion", "site", "layer"])["largest"]
    assert drawn.tolist() == table.tolist()


def test_an_analysis_without_it_still_opens_and_a_new_one_is_made(
    results: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, typed: Typed
) -> None:
    before = plant_analysis(results)
    after: SavedAnalysis = request.getfixturevalue("saved")
    assert after.id != before.id
    assert before.missing("strength") == ("largest",)
    assert before.table("strength")["largest"].isna().all()
    said = typed("analyze", "show", before.id, "--results", results).out
    assert "note: strength: not saved by emoact" in said
    assert f": largest; `{before.command}` computes them" in said
    lacks = typed("analyze", "show", before.id, "--results", results, "--json").json["lacks"]
    assert lacks == {"headline": ["above_half"], "strength": ["largest"]}
    monkeypatch.undo()
    assert "largest" in after.table("strength")
    assert after.missing("strength") == ()


def test_every_table_has_a_place_in_the_document_of_methods() -> None:
    text = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    for table in catalogue.TABLES:
        assert f"<!-- measures-{table.name}: written by" in text


def test_every_measure_names_columns_that_exist() -> None:
    for table in catalogue.TABLES:
        for measure in table.measures:
            named = {*(measure.interval or ()), *(measure.null or ()), measure.per} - {""}
            assert named <= set(table.columns), measure.name
            assert measure.compute is not None
            assert not measure.definition.endswith(".")
