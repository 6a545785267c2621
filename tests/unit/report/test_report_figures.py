import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

import pytest

from emoact.report.figures import to_svg
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
    of_emotion,
)

SVG = "{http://www.w3.org/2000/svg}"
ANGER = "#b32d1f"
EVIL = "<img src=x> $x$ & $y$\x07"


def line(y: Sequence[float], *, emotion: str = "anger", name: str = "anger") -> Line:
    colour = of_emotion(emotion)
    return Line(x=range(len(y)), y=y, colour=colour, symbol=colour, name=name, legend=True)


def drawn(*marks: Mark, y: Axis | None = None, labels: Sequence[str] = ("anger",)) -> str:
    panel = Panel(
        title=EVIL, marks=marks, x=Axis(title="layer", scale="layer"), y=y or Axis(title="norm")
    )
    return to_svg(Chart(rows=[[panel]]), name="a", title="x & y", labels=labels)


def paths(svg: str, colour: str) -> list[list[tuple[float, float]]]:
    """Stretches of the lines of a colour between the axes; the last ones are the legend's."""
    found = []
    for path in ET.fromstring(svg).iter(f"{SVG}path"):
        style = path.get("style", "")
        if f"stroke: {colour}" in style and "fill: none" in style:
            for stretch in str(path.get("d")).split("M")[1:]:
                steps = re.findall(r"(-?[\d.]+) (-?[\d.]+)", stretch)
                found.append([(float(x), float(y)) for x, y in steps])
    return found[:-1]


def test_a_line_goes_through_its_values_on_a_linear_scale() -> None:
    ((x0, y0), (x1, y1), (x2, y2)) = paths(drawn(line((0, 5, 10))), ANGER)[0]
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)
    assert y0 > y2


def test_equal_ratios_are_equal_distances_on_a_logarithmic_scale() -> None:
    svg = drawn(line((1, 10, 100)), y=Axis(scale="log"))
    ys = [y for _, y in paths(svg, ANGER)[0]]
    assert ys[0] - ys[1] == pytest.approx(ys[1] - ys[2], abs=0.2)
    assert {"1", "10", "100"} <= texts(svg)


def test_nan_leaves_a_gap() -> None:
    svg = drawn(line((1, 2, math.nan, 4, 5)))
    assert [len(stretch) for stretch in paths(svg, ANGER)] == [2, 2]
    assert "nan" not in svg


def texts(svg: str) -> set[str]:
    return {str(element.text) for element in ET.fromstring(svg).iter(f"{SVG}text")}


def test_names_are_text_and_the_figure_is_described() -> None:
    svg = drawn(line((1, 2), name=EVIL))
    root = ET.fromstring(svg)
    assert root.get("aria-label") == "x & y"
    assert EVIL[:-1] in texts(svg)
    assert root.find(f".//{SVG}img") is None
    assert "怒り" in texts(drawn(line((1, 2), name="怒り")))


def test_an_emotion_keeps_its_colour_whatever_is_beside_it() -> None:
    joy = line((1, 2), emotion="joy", name="joy")
    assert ANGER in drawn(line((1, 2), name="怒り"))
    assert ANGER in drawn(joy, line((1, 2)), labels=("awe", "joy", "anger"))
    assert drawn(joy, labels=("awe", "joy")) != drawn(joy, labels=("joy",))


def test_every_colour_has_a_rule_for_dark_paper() -> None:
    svg = drawn(
        Band(x=(0, 1), low=(0, 0), high=(2, 2), colour="null"),
        line((1, 2)),
        Level(at=0.5, colour="accent"),
    )
    dark = svg[svg.index("prefers-color-scheme:dark") :]
    body = svg[svg.index("</style>") :]
    used = set(re.findall(r"(?:fill|stroke): (#\w+)", body))
    assert used
    assert {colour for colour in used if f"{colour}" not in dark} == set()


def test_the_same_chart_gives_the_same_bytes_and_figures_share_no_id() -> None:
    chart = Chart(rows=[[Panel(marks=[line((1, 2)), Level(at=0.5)])]])
    first = to_svg(chart, name="a", title="t", labels=["anger"])
    assert to_svg(chart, name="a", title="t", labels=["anger"]) == first
    other = to_svg(chart, name="b", title="t", labels=["anger"])
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (first, other)]
    assert ids[0]
    assert ids[0] & ids[1] == set()
    assert set(re.findall(r"#([mp]\w{10})", first)) <= ids[0]


def test_every_kind_of_mark_is_drawn() -> None:
    intervals = Points(
        x=(0.5, math.nan),
        y=("first", "second"),
        colour=of_emotion("anger"),
        error=((0.2, 0.7), (math.nan, math.nan)),
        text=("here", ""),
    )
    names = Axis(scale="category", categories=("second", "first"))
    panel = Panel(
        marks=[intervals],
        emotions=("anger",),
        title="Rows",
        x=Axis(format=".0%", zero=True, title="share"),
        y=names,
    )
    key = [
        Key(name="open", kind="marker", symbol="circle-open"),
        Key(name="grey", kind="band", colour="null"),
    ]
    svg = to_svg(Chart(rows=[[panel]], key=key), name="all", title="t", labels=["anger"])
    wanted = {"anger · Rows", "share", "50%", "first", "second", "here", "open", "grey"}
    assert wanted <= texts(svg)
    at = {
        each.text: (float(each.get("x", "nan")), float(each.get("y", "nan")))
        for each in ET.fromstring(svg).iter(f"{SVG}text")
    }
    # Names run from top to bottom; the point stands in the row of its name, at its value.
    assert at["second"][1] < at["first"][1]
    assert at["here"] == pytest.approx((at["50%"][0], at["first"][1]), abs=10)


def test_grids_of_colours_and_boxes_are_tables_on_paper() -> None:
    grid = Cells(values=((1.0,),), x=("a",), y=("b",), title="cosine")
    box = Box(values=(1.0, 2.0), name="all", colour="text")
    assert not any(Chart(rows=[[Panel(marks=[mark])]]).on_paper for mark in (grid, box))
    assert Chart(rows=[[Panel(marks=[line((1, 2))])]]).on_paper
