"""Declaration of columns: names, intervals and where the values come from."""

from types import SimpleNamespace
from typing import Any

import pytest

from emoact.measures import Columns, Measure

SOURCE = SimpleNamespace(
    gain=2.0, gain_interval=(1.0, 3.0), low_and_high=(0.5, 0.7), inner=SimpleNamespace(gain=5.0)
)


def values(measures: tuple[Measure, ...], source: Any = SOURCE) -> dict[str, Any]:
    return {each.name: each.compute(source) for each in measures if each.compute is not None}


def test_a_column_is_the_attribute_of_its_name_unless_it_is_computed() -> None:
    column = Columns("t")
    measures = (column("gain", "Gain"), column("twice", "Twice", lambda source: 2 * source.gain))
    assert values(measures) == {"gain": 2.0, "twice": 4.0}
    assert [each.table for each in measures] == ["t", "t"]
    assert values((Columns("t", path="inner")("gain", "Gain"),)) == {"gain": 5.0}


def test_an_estimate_brings_the_two_columns_of_its_interval() -> None:
    first, low, high = Columns("t", judged=True).estimate(
        "gain", "Gain", of="the 95 % interval of gain", unit="points", chance=0.0
    )
    assert values((first, low, high)) == {"gain": 2.0, "gain_low": 1.0, "gain_high": 3.0}
    assert first.interval == ("gain_low", "gain_high")
    assert low.definition == "Lower end of the 95 % interval of gain"
    assert {each.unit for each in (first, low, high)} == {"points"}
    assert all(each.judged for each in (first, low, high))


@pytest.mark.parametrize(
    ("stem", "names"), [("g", ("g_low", "g_high")), ("", ("low", "high")), (None, None)]
)
def test_an_interval_is_named_by_the_stem(stem: str | None, names: tuple[str, str] | None) -> None:
    first, low, high = Columns("t").estimate(
        "gain", "Gain", of="its interval", stem=stem, ends=lambda source: source.low_and_high
    )
    assert first.interval == (low.name, high.name) == (names or ("gain_low", "gain_high"))
    assert [each.compute(SOURCE) for each in (low, high) if each.compute] == [0.5, 0.7]
