from emoact.ui.run_progress import throughput_figure


def test_the_area_starts_at_zero_and_holds_the_history() -> None:
    figure = throughput_figure(((1.0, 290.0), (2.0, 310.0)), "light")
    (trace,) = figure.data
    assert list(zip(trace.x, trace.y, strict=True)) == [(1.0, 290.0), (2.0, 310.0)]
    assert trace.fill == "tozeroy"
    assert figure.layout.yaxis.rangemode == "tozero"
    (single,) = throughput_figure(((1.0, 290.0),), "dark").data
    assert "markers" in single.mode
