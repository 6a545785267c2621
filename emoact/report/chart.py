"""Line charts as values: panels with lines, bands and marks, before they are drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Dash = Literal["solid", "dash", "dot"]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a panel.

    Attributes:
        name: What the legend calls it; lines of one name share an entry.
        x: Layers.
        y: As many values; NaN leaves a gap.
        low: Lower edge of its band, or empty.
        high: Upper edge, or empty.
        label: The emotion that decides colour and mark; the name where it is empty.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    dash: Dash = "solid"
    label: str = ""

    @property
    def style(self) -> str:
        """What decides colour and mark."""
        return self.label or self.name

    def __post_init__(self) -> None:
        lengths = {len(self.x), len(self.y), len(self.low or self.x), len(self.high or self.x)}
        if len(lengths) != 1 or bool(self.low) != bool(self.high):
            raise ValueError(f"line {self.name!r} has values of different numbers")


@dataclass(frozen=True, kw_only=True)
class Span:
    """A grey band that belongs to no line, such as a null distribution."""

    name: str
    x: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One pair of axes."""

    title: str
    lines: tuple[Line, ...]
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Panels side by side on one vertical scale each.

    Attributes:
        title: For whoever cannot see it.
        x_title: Below every panel.
        y_title: Beside the first panel.
        log: Logarithmic values; needs positive ones.
        zero: The axis begins at, or contains, zero.
        share_y: All panels have one vertical range.
    """

    title: str
    panels: tuple[Panel, ...]
    x_title: str
    y_title: str
    log: bool = False
    zero: bool = True
    share_y: bool = False

    def entries(self) -> dict[str, Line]:
        """What the legend lists, in order: a line for each name."""
        found: dict[str, Line] = {}
        for panel in self.panels:
            for line in panel.lines:
                found.setdefault(line.name, line)
        return found


def finite(values: Sequence[float]) -> list[float]:
    """The values that can be drawn."""
    return [value for value in values if math.isfinite(value)]


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round values within a range, at most `most` or so of them."""
    width = high - low
    if not math.isfinite(width) or width <= 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(width / most))
    step = next(power * step for step in (1, 2, 5, 10) if width / (power * step) <= most)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times the powers of ten within a range; fewer steps where it is wide."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    decades = math.log10(high / low)
    steps = (1, 2, 5) if decades <= 1.8 else (1, 3) if decades <= 3.5 else (1,)
    found = [step * 10.0**power for power in powers for step in steps]
    return [tick for tick in found if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
