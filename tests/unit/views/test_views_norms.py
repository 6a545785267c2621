import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import pytest

from emoact.sites import SiteName
from emoact.views import norms
from tests.unit.views.conftest import STYLES, draw

EMOTIONS = ("gratitude", "anger", "apology", "neutral")
Row = dict[str, Any]


def row(
    layer: int,
    median: float,
    emotion: str = "anger",
    *,
    site: SiteName = "resid_pre",
    position: str = "content",
    model: str = "gpt2",
    n_nonfinite: int = 0,
) -> Row:
    return {
        "model": model,
        "emotion": emotion,
        "site": site,
        "layer": layer,
        "norm": "l2",
        "position": position,
        "mean": median,
        "median": median,
        "q25": median * 0.9,
        "q75": median * 1.1,
        "n": 50,
        "n_nonfinite": n_nonfinite,
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
    return draw(norms.chart(pd.DataFrame(rows), choice))


def lines(drawn: Any) -> list[Any]:
    return [trace for trace in drawn.data if trace.fill is None]


def test_a_line_holds_the_medians_and_a_band_the_quartiles() -> None:
    drawn = norm_figure([row(0, 2.0), row(1, 3.0)])
    (line,) = lines(drawn)
    (band,) = (trace for trace in drawn.data if trace.fill == "toself")
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
        "<b>GPT-2</b>  Residual stream",
        "<b>GPT-2</b>  MLP output",
        "<b>&lt;i&gt;x&lt;/i&gt;</b>  Residual stream",
        "<b>&lt;i&gt;x&lt;/i&gt;</b>  MLP output",
    ]


@pytest.mark.parametrize(
    ("ratios", "content_start", "said"),
    [
        (
            {0: 1.2, 20: 126.4, 29: math.nan},
            1,
            "Position 0 carries 126 times the median residual stream norm at layer 20 (first-token "
            "sink); it is left out of the medians below.",
        ),
        ({3: 1.31}, 1, "Position 0 is no sink: at most 1.31 times"),
        ({4: 40.0}, 0, "No BOS was prepended"),
        ({0: math.nan}, 1, ""),
    ],
)
def test_a_sink_is_named_with_its_layer_and_left_out_where_a_bos_was_prepended(
    ratios: dict[int, float], content_start: int, said: str
) -> None:
    rows = [
        {"site": "resid_pre", "layer": layer, "norm": "l2", "ratio": value, "n": 50}
        for layer, value in ratios.items()
    ]
    sentence = norms.sink_sentence(pd.DataFrame(rows), content_start=content_start)
    assert sentence.startswith(said)
    assert bool(sentence) == bool(said)
    assert ("is part of the medians" in sentence) == (content_start == 0)
    assert ("left out" in sentence) == (content_start == 1 and bool(said))


def test_the_middle_emotion_goes_from_the_first_layer_to_the_last_over_the_peak() -> None:
    sentence = norms.course_sentence(pd.DataFrame([row(0, 6.1), row(1, 130.0), row(2, 118.0)]))
    assert "from 6.10 at layer 0 to 118 at layer 2, highest at layer 1 (130)." in sentence
    rows = [
        row(layer, value * (1 + layer), emotion)
        for layer in (0, 1)
        for emotion, value in (("anger", 1.0), ("apology", 5.0), ("neutral", 90.0))
    ]
    assert "from 5.00 at layer 0 to 10.0 at layer 1." in norms.course_sentence(pd.DataFrame(rows))


def test_the_spread_is_the_largest_ratio_between_emotions() -> None:
    rows = [row(0, 10.0), row(0, 10.5, "neutral"), row(1, 60.0), row(1, 50.0, "neutral")]
    assert norms.spread_sentence(pd.DataFrame(rows)) == (
        "Between emotions the medians differ by at most 20 % (layer 1: anger 60.0, neutral 50.0)."
    )
    assert norms.spread_sentence(pd.DataFrame([row(0, 10.0), row(1, 20.0)])) == ""


def test_broken_values_are_named_where_they_begin() -> None:
    rows = [row(0, 1.0), row(3, math.nan, n_nonfinite=2)]
    sentence = norms.broken_sentence(pd.DataFrame(rows))
    assert "in 1 file, first in" in sentence
    assert "layer 3" in sentence
    assert norms.broken_sentence(pd.DataFrame([row(0, 1.0)])) == ""
