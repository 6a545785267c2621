from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoact.report.chart import Chart, Line, Panel, Span, log_ticks, ticks
from emoact.report.svg import draw

NAMESPACE = {"s": "http://www.w3.org/2000/svg"}


def line_of(**values: Any) -> Line:
    return Line(**{key: _floats(value) for key, value in values.items()})


def span_of(**values: Any) -> Span:
    return Span(**{key: _floats(value) for key, value in values.items()})


def _floats(value: Any) -> Any:
    return tuple(map(float, value)) if isinstance(value, tuple) else value


def chart(*lines: Line, spans: tuple[Span, ...] = (), log: bool = False) -> Chart:
    panel = Panel(title="A <b>title</b>", lines=lines, spans=spans)
    return Chart(title="x & y", panels=(panel,), x_title="layer", y_title="norm", log=log)


def points(svg: str, css: str) -> list[list[tuple[float, float]]]:
    found = []
    for path in ET.fromstring(svg).iterfind("s:path", NAMESPACE):
        if path.get("class") == css and "h22" not in str(path.get("d")):
            steps = str(path.get("d")).strip("MZ").split("L")
            found.append([tuple(map(float, step.split())) for step in steps])
    return found  # type: ignore[return-value]


def test_a_line_goes_through_its_values_on_a_linear_scale() -> None:
    (line,) = points(
        draw(chart(line_of(name="anger", x=(0, 1, 2), y=(0, 5, 10))), name="a"), "line c0"
    )
    (x0, y0), (x1, y1), (x2, y2) = line
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2)
    assert y0 - y1 == pytest.approx(y1 - y2, abs=0.2)
    assert y0 > y2


def test_equal_ratios_are_equal_distances_on_a_logarithmic_scale() -> None:
    drawn = draw(chart(line_of(name="anger", x=(0, 1, 2), y=(1, 10, 100)), log=True), name="a")
    (line,) = points(drawn, "line c0")
    ys = [y for _, y in line]
    assert ys[0] - ys[1] == pytest.approx(ys[1] - ys[2], abs=0.2)


def test_nan_leaves_a_gap() -> None:
    drawn = draw(chart(line_of(name="anger", x=(0, 1, 2, 3), y=(1, 2, math.nan, 4))), name="a")
    assert [len(stretch) for stretch in points(drawn, "line c0")] == [2, 1]
    assert "nan" not in drawn


def test_a_band_and_a_null_are_drawn_behind_the_lines() -> None:
    line = line_of(name="anger", x=(0, 1), y=(2, 2), low=(1, 1), high=(3, 3))
    drawn = draw(
        chart(line, spans=(span_of(name="null", x=(0, 1), low=(-1, -1), high=(1, 1)),)), name="a"
    )
    assert (
        drawn.index('class="null" d=')
        < drawn.index('class="band c0"')
        < drawn.rindex('class="line c0"')
    )


def test_names_are_text_and_the_figure_is_described() -> None:
    root = ET.fromstring(draw(chart(line_of(name="<img src=x>", x=(0,), y=(1,))), name="a"))
    assert root.get("aria-label") == "x & y"
    texts = [element.text for element in root.iterfind("s:text", NAMESPACE)]
    assert "A <b>title</b>" in texts
    assert "<img src=x>" in texts
    assert root.find(".//s:img", NAMESPACE) is None


def test_an_emotion_keeps_its_colour_whatever_it_is_called_and_whoever_is_beside_it() -> None:
    alone = draw(chart(line_of(name="怒り", label="anger", x=(0,), y=(1,))), name="a")
    line, other = line_of(name="anger", x=(0,), y=(1,)), line_of(name="joy", x=(0,), y=(1,))
    assert "#B32D1F" in alone
    assert "#B32D1F" in draw(chart(other, line), name="a")


@given(low=st.floats(-1e6, 1e6), width=st.floats(1e-3, 1e6))
def test_ticks_lie_within_the_range_and_are_few(low: float, width: float) -> None:
    found = ticks(low, low + width)
    assert 1 <= len(found) <= 8
    slack = 1e-6 * max(abs(low), width, 1)
    assert all(low - slack <= tick <= low + width + slack for tick in found)
    assert found == sorted(set(found))


def test_logarithmic_ticks_are_round() -> None:
    assert log_ticks(1.5, 60.0) == [2, 5, 10, 20, 50]
    assert log_ticks(1.0, 1000.0) == [1, 3, 10, 30, 100, 300, 1000]
