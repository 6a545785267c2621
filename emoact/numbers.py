"""Formatted numbers and lists: three significant digits, thousands separators, SI units."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import SupportsFloat

_BYTE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
MISSING, MINUS = "–", "\N{MINUS SIGN}"


def significant(number: SupportsFloat, digits: int = 3) -> str:
    """`1,230`, `12.3`, `−0.0123`, `1.23 × 10⁻⁷`; an en dash for NaN."""
    value = float(number)
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    if value == 0:
        return "0"
    magnitude = math.floor(math.log10(abs(value)))
    rounded = round(value, digits - 1 - magnitude)
    # Rounding can reach the next power of ten: 9.996 is 10.0 and not 10.00.
    magnitude = math.floor(math.log10(abs(rounded)))
    sign = MINUS if rounded < 0 else ""
    if magnitude < -4 or magnitude >= 15:
        mantissa, _, power = f"{abs(rounded):.{digits - 1}e}".partition("e")
        return f"{sign}{mantissa} × 10{str(int(power)).translate(_RAISED)}"
    return f"{sign}{abs(rounded):,.{max(digits - 1 - magnitude, 0)}f}"


def two(value: float | None) -> str:
    """`0.12`, `−0.12`: two decimals; an en dash for None, NaN and infinities."""
    if value is None or not math.isfinite(value):
        return MISSING
    # Adding 0 makes a negative zero positive.
    return f"{round(value, 2) + 0.0:.2f}".replace("-", MINUS)


def signed(value: SupportsFloat | None, form: str = ".3f") -> str:
    """`+0.123`, negative numbers with a minus sign; an en dash for None."""
    return MISSING if value is None else f"{float(value):+{form}}".replace("-", MINUS)


def short(value: SupportsFloat) -> str:
    """`2`, `−0.5`: no more digits than it takes."""
    return f"{float(value):g}".replace("-", MINUS)


def percent(share: SupportsFloat) -> str:
    """`6.5 %`: share in per cent."""
    return f"{significant(100 * float(share), 2)} %"


def count(value: int) -> str:
    """`12,345`."""
    return f"{value:,}"


def plural(value: int, one: str, many: str | None = None) -> str:
    """`1 prompt`, `200 prompts`."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def listed(items: Iterable[object]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *others, last = map(str, items)
    return f"{', '.join(others)} and {last}" if others else last


def some(items: Sequence[str], *, limit: int = 5) -> str:
    """First few items, and the number of the others."""
    more = len(items) - limit
    return ", ".join(items[:limit]) + (f" and {more} more" if more > 0 else "")


def size(n_bytes: SupportsFloat) -> str:
    """`620 MB`: powers of a thousand, three significant digits."""
    value = float(n_bytes)
    for unit in _BYTE_UNITS:
        # From 999.5 on, rounding gives 1,000 of this unit.
        if abs(value) < 999.5 or unit == _BYTE_UNITS[-1]:
            return f"{value:.0f} B" if unit == "B" else f"{significant(value)} {unit}"
        value /= 1000
    raise AssertionError  # pragma: no cover


def duration(seconds_taken: SupportsFloat) -> str:
    """`0.42 s`, `8.3 s`, `45 s`, `1 m 20 s`, `2 h 05 m`, `3 d 4 h`; an en dash for NaN."""
    seconds = float(seconds_taken)
    if not math.isfinite(seconds):
        return MISSING
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 9.95:
        return f"{seconds:.2f} s" if seconds < 0.995 else f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} m"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24} h"


def whole_seconds(seconds_so_far: SupportsFloat) -> str:
    """`0 s`, `14 s`, `1 m 20 s`: duration so far, in whole seconds."""
    seconds = float(seconds_so_far)
    return duration(float(round(seconds))) if abs(seconds) >= 9.5 else f"{seconds:.0f} s"


def moment_of(text: object) -> datetime | None:
    """The moment that an ISO 8601 text names, with its offset; None for anything else.

    A text without an offset is in UTC. Years that some library cannot take count as nothing.
    """
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    if found is None or not 1970 < found.year < 2262:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def time_of_file(seconds: float) -> datetime:
    """The time of a file in UTC; a file system can state years that pandas does not have."""
    return datetime.fromtimestamp(min(max(seconds, 0.0), 9_214_646_399.0), tz=UTC)


def ago(moment: datetime, now: datetime) -> str:
    """`just now`, `12 m ago`, `3 h ago`, `yesterday`, `5 d ago`, else the date."""
    elapsed = now - moment
    if elapsed < timedelta(minutes=1):
        # A moment in the future means that the clock was set back.
        return "just now"
    if elapsed < timedelta(hours=1):
        return f"{elapsed.seconds // 60} m ago"
    if elapsed < timedelta(days=1):
        return f"{elapsed.seconds // 3600} h ago"
    if elapsed < timedelta(days=2):
        return "yesterday"
    if elapsed < timedelta(days=14):
        return f"{elapsed.days} d ago"
    return moment.strftime("%Y-%m-%d")
