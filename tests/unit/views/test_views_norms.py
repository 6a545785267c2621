from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from emoact.sites import SiteName
from emoact.views.norms import chart
from tests.unit.views.conftest import STYLES, draw

EMOTIONS = ("gratitude", "anger", "apology", "neutral")
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


def norm_figure(rows: Sequence[Row], *, show_first: bool = False) -> Any:
    choice = {"norm": "l2", "units": "raw", "scale": "linear", "first": show_first}
    return draw(chart(pd.DataFrame(rows), choice))


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
