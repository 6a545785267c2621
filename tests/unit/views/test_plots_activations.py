from __future__ import annotations

import math

import numpy as np
import pytest

from emoact.views.plots.distribution import box_figure, dimension_figure
from emoact.views.plots.growth import growth_figure
from emoact.views.plots.heatmap import norm_heatmap, token_label
from emoact.views.plots.sentence import beside_classes
from emoact.views.plots.theme import emotion_styles

STYLES = emotion_styles(["anger", "neutral", "<b>joy</b>"], "light")


@pytest.mark.parametrize("log", [False, True])
def test_a_cell_holds_its_norm_whatever_the_scale_and_a_gap_where_there_is_none(log: bool) -> None:
    values = np.array([[1.0, 10.0], [1000.0, math.nan]])
    figure = norm_heatmap(
        values,
        columns=["<b>", "x"],
        column_title="token",
        value_title="L2 norm",
        hover=["position 0, <b>", "position 1, x"],
        scheme="dark",
        log=log,
    )
    (trace,) = figure.data
    assert trace.z[1][1] is None
    assert trace.z[1][0] == (3.0 if log else 1000.0)
    assert trace.customdata[1][0][0] == 1000.0
    assert trace.customdata[0][0][1] == "position 0, &lt;b&gt;"
    assert figure.layout.xaxis.ticktext == ("&lt;b&gt;", "x")
    assert ("log scale" in trace.colorbar.title.text) is log


def test_nothing_finite_is_an_empty_field() -> None:
    figure = norm_heatmap(
        np.full((2, 1), math.nan),
        columns=["a"],
        column_title="token",
        value_title="L2 norm",
        hover=["a"],
        scheme="light",
        log=True,
    )
    assert figure.data[0].z == ((None,), (None,)) or list(figure.data[0].z) == [[None], [None]]


def test_spaces_of_tokens_are_seen() -> None:
    assert token_label("Ġthe") == "␣the"
    assert token_label("▁the") == "␣the"
    assert token_label("\n") == "⏎"
    assert token_label("x" * 40) == "x" * 13 + "…"


def test_boxes_stand_in_the_order_of_emotions_and_name_every_point() -> None:
    figure = box_figure(
        {"neutral": [1.0, 2.0], "anger": [3.0]},
        {"neutral": ["p1", "p2"], "anger": ["<i>p3</i>"]},
        styles=STYLES,
        scheme="light",
        title="tokens",
        log=False,
    )
    # Boxes are stacked from below, so the first emotion comes last.
    assert [trace.name for trace in figure.data] == ["neutral", "anger"]
    assert list(figure.data[1].text) == ["&lt;i&gt;p3&lt;/i&gt;"]
    assert {trace.boxpoints for trace in figure.data} == {"all"}
    many = box_figure(
        {"anger": [0.0] * 301},
        {"anger": ["p"] * 301},
        styles=STYLES,
        scheme="light",
        title="tokens",
        log=True,
    )
    assert many.data[0].boxpoints == "outliers"
    assert many.layout.xaxis.type == "log"


def test_dimensions_above_ten_times_the_median_stand_above_the_line() -> None:
    typical = np.ones(50)
    typical[7] = 60.0
    figure = dimension_figure(
        {"anger": typical}, styles=STYLES, scheme="light", threshold=10.0, named=[7]
    )
    points, level = figure.data
    assert points.y[7] == 60.0
    assert set(level.y) == {10.0}
    assert [(a.x, a.text) for a in figure.layout.annotations] == [(7, "7")]
    assert figure.layout.annotations[0].y == pytest.approx(math.log10(60))


def test_growth_has_a_panel_for_the_factor_and_one_for_the_share() -> None:
    rows = [
        {
            "model": "gpt2",
            "emotion": "anger",
            "layer": layer,
            "growth_median": 2.0,
            "growth_q25": 1.5,
            "growth_q75": 2.5,
            "mlp_share_median": 0.7,
            "mlp_share_q25": 0.6,
            "mlp_share_q75": 0.8,
            "n": 5,
        }
        for layer in range(3)
    ]
    figure = growth_figure(rows, styles=STYLES, scheme="light")
    titles = [annotation.text for annotation in figure.layout.annotations]
    assert titles == ["<b>Growth factor</b>", "<b>Share of the MLP in the step</b>"]
    lines = [trace for trace in figure.data if trace.name == "anger" and trace.x[0] is not None]
    assert [list(trace.y) for trace in lines] == [[2.0] * 3, [0.7] * 3]


def test_the_sentence_stands_over_the_classes() -> None:
    figure = beside_classes(
        {"anger": ([1.0, 1.0], [2.0, 2.0], [3.0, 3.0])},
        [5.0, 6.0],
        styles=STYLES,
        scheme="light",
        value_title="norm",
    )
    drawn = [trace for trace in figure.data if trace.x[0] is not None]
    assert list(drawn[-1].y) == [5.0, 6.0]
    assert drawn[-1].name == "your sentence"
    assert [trace.name for trace in figure.data if trace.showlegend] == ["your sentence", "anger"]
