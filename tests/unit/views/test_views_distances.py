from __future__ import annotations

import html

import numpy as np
import pandas as pd
import pytest

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
    plain = [trace for trace in picture.data if trace.type == "heatmap"][1]
    cells = np.array(plain.z, dtype=float)
    assert np.allclose(cells, cells.T)
    assert np.allclose(np.diag(cells), 1)
    row = drawn[(drawn["layer"] == 2) & (drawn["site"] == "resid_pre")].iloc[0]
    assert cells[0, 1] == pytest.approx(row["cosine"])
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
