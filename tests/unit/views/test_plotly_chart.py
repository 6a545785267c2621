import math
from typing import Any

import pandas as pd
import pytest

from emoact.analysis.table_files import csv_of
from emoact.ui.chart import file_name
from emoact.views.chart import (
    Axis,
    Band,
    Box,
    Cells,
    Chart,
    Key,
    Level,
    Line,
    Mark,
    Panel,
    Points,
    ringed,
    span,
)
from emoact.views.plotly_chart import figure
from emoact.views.theme import INK, Scheme, emotion_styles

STYLES = emotion_styles(["anger", "neutral"], "light")


def draw(*marks: Mark, x: Axis | None = None, y: Axis | None = None, **chart: Any) -> Any:
    panel = Panel(marks=marks, x=x or Axis(), y=y or Axis())
    return figure(Chart(rows=[[panel]], **chart), styles=STYLES, scheme="light")


def test_gaps_stay_gaps_in_lines_and_bands() -> None:
    band = Band(x=[0, 1, 2, 3], low=[0, math.nan, 1, 1], high=[2, 2, 2, 3], colour="accent")
    line = Line(x=[0, 1], y=pd.Series([1.0, math.nan]), colour="accent")
    area, curve = draw(band, line).data
    assert list(area.x) == [0, 0, None, 2, 3, 3, 2]
    assert list(area.y) == [2, 0, None, 2, 3, 1, 1]
    assert math.isnan(curve.y[1])
    assert span([math.nan]) == (0.0, 1.0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_roles_become_the_colours_of_the_scheme(scheme: Scheme) -> None:
    styles = emotion_styles(["anger"], scheme)
    lines = [Line(x=[0], y=[1], colour=role) for role in ("emotion:anger", "muted", "accent")]
    chart = Chart(rows=[[Panel(marks=lines)]])
    colours = [trace.line.color for trace in figure(chart, styles=styles, scheme=scheme).data]
    assert colours == [styles["anger"].colour, INK[scheme].muted, INK[scheme].accent]


def test_layers_begin_at_0_and_a_level_crosses_all_of_them() -> None:
    drawn = draw(Line(x=range(30), y=range(30), colour="text"), Level(at=3),
                 x=Axis(title="layer", scale="layer"))  # fmt: skip
    axis = drawn.layout.xaxis
    assert (axis.range, axis.tick0, axis.dtick) == ((-0.4, 29.4), 0, 5)
    assert list(drawn.data[1].x) == [-0.4, 29.4]


def test_a_log_scale_says_so_and_has_round_ticks() -> None:
    drawn = draw(Line(x=[0, 1], y=[3.0, 80.0], colour="text"), y=Axis(title="norm", scale="log"))
    axis = drawn.layout.yaxis
    assert axis.title.text == "norm, log scale"
    assert axis.type == "log"
    assert {1, 2, 5, 10, 20, 50, 100} <= set(axis.tickvals)


def test_cells_on_a_log_scale_are_coloured_by_logarithm_and_tell_the_value() -> None:
    cells = Cells(values=[[1.0, 100.0], [math.nan, 10.0]], x=["a", "b"], y=[0, 1], title="norm",
                  log=True, data=[["<b>", "q"], ["r", "s"]])  # fmt: skip
    drawn = draw(cells)
    missing, values = drawn.data
    assert [list(row) for row in values.z] == [[0.0, 2.0], [None, 1.0]]
    assert list(values.customdata[0][0]) == [1.0, "&lt;b&gt;"]
    assert [list(row) for row in missing.z] == [[None, None], [1, None]]
    bar = drawn.layout.coloraxis
    assert (bar.cmin, bar.cmax) == (0.0, 2.0)
    assert bar.colorbar.title.text == "norm, log scale"
    assert list(bar.colorbar.ticktext) == ["1", "2", "5", "10", "20", "50", "100"]


def test_a_name_in_the_legend_of_several_panels_is_listed_once() -> None:
    points = [Points(x=[0], y=[0], colour="emotion:anger", name="anger", legend=True)]
    chart = Chart(rows=[[Panel(marks=points), Panel(marks=points)]],
                  key=[Key(name="null", kind="band", colour="null")])  # fmt: skip
    drawn = figure(chart, styles=STYLES, scheme="light")
    assert [trace.showlegend for trace in drawn.data] == [True, False, True]
    assert drawn.layout.showlegend
    # Beside long words at the axis the legend has less room, and needs a second row.
    names = [Key(name="x" * 40, kind="band", colour="null"), Key(name="y" * 40, kind="line")]
    tall = [
        figure(
            Chart(rows=[[Panel(marks=points, y=Axis(categories=[word]))]], key=names),
            styles=STYLES,
            scheme="light",
        ).layout.margin.t
        for word in ("short", "very long words " * 3)
    ]
    assert tall[0] < tall[1]


def test_points_keep_the_rows_that_a_selection_returns() -> None:
    points = Points(x=[0.1], y=[2], colour="text", data=[["anger", "p1"]], error=[(0.0, None)])
    (trace,) = draw(points).data
    assert list(trace.customdata[0]) == ["anger", "p1"]
    assert trace.error_x.arrayminus[0] == pytest.approx(0.1)
    assert math.isnan(trace.error_x.array[0])


def test_markup_in_words_of_users_stays_text() -> None:
    evil = "<b>x</b>"
    box = Box(values=[1, 2], name=evil, colour="emotion:anger", texts=[evil, evil])
    line = Line(x=[0], y=[1], colour="text", name=evil, legend=True)
    drawn = draw(box, line, x=Axis(title=evil), y=Axis(scale="category", categories=[evil]))
    said = drawn.to_json()
    assert "\\u003cb\\u003ex" not in said
    assert evil not in said


LINK = '<a href="https://evil.example">x</a>'


@pytest.mark.parametrize(
    "mark",
    [
        Line(x=[LINK], y=[1.0], colour="text", name=LINK, data=[[LINK, 1.0]], legend=True),
        Line(x=[1.0], y=[LINK], colour="emotion:anger", name=LINK, symbol="circle"),
        Points(x=[LINK], y=[LINK], colour="text", name=LINK, text=[LINK], legend=True),
        Points(x=[0.0], y=[0.0], z=[0.0], colour="text", name=LINK, text=[LINK]),
        Band(x=[0.0], low=[0.0], high=[1.0], colour="null", name=LINK),
        Box(values=[1, 2], name=LINK, colour="text", texts=[LINK, LINK]),
        Cells(values=[[1.0]], x=[LINK], y=[LINK], title=LINK, text=[[LINK]], data=[[LINK]]),
    ],
)
def test_a_link_in_a_name_a_token_or_a_label_is_no_link_in_a_chart(mark: Mark) -> None:
    styles = emotion_styles([LINK, "anger"], "light")
    words = Axis(title=LINK, scale="category", categories=[LINK])
    panel = Panel(
        marks=[mark],
        title=LINK,
        lead=LINK,
        emotions=[LINK],
        x=words,
        y=Axis(title=LINK, ticks=[LINK]),
        z=words if isinstance(mark, Points) and len(mark.z) else None,
    )
    chart = Chart(rows=[[panel]], key=[Key(name=LINK, kind="line")])
    drawn = figure(chart, styles=styles, scheme="light", caption=LINK, badges=[LINK])
    said = str(drawn.to_plotly_json())
    assert "&lt;a href" in said
    assert "<a" not in said


def test_a_csv_file_says_what_marks_its_figures() -> None:
    rows = pd.DataFrame({"layer": [0, 1], "value": [0.1, 0.2]})
    assert csv_of(rows, []) == "layer,value\n0,0.1\n1,0.2\n"
    texts = pd.DataFrame({"id": ["=1+1", "@x", "a-b"], "value": [-1.0, 0.0, 1.0]})
    assert csv_of(texts, []) == "id,value\n'=1+1,-1.0\n'@x,0.0\na-b,1.0\n"
    foreign = pd.DataFrame({"=cmd|' /C calc'!A0": ["\uff1d1"]})
    assert csv_of(foreign, []) == "'=cmd|' /C calc'!A0\n'\uff1d1\n"
    assert csv_of(rows, ["mixed", "random"]).splitlines()[1] == "0,0.1,mixed; random"
    assert file_name("../a b/<c>") == "a-b-c"


def test_panels_stand_one_below_the_other_on_the_screen_of_a_phone() -> None:
    panels = [Panel(marks=[Line(x=[0, 1], y=[0, 1], colour="text")]) for _ in range(3)]
    chart = Chart(rows=[panels], heights=[200])
    wide, phone = (
        figure(chart, styles=STYLES, scheme="light", narrow=narrow).layout
        for narrow in (False, True)
    )
    assert wide.xaxis2.domain[0] > wide.xaxis.domain[1]
    for axis in (phone.xaxis, phone.xaxis2, phone.xaxis3):
        assert axis.domain == (0.0, 1.0)
    assert phone.yaxis.domain[0] > phone.yaxis2.domain[1] > phone.yaxis3.domain[1]


def test_long_names_of_rows_are_folded_on_the_screen_of_a_phone() -> None:
    name = "tokens without context, residual stream"
    rows = Axis(scale="category", categories=[name])
    panel = Panel(marks=[Points(x=[0.5], y=[name], colour="text", name="")], y=rows)
    chart = Chart(rows=[[panel]], heights=[40])
    wide, phone = (
        figure(chart, styles=STYLES, scheme="light", narrow=narrow).layout
        for narrow in (False, True)
    )
    assert phone.yaxis.ticktext == ("tokens without context,<br>residual stream",)
    assert 60 > wide.margin.l - phone.margin.l > 40
    assert phone.height > wide.height


def test_a_selected_prompt_has_a_ring_wherever_it_is_drawn() -> None:
    points = Points(x=[1, 2], y=[3, 4], colour="text", data=[["joy", "a"], ["joy", "b"]])
    box = Box(values=[5.0, 6.0], name="joy", colour="text", texts=["a", "b"])
    chart = Chart(rows=[[Panel(marks=[points]), Panel(marks=[box])]])
    (left, right) = ringed(chart, ("joy", "b")).rows[0]
    ring, other = left.marks[-1], right.marks[-1]
    assert isinstance(ring, Points)
    assert isinstance(other, Points)
    assert (ring.x, ring.y) == ([2], [4])
    assert (other.x, other.y) == ([6.0], ["joy"])
    assert ringed(chart, ("calm", "b")) is chart


def test_a_ring_in_three_dimensions_has_a_depth() -> None:
    points = Points(x=[1], y=[2], z=[3], colour="text", data=[["joy", "a"]])
    (panel,) = ringed(Chart(rows=[[Panel(marks=[points])]]), ("joy", "a")).rows[0]
    ring = panel.marks[-1]
    assert isinstance(ring, Points)
    assert ring.z == [3]
