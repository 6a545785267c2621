from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from emoact.sites import SiteName
from emoact.views.norms import chart
from emoact.views.plotly_chart import figure
from emoact.views.theme import emotion_styles

EMOTIONS = ("gratitude", "anger", "apology", "neutral")
STYLES = emotion_styles([*EMOTIONS, "<b>joy</b>"], "light")
Row = dict[str, Any]


def row(
    layer: int,
    median: float,
    *,
    emotion: str = "anger",
    site: SiteName = "resid_pre",
    position: str = "content",
    model: str = "gpt2",
) -> Row:
    return {
        "model": model,
        "emotion": emotion,
        "site": site,
        "layer": layer,
        "position": position,
        "median": median,
        "q25": median * 0.9,
        "q75": median * 1.1,
        "n": 50,
    }


def rows(*, n_layers: int = 4, models: tuple[str, ...] = ("gpt2",)) -> list[Row]:
    return [
        row(
            layer,
            (10.0 + layer) * (1 + 0.1 * number) if position == "content" else 500.0,
            emotion=emotion,
            site=site,
            position=position,
            model=model,
        )
        for model in models
        for number, emotion in enumerate(EMOTIONS)
        for site in ("resid_pre", "mlp_out")
        for layer in range(n_layers)
        for position in ("content", "first")
    ]


def norm_figure(rows: Sequence[Row], *, log: bool = False, show_first: bool = False) -> Any:
    choice = {
        "norm": "l2",
        "units": "raw",
        "scale": "log" if log else "linear",
        "first": show_first,
    }
    return figure(chart(pd.DataFrame(rows), choice), styles=STYLES, scheme="light")


def lines(drawn: Any) -> list[Any]:
    return [trace for trace in drawn.data if trace.fill is None]


def bands(drawn: Any) -> list[Any]:
    return [trace for trace in drawn.data if trace.fill == "toself"]


def test_a_line_holds_the_medians_and_a_band_the_quartiles() -> None:
    drawn = norm_figure([row(0, 2.0), row(1, 3.0)])
    (line,), (band,) = lines(drawn), bands(drawn)
    assert list(line.x) == [0, 1]
    assert list(line.y) == [2.0, 3.0]
    assert list(band.x) == [0, 1, 1, 0]
    assert list(band.y) == pytest.approx([2.2, 3.3, 2.7, 1.8])


def test_one_line_for_each_emotion_and_site_solid_for_the_stream_and_dashed_for_the_mlp() -> None:
    drawn = norm_figure(rows())
    drawn = lines(drawn)
    assert len(drawn) == 8
    dashes = {
        trace.xaxis: {t.line.dash for t in drawn if t.xaxis == trace.xaxis} for trace in drawn
    }
    assert dashes == {"x": {"solid"}, "x2": {"dash"}}
    assert {trace.marker.symbol for trace in drawn} == {STYLES[name].symbol for name in EMOTIONS}


def test_each_emotion_stands_in_the_legend_once() -> None:
    drawn = norm_figure(rows(models=("gpt2", "pythia")), show_first=True)
    assert [trace.name for trace in drawn.data if trace.showlegend] == list(EMOTIONS)
    for name in EMOTIONS:
        assert sum(trace.name == name for trace in lines(drawn)) == 4


def test_position_zero_is_left_out_unless_asked_for() -> None:
    drawn = norm_figure(rows())
    assert max(max(trace.y) for trace in lines(drawn)) < 100


def test_position_zero_is_dotted_and_apart() -> None:
    drawn = norm_figure(rows(), show_first=True)
    dotted = [trace for trace in lines(drawn) if trace.line.dash == "dot"]
    others = [trace for trace in lines(drawn) if trace.line.dash != "dot"]
    assert {trace.xaxis for trace in dotted}.isdisjoint(trace.xaxis for trace in others)
    assert [list(trace.y) for trace in dotted] == [[500.0] * 4] * 2


def test_equal_values_at_position_zero_are_one_line_for_every_emotion() -> None:
    same = [row(layer, 7.0, emotion=e, position="first") for e in EMOTIONS for layer in (0, 1)]
    content = [row(layer, 5.0, emotion=e) for e in EMOTIONS for layer in (0, 1)]
    drawn = norm_figure(same + content, show_first=True)
    assert [t.name for t in lines(drawn) if t.line.dash == "dot"] == ["every emotion"]
    same[0] = row(0, 8.0, emotion="gratitude", position="first")
    drawn = norm_figure(same + content, show_first=True)
    assert [t.name for t in lines(drawn) if t.line.dash == "dot"] == list(EMOTIONS)


def test_models_have_rows_of_their_own_with_their_name_in_the_title() -> None:
    drawn = norm_figure(rows(models=("gpt2", "<i>x</i>")))
    titles = [annotation.text for annotation in drawn.layout.annotations]
    assert titles == [
        "<b>gpt2</b>  Residual stream",
        "<b>gpt2</b>  MLP output",
        "<b>&lt;i&gt;x&lt;/i&gt;</b>  Residual stream",
        "<b>&lt;i&gt;x&lt;/i&gt;</b>  MLP output",
    ]


@pytest.mark.parametrize("log", [False, True])
def test_axes_carry_a_name_a_unit_and_the_scale(log: bool) -> None:
    drawn = norm_figure(rows(), log=log)
    assert drawn.layout.xaxis.title.text == "layer"
    expected = "median L2 norm, model units" + (", log scale" if log else "")
    assert drawn.layout.yaxis.title.text == expected
    assert drawn.layout.yaxis.type == ("log" if log else None)


def test_a_layer_without_finite_values_leaves_a_gap_in_line_and_band() -> None:
    broken = [row(0, 2.0), row(1, 2.0), row(2, math.nan), row(3, 4.0), row(4, 5.0)]
    drawn = norm_figure(broken)
    (line,), (band,) = lines(drawn), bands(drawn)
    assert math.isnan(line.y[2])
    assert list(band.x) == [0, 1, 1, 0, None, 3, 4, 4, 3]


def test_markup_in_a_label_is_not_read() -> None:
    drawn = norm_figure([row(0, 1.0, emotion="<b>joy</b>")])
    assert lines(drawn)[0].name == "&lt;b&gt;joy&lt;/b&gt;"


def test_every_layer_fits_into_its_panel() -> None:
    drawn = norm_figure([row(layer, 1.0) for layer in range(30)])
    low, high = drawn.layout.xaxis.range
    assert low < 0
    assert high > 29
