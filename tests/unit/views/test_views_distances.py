import html

import numpy as np
import pandas as pd
import pytest
from matplotlib.path import Path as Polygon

from emoact.views import cosines, matrix, prompts
from tests.unit.views.conftest import Tables, draw, lines


def of_gpt2(tables: Tables, name: str) -> pd.DataFrame:
    return tables[name][tables[name]["model"] == "gpt2"]


@pytest.mark.parametrize("measure", list(cosines.COSINE_MEASURES))
def test_cosines_are_drawn_at_their_values(tables: Tables, measure: str) -> None:
    drawn = cosines.table(of_gpt2(tables, "distances"))
    picture = draw(cosines.chart(drawn, measure))
    column = {"cosine": "cv_cosine", "zscored": "cv_zscored", "top_share": "top_share"}[measure]
    curve = lines(picture)[0]
    rows = drawn[drawn["site"] == "resid_pre"]
    assert list(curve.y) == pytest.approx(rows[column].clip(-1, 1).tolist(), nan_ok=True)
    levels = [list(t.y) for t in picture.data if t.line.dash == "dot" and t.x[0] is not None]
    expected = drawn["expectation"].iloc[0]
    assert ([expected, expected] in levels) == (measure == "cosine")


def test_a_cosine_above_one_is_a_cross_at_one(tables: Tables) -> None:
    drawn = cosines.table(of_gpt2(tables, "distances"))
    drawn["cv_cosine"], drawn["cv_se"] = 0.9, 0.2
    drawn.loc[drawn.index[1], "cv_cosine"] = 1.3
    picture = draw(cosines.chart(drawn, "cosine"))
    heights = [y for trace in picture.data for y in trace.y if y is not None and np.isfinite(y)]
    assert max(heights) == 1.0
    assert 1.3 in [t.customdata[0][0] for t in picture.data if t.name == "estimate beyond 1"]


def test_a_matrix_is_symmetric_with_ones_and_holds_the_layer_asked_for(tables: Tables) -> None:
    drawn = cosines.table(of_gpt2(tables, "distances"))
    picture = draw(matrix.chart(drawn[drawn["layer"] == 2]))
    plain = [t for t in picture.data if t.type == "heatmap" and t.name != "no value"][1]
    cells = np.array(plain.z, dtype=float)
    assert np.allclose(cells, cells.T, equal_nan=True)
    assert np.allclose(np.diag(cells), 1)
    row = drawn[(drawn["layer"] == 2) & (drawn["site"] == "resid_pre")].iloc[0]
    inside = row["null_low"] <= row["cosine"] <= row["null_high"]
    assert cells[0, 1] == pytest.approx(np.nan if inside else row["cosine"], nan_ok=True)
    assert (picture.layout.coloraxis.cmin, picture.layout.coloraxis.cmax) == (-1, 1)


def test_points_stand_where_the_table_says_in_two_and_three_axes(tables: Tables) -> None:
    points, axes = of_gpt2(tables, "points"), of_gpt2(tables, "axes")
    drawn = prompts.table(points, {}, layer=1, basis="fixed")
    here = axes[(axes["layer"] == 1) & (axes["basis"] == "fixed")]
    flat, solid = (
        draw(prompts.chart(drawn, here, points[points["basis"] == "fixed"], solid=solid))
        for solid in (False, True)
    )
    rows = drawn[(drawn["site"] == "resid_pre") & (drawn["emotion"] == "gratitude")]
    for picture in (flat, solid):
        assert list(picture.data[0].x) == pytest.approx(rows["pc1"].tolist())
        assert list(picture.data[0].y) == pytest.approx(rows["pc2"].tolist())
    assert list(solid.data[0].z) == pytest.approx(rows["pc3"].tolist())
    share = here[(here["site"] == "resid_pre") & (here["axis"] == 0)]["explained"].item()
    assert flat.layout.xaxis.title.text == f"PC 1, {share:.1%} of the variance"


def test_a_class_has_its_mean_and_an_ellipse_that_holds_half_of_a_normal_one() -> None:
    xy = np.random.default_rng(0).multivariate_normal([3, -1], [[4, 1.5], [1.5, 1]], 4000)
    rows = pd.DataFrame(xy, columns=["pc1", "pc2"]).assign(
        site="resid_pre", emotion="anger", prompt_id="p", text="t", pc3=0.0
    )
    axes = pd.DataFrame({"site": "resid_pre", "axis": [0, 1, 2], "explained": 0.3})
    picture = draw(prompts.chart(rows, axes, rows, solid=False))
    (ellipse,) = (t for t in picture.data if t.mode == "lines" and t.x[0] is not None)
    assert Polygon(np.column_stack([ellipse.x, ellipse.y])).contains_points(xy).mean() == (
        pytest.approx(0.5, abs=0.02)
    )
    _, mean = (t for t in picture.data if len(t.x) == 1 and t.x[0] is not None)
    assert [mean.x[0], mean.y[0]] == pytest.approx(xy.mean(axis=0))


def test_one_prompt_far_away_sets_neither_the_axes_nor_the_ellipse() -> None:
    rows = pd.DataFrame({"pc1": [*range(20), 1000.0], "pc2": 0.0, "pc3": 0.0})
    rows = rows.assign(site="resid_pre", emotion="anger", prompt_id="p", text="t")
    axes = pd.DataFrame({"site": [], "axis": [], "explained": []})
    flat, solid = (draw(prompts.chart(rows, axes, rows, solid=solid)) for solid in (False, True))
    assert 19 < flat.layout.xaxis.range[1] < 25
    assert solid.layout.scene.xaxis.range[1] > 1000
    (ellipse,) = (t for t in flat.data if t.mode == "lines" and t.x[0] is not None)
    # Half of a normal distribution in one of two dimensions: 1.177 standard deviations.
    assert max(ellipse.x) == pytest.approx(9.5 + 1.177 * np.std(range(20), ddof=1), rel=1e-3)
    # The mean is that of the same prompts, the middle of the ellipse.
    assert {t.x[0] for t in flat.data if len(t.x) == 1} - {None} == {9.5}


def test_a_basis_for_all_layers_keeps_its_axes_when_the_layer_moves(tables: Tables) -> None:
    points = of_gpt2(tables, "points")
    fixed = points[points["basis"] == "fixed"]
    drawn = fixed[fixed["layer"] == 0]
    (everywhere, _), (one_layer, _) = (
        draw(
            prompts.chart(drawn.assign(text=""), tables["axes"].head(0), fitted, solid=False)
        ).select_xaxes()
        for fitted in (fixed, drawn)
    )
    own = fixed[fixed["site"] == "resid_pre"]
    low, high = everywhere.range
    assert low < own["pc1"].min() < own["pc1"].max() < high
    assert one_layer.range != everywhere.range


def test_a_prompt_is_text_on_hover_whatever_it_holds() -> None:
    evil = "<b>bold</b> & <a href='javascript:alert(1)'>click</a> " * 3
    shown = prompts.hover_text(evil, "<i>joy</i>")
    assert "<b>" not in shown
    assert "<a " not in shown
    assert "<i>joy" not in shown.replace("<i>&lt;i&gt;joy", "")
    lines = html.unescape(shown.rsplit("<br>", 1)[0]).split("<br>")
    assert " ".join(lines) == evil.strip()
