from __future__ import annotations

from emoact.views.throughput import throughput_figure


def test_the_area_starts_at_zero_and_holds_the_history() -> None:
    figure = throughput_figure([(1.0, 290.0), (2.0, 310.0)], height=80)
    (trace,) = figure.data
    assert list(trace.x) == [1.0, 2.0]
    assert list(trace.y) == [290.0, 310.0]
    assert trace.fill == "tozeroy"
    assert figure.layout.yaxis.rangemode == "tozero"
    assert figure.layout.height == 80


def test_a_single_point_can_be_seen() -> None:
    (trace,) = throughput_figure([(1.0, 290.0)]).data
    assert "markers" in trace.mode
