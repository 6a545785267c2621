import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoact import numbers


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, "0"),
        (1, "1.00"),
        (9.996, "10.0"),
        (12.34, "12.3"),
        (126.4, "126"),
        (999.6, "1,000"),
        (1234.5, "1,230"),
        (123456, "123,000"),
        (0.012345, "0.0123"),
        (-0.5, "−0.500"),
        (1.234e-7, "1.23 × 10⁻⁷"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
    ],
)
def test_three_significant_digits(value: float, expected: str) -> None:
    assert numbers.significant(value) == expected


@given(st.floats(min_value=1e-3, max_value=1e12))
def test_significant_digits_are_within_half_a_unit_of_the_last(value: float) -> None:
    shown = float(numbers.significant(value).replace(",", ""))
    assert abs(shown - value) <= 0.5 * 10 ** (math.floor(math.log10(value)) - 2) * 1.0001


@pytest.mark.parametrize(
    ("n_bytes", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (999_499, "999 kB"),
        (999_600, "1.00 MB"),
        (620_000_000, "620 MB"),
        (1_917_677_824, "1.92 GB"),
        (5e18, "5,000 PB"),
    ],
)
def test_bytes_are_si(n_bytes: float, expected: str) -> None:
    assert numbers.size(n_bytes) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "0.00 s"),
        (0.421, "0.42 s"),
        (8.34, "8.3 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 m 00 s"),
        (80, "1 m 20 s"),
        (3599.7, "1 h 00 m"),
        (7500, "2 h 05 m"),
        (86_400 * 3 + 4 * 3600, "3 d 4 h"),
        (-80, "-1 m 20 s"),
        (math.nan, "–"),
        (math.inf, "–"),
    ],
)
def test_durations(seconds: float, expected: str) -> None:
    assert numbers.duration(seconds) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.4, "0 s"), (7.6, "8 s"), (14.2, "14 s"), (80.4, "1 m 20 s")]
)
def test_durations_that_go_on_have_no_decimals(seconds: float, expected: str) -> None:
    assert numbers.whole_seconds(seconds) == expected


def test_counts_and_their_nouns() -> None:
    assert numbers.plural(1, "prompt") == "1 prompt"
    assert numbers.plural(12_345, "prompt") == "12,345 prompts"
    assert numbers.plural(0, "class", "classes") == "0 classes"


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (timedelta(seconds=-90), "just now"),
        (timedelta(seconds=20), "just now"),
        (timedelta(minutes=12, seconds=40), "12 m ago"),
        (timedelta(hours=3, minutes=59), "3 h ago"),
        (timedelta(hours=30), "yesterday"),
        (timedelta(days=5), "5 d ago"),
        (timedelta(days=40), "2026-01-01"),
    ],
)
def test_ages(before: timedelta, expected: str) -> None:
    now = datetime(2026, 2, 10, 12, tzinfo=UTC)
    assert numbers.ago(now - before, now) == expected


@pytest.mark.parametrize(
    ("items", "expected"), [(["a"], "a"), ([1, 2], "1 and 2"), (("a", "b", "c"), "a, b and c")]
)
def test_items_are_listed_with_and_before_the_last(items: Sequence[object], expected: str) -> None:
    assert numbers.listed(items) == expected


def test_of_many_items_the_first_are_named_and_the_others_counted() -> None:
    assert numbers.some(["a", "b", "c"], limit=3) == "a, b, c"
    assert numbers.some(["a", "b", "c", "d"], limit=2) == "a, b and 2 more"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T14:05:00+02:00", datetime(2026, 1, 31, 12, 5, tzinfo=UTC)),
        ("2026-01-31T14:05:00", datetime(2026, 1, 31, 14, 5, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("1969-12-31T23:59:59+00:00", None),
        ("soon", None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_a_moment_is_one_that_every_library_takes(text: object, expected: datetime | None) -> None:
    assert numbers.moment_of(text) == expected
