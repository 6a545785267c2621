from emoact.views.chart import Box, Chart, Panel, Points
from emoact.views.marked import ringed


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
