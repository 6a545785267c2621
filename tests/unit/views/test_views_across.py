from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from emoact.views import by_layer, layer_map
from emoact.views.chart import Chart
from emoact.views.plotly_chart import figure
from emoact.views.theme import emotion_styles
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


def draw(chart: Chart) -> Any:
    return figure(chart, styles=STYLES, scheme="light")


@pytest.mark.parametrize("measure", list(by_layer.measures()))
def test_models_are_compared_at_the_values_of_the_table(tables: Tables, measure: str) -> None:
    across, similarity = (
        t[t["site"] == "resid_pre"] for t in (tables["across"], tables["similarity"])
    )
    drawn = by_layer.table(across, similarity, measure)
    picture = draw(by_layer.chart(drawn, measure))
    of_emotion = measure not in by_layer.WHOLE
    rows = (
        across[across["emotion"] == "gratitude"][measure]
        if of_emotion
        else similarity[similarity["measure"] == measure]["value"]
    )
    curves = [t for t in picture.data if t.mode == "lines+markers" and t.x[0] is not None]
    assert len(curves) == (2 if of_emotion else 1)
    assert list(curves[0].y) == pytest.approx(rows.tolist(), nan_ok=True)
    assert drawn["null_low"].notna().any()


def test_the_null_of_a_score_correlation_is_that_of_the_re_paired_prompts(tables: Tables) -> None:
    across = tables["across"][tables["across"]["site"] == "resid_pre"]
    drawn = by_layer.table(across, tables["similarity"], "score_corr")
    middle = (drawn["null_low"] + drawn["null_high"]) / 2
    assert middle.tolist() == pytest.approx(across["score_corr_null"].tolist())
    assert (drawn["null_high"] >= drawn["null_low"]).all()


def test_a_correlation_over_a_ceiling_of_noise_flattens_neither_lines_nor_colours(
    tables: Tables,
) -> None:
    across = tables["across"][tables["across"]["site"] == "resid_pre"].copy()
    across["score_corr"] = across["score_corr_raw"]
    across.loc[across.index[1], "score_corr"] = 9.0
    drawn = by_layer.table(across, tables["similarity"], "score_corr")
    assert drawn["value"].max() == 9.0
    picture = draw(by_layer.chart(drawn, "score_corr"))
    assert picture.layout.yaxis.range[1] < 2
    assert by_layer.beyond(drawn).sum() == 1
    cells = tables["maps"][tables["maps"]["measure"] == "rsa"].head(12).copy()
    cells.loc[cells.index[0], "value"] = 9.0
    cells.loc[cells.index[1], "value"] = math.nan
    picture = draw(layer_map.chart(cells, "score_corr"))
    assert (picture.layout.coloraxis.cmin, picture.layout.coloraxis.cmax) == (-1, 1)
    # A cell without a value is not the colour of 0.
    missing = picture.data[0]
    assert [v for row in missing.z for v in row].count(1) == 1
    assert missing.colorscale[0][1].startswith("rgba(90")
    assert not missing.showscale


def test_a_map_has_the_first_model_along_x(tables: Tables) -> None:
    maps = tables["maps"]
    cells = maps[(maps["measure"] == "rsa") & (maps["site"] == "mlp_out")]
    picture = draw(layer_map.chart(cells, "rsa"))
    (trace,) = picture.data
    assert (list(trace.x), list(trace.y)) == ([0, 1, 2], [0, 1, 2, 3])
    cell = cells[(cells["layer_a"] == 1) & (cells["layer_b"] == 3)]["value"].item()
    assert trace.z[3][1] == pytest.approx(cell)


def scores(score_corr: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "model_a": "gpt2",
            "model_b": "pythia-160m",
            "site": "resid_pre",
            "emotion": "anger",
            "score_corr": score_corr,
            "score_corr_raw": 0.12,
            "score_corr_p_max": 0.5,
        }
    )


@pytest.mark.parametrize(
    ("score_corr", "said"),
    [
        ([0.2, 0.4, 0.6], "anger 0.40 (0.12 before correction"),
        ([1.0, 1.1, 1.2], "anger 1.10 (0.12 before correction"),
        ([1.7, 1.8, 1.9], "anger no value, its reliability is near 0 (0.12 before correction"),
        ([-1.9, -1.8], "anger no value, its reliability is near 0 (0.12 before correction"),
        ([float("nan")] * 2, "anger – (0.12 before correction"),
    ],
)
def test_a_correction_by_almost_nothing_is_no_figure(score_corr: list[float], said: str) -> None:
    assert said in by_layer.scores_sentence(scores(score_corr))
