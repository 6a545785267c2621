from __future__ import annotations

import html
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from emoact.ui.chart import csv_of, file_name
from emoact.views.plots.across import (
    ACROSS_MEASURES,
    across_figure,
    beyond,
    drawn_across,
    map_figure,
)
from emoact.views.plots.cosines import COSINE_MEASURES, cosine_figure, drawn_cosines, matrix_figure
from emoact.views.plots.panels import band, line, span
from emoact.views.plots.prompt_space import axis_ranges, drawn_points, hover_text, space_figure
from emoact.views.plots.theme import emotion_styles
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_scenarios import LABELS, plant_scenarios

STYLES = emotion_styles(LABELS, "light")
Tables = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """Every table of two small models that were analysed together."""
    results = tmp_path_factory.mktemp("tables")
    plant_scenarios(results, "gpt2")
    plant_scenarios(results, "other", n_layers=4)
    saved = plant_analysis(results)
    return {name: saved.table(name) for name in saved.rows}


def of_gpt2(tables: Tables, name: str) -> pd.DataFrame:
    return tables[name][tables[name]["model"] == "gpt2"]


def traces(figure: Any, **wanted: Any) -> list[Any]:
    return [t for t in figure.data if all(getattr(t, k) == v for k, v in wanted.items())]


def titles(figure: Any) -> list[str]:
    return [annotation.text for annotation in figure.layout.annotations]


@pytest.mark.parametrize("measure", list(COSINE_MEASURES))
def test_cosines_are_drawn_at_their_values(tables: Tables, measure: str) -> None:
    drawn = drawn_cosines(of_gpt2(tables, "distances"))
    figure = cosine_figure(drawn, measure=measure, styles=STYLES)
    column = {"cosine": "cv_cosine", "zscored": "cv_zscored", "top_share": "top_share"}[measure]
    lines = [t for t in figure.data if t.mode == "lines+markers" and t.x[0] is not None]
    rows = drawn[drawn["site"] == "resid_pre"]
    assert list(lines[0].y) == pytest.approx(rows[column].tolist(), nan_ok=True)
    levels = [list(t.y) for t in figure.data if t.line.dash == "dot" and t.x[0] is not None]
    expected = drawn["expectation"].iloc[0]
    assert ([expected, expected] in levels) == (measure == "cosine")


def test_a_matrix_is_symmetric_with_ones_and_holds_the_layer_asked_for(tables: Tables) -> None:
    drawn = drawn_cosines(of_gpt2(tables, "distances"))
    figure = matrix_figure(drawn, layer=2)
    cells = np.array(figure.data[1].z, dtype=float)
    assert np.allclose(cells, cells.T)
    assert np.allclose(np.diag(cells), 1)
    row = drawn[(drawn["layer"] == 2) & (drawn["site"] == "resid_pre")].iloc[0]
    assert cells[0, 1] == pytest.approx(row["cosine"])
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (-1, 1)


def test_points_stand_where_the_table_says_in_two_and_three_axes(tables: Tables) -> None:
    points, axes = of_gpt2(tables, "points"), of_gpt2(tables, "axes")
    drawn = drawn_points(points, {}, layer=1, basis="fixed")
    here = axes[(axes["layer"] == 1) & (axes["basis"] == "fixed")]
    ranges = axis_ranges(points, basis="fixed", layer=None)
    flat = space_figure(drawn, here, ranges, styles=STYLES)
    solid = space_figure(drawn, here, ranges, styles=STYLES, solid=True)
    rows = drawn[(drawn["site"] == "resid_pre") & (drawn["emotion"] == "gratitude")]
    for figure in (flat, solid):
        assert list(figure.data[0].x) == pytest.approx(rows["pc1"].tolist())
        assert list(figure.data[0].y) == pytest.approx(rows["pc2"].tolist())
    assert list(solid.data[0].z) == pytest.approx(rows["pc3"].tolist())
    share = here[(here["site"] == "resid_pre") & (here["axis"] == 0)]["explained"].item()
    assert flat.layout.xaxis.title.text == f"PC 1, {share:.1%} of the variance"


def test_a_basis_for_all_layers_keeps_its_axes_when_the_layer_moves(tables: Tables) -> None:
    points = of_gpt2(tables, "points")
    everywhere = axis_ranges(points, basis="fixed", layer=None)
    low, high = everywhere["resid_pre", "pc1"]
    own = points[(points["basis"] == "fixed") & (points["site"] == "resid_pre")]
    assert low < own["pc1"].min() < own["pc1"].max() < high
    assert axis_ranges(points, basis="fixed", layer=0) != everywhere


def test_a_prompt_is_text_on_hover_whatever_it_holds() -> None:
    evil = "<b>bold</b> & <a href='javascript:alert(1)'>click</a> " * 3
    shown = hover_text(evil, "<i>joy</i>")
    assert "<b>" not in shown
    assert "<a " not in shown
    assert "<i>joy" not in shown.replace("<i>&lt;i&gt;joy", "")
    lines = html.unescape(shown.rsplit("<br>", 1)[0]).split("<br>")
    assert " ".join(lines) == evil.strip()


@pytest.mark.parametrize("measure", list(ACROSS_MEASURES))
def test_models_are_compared_at_the_values_of_the_table(tables: Tables, measure: str) -> None:
    across, similarity = (
        t[t["site"] == "resid_pre"] for t in (tables["across"], tables["similarity"])
    )
    drawn = drawn_across(across, similarity, measure)
    figure = across_figure(drawn, measure=measure, styles=STYLES)
    of_emotion = ACROSS_MEASURES[measure].of_emotion
    rows = (
        across[across["emotion"] == "gratitude"][measure]
        if of_emotion
        else similarity[similarity["measure"] == measure]["value"]
    )
    curves = [t for t in figure.data if t.mode == "lines+markers" and t.x[0] is not None]
    assert len(curves) == (2 if of_emotion else 1)
    assert list(curves[0].y) == pytest.approx(rows.tolist(), nan_ok=True)
    assert drawn["null_low"].notna().any()


def test_the_null_of_a_score_correlation_is_that_of_the_re_paired_prompts(tables: Tables) -> None:
    across = tables["across"][tables["across"]["site"] == "resid_pre"]
    drawn = drawn_across(across, tables["similarity"], "score_corr")
    middle = (drawn["null_low"] + drawn["null_high"]) / 2
    assert middle.tolist() == pytest.approx(across["score_corr_null"].tolist())
    assert (drawn["null_high"] >= drawn["null_low"]).all()


def test_a_correlation_over_a_ceiling_of_noise_flattens_neither_lines_nor_colours(
    tables: Tables,
) -> None:
    across = tables["across"][tables["across"]["site"] == "resid_pre"].copy()
    across["score_corr"] = across["score_corr_raw"]
    across.loc[across.index[1], "score_corr"] = 9.0
    drawn = drawn_across(across, tables["similarity"], "score_corr")
    assert drawn["value"].max() == 9.0
    figure = across_figure(drawn, measure="score_corr", styles=STYLES)
    assert figure.layout.yaxis.range[1] < 2
    assert beyond(drawn).sum() == 1
    cells = tables["maps"][tables["maps"]["measure"] == "rsa"].head(12).copy()
    cells.loc[cells.index[0], "value"] = 9.0
    cells.loc[cells.index[1], "value"] = math.nan
    figure = map_figure(cells, measure="score_corr")
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (-1, 1)
    # A cell without a value is not the colour of 0.
    assert figure.layout.plot_bgcolor


def test_a_map_has_the_first_model_along_x(tables: Tables) -> None:
    maps = tables["maps"]
    cells = maps[(maps["measure"] == "rsa") & (maps["site"] == "mlp_out")]
    figure = map_figure(cells, measure="rsa")
    (trace,) = figure.data
    assert (list(trace.x), list(trace.y)) == ([0, 1, 2], [0, 1, 2, 3])
    cell = cells[(cells["layer_a"] == 1) & (cells["layer_b"] == 3)]["value"].item()
    assert trace.z[3][1] == pytest.approx(cell)


def test_gaps_stay_gaps_in_lines_and_bands() -> None:
    drawn = band([0, 1, 2, 3], [0, math.nan, 1, 1], [2, 2, 2, 3], fill="red")
    assert list(drawn.x) == [0, 0, None, 2, 3, 3, 2]
    assert list(drawn.y) == [2, 0, None, 2, 3, 1, 1]
    assert math.isnan(line([0, 1], [1.0, math.nan], colour="red", name="x").y[1])
    assert span([math.nan]) == [0.0, 1.0]


def test_a_csv_file_says_what_marks_its_figures() -> None:
    rows = pd.DataFrame({"layer": [0, 1], "value": [0.1, 0.2]})
    assert csv_of(rows, []) == "layer,value\n0,0.1\n1,0.2\n"
    assert csv_of(rows, ["mixed", "random"]).splitlines()[1] == "0,0.1,mixed; random"
    assert file_name("../a b/<c>") == "a-b-c"
