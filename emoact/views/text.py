"""Text on pages: what came from a user made safe for Markdown, and the card of an answer."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from emoact.decode import straight
from emoact.models.registry import display_name

_FIGURE = re.compile(
    r"(?<=\d) (?=%)|(?<=\b[pdnr]) (?=[=≤<>≥] )|(?<=[=≤<>≥]) (?=[\d−])|(?<=layer) (?=\d)"
)
"""Spaces of a figure, outside of which a line may break."""
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
_SHORTCODE = re.compile(r":(?=[\w+-]+:)")

_BARE_LINK = re.compile(r"(?<=https:)(?=//)|(?<=http:)(?=//)|(?<=www)(?=\.)|(?<=@)(?=[-\w])", re.I)


@dataclass(frozen=True, kw_only=True)
class Card:
    """The answer about one emotion, pair or direction."""

    title: str
    verdict: str
    shown: bool
    lines: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The card in Markdown, for reports and shells."""
        said = " ".join(filter(None, self.lines))
        return f"**{md(self.title)}** ({md(self.verdict)}): {said}"


def md(text: str) -> str:
    """The text as Markdown that shows exactly these characters.

    Line breaks become spaces: names and messages stand within a sentence.
    """
    line = " ".join(straight(text).split("\n"))
    # `:smile:` is turned into an emoji after escapes are resolved; a word joiner keeps it text.
    line = _SHORTCODE.sub(":\u2060", line)
    # So are addresses, with or without a scheme.
    line = _BARE_LINK.sub("\u2060", line)
    return _PUNCTUATION.sub(r"\\\1", line)


def unbroken(text: str) -> str:
    """The Markdown with `84 %`, `p = 0.01` and `layer 3` each on one line; code stays as it is."""
    parts = text.split("`")
    return "`".join(
        _FIGURE.sub("\u00a0", part) if at % 2 == 0 else part for at, part in enumerate(parts)
    )


def mono(text: str) -> str:
    """The text as an inline code span, backticks included; for paths, ids and commands."""
    line = " ".join(straight(text).split("\n")) or " "
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if line.startswith("`") or line.endswith("`") or line != line.strip() else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def prose(text: str) -> str:
    """A message as Markdown: what it has in backticks is code, everything else is as it stands."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return md(text)
    return "".join(
        mono(part) if number % 2 else md(part) for number, part in enumerate(parts) if part
    )


def shortened(path: str, most: int = 24) -> str:
    """The end of a path, which tells it from others, with an ellipsis for what is left out."""
    return path if len(path) <= most else f"…{path[1 - most :]}"


def folders_help(folders: Sequence[str]) -> str:
    """The display name of each model by its folder, for the help of a picker."""
    return ", ".join(f"{mono(folder)}: {md(display_name(folder))}" for folder in folders) + "."


def listed(words: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def coloured(
    strings: Sequence[str],
    values: Sequence[float],
    underlined: int = 0,
    *,
    limit: float | None = None,
) -> str:
    """Tokens as HTML, coloured by a signed value: teal above 0, brown below.

    A NaN has no colour; colours are full from `limit` on, else at the largest of the values.
    """
    finite = [abs(value) for value in values if math.isfinite(value)]
    largest = limit or max(finite, default=0.0) or 1.0
    spans = []
    for at, (token, value) in enumerate(zip(strings, values, strict=True)):
        share = min(1.0, abs(value) / largest) if math.isfinite(value) else 0.0
        red, green, blue = (14, 130, 142) if value > 0 else (176, 98, 24)
        style = f"background:rgba({red},{green},{blue},{0.55 * share:.2f})"
        if at < underlined:
            style += ";text-decoration:underline dotted"
        words = html.escape(straight(token)).replace("\n", "⏎")
        spans.append(f'<span style="{style}">{words}</span>')
    return f'<p style="white-space:pre-wrap">{"".join(spans)}</p>'
