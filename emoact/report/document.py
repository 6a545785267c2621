"""Contents of a report before it is written: sections of text, tables and figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from emoact.views.chart import Chart


class Code(str):
    """Text that is set with a fixed width: a path, a hook, a hash."""

    __slots__ = ()


class Strong(str):
    """Text that stands out."""

    __slots__ = ()


Text = tuple[str, ...]
"""Pieces of one sentence or cell: plain, `Code` or `Strong`; none of them is markup."""

Tone = Literal["note", "warning", "error"]


_MARKED = re.compile(r"\\([!-/:-@\[-`{-~])|(`+)(.+?)\2|\*\*((?:\\.|[^\\])+?)\*\*")


def text_of(text: Text) -> str:
    """The same without any distinction between its pieces."""
    return "".join(text)


def from_markdown(sentence: str) -> Text:
    """The pieces of a sentence of a view, which marks code and bold words as Markdown does."""
    pieces: list[str] = []
    end = 0
    for found in _MARKED.finditer(sentence):
        escaped, _, code, strong = found.groups()
        marked = Code(code.strip()) if code else Strong(text_of(from_markdown(strong or "")))
        pieces += [sentence[end : found.start()], escaped or marked]
        end = found.end()
    # A word joiner keeps `:smile:` from becoming a picture on a page.
    return tuple(p for p in [*pieces, sentence[end:].replace("\u2060", "")] if p)


@dataclass(frozen=True, kw_only=True)
class Paragraph:
    """A paragraph."""

    text: Text


@dataclass(frozen=True, kw_only=True)
class Remark:
    """A paragraph that a reader must not miss."""

    tone: Tone
    text: Text


@dataclass(frozen=True, kw_only=True)
class Bullets:
    """A list."""

    items: tuple[Text, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        head: Names of the columns.
        rows: As many cells as the head has.
        numeric: Columns that are set to the right.
        caption: What it holds.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    numeric: frozenset[int] = frozenset()
    caption: Text = ()

    def __post_init__(self) -> None:
        if any(len(row) != len(self.head) for row in self.rows):
            raise ValueError("a row has another number of cells than the head")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A chart with the sentence below it.

    Attributes:
        name: File name without extension where it is a file.
        chart: What is drawn.
        caption: What it shows.
        alt: The figure in one sentence, for readers who cannot see it.
        say: Translation of the words of the chart.
    """

    name: str
    chart: Chart
    caption: Text
    alt: str
    say: Callable[[str], str] = str

    def svg(self, labels: Sequence[str]) -> str:
        """One `svg` element.

        Args:
            labels: Every emotion of the results, so that each keeps its colour.
        """
        # matplotlib takes most of a second to import, and the dashboard draws no such figure.
        from emoact.report.figures import to_svg

        return to_svg(self.chart, name=self.name, title=self.alt, labels=labels, say=self.say)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Lines of code or of a shell."""

    text: str
    language: str = ""


Block = Paragraph | Remark | Bullets | Table | Figure | Listing


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading with what stands under it.

    Attributes:
        name: Stable name, for links; unique in the document.
        title: Heading.
        level: 2 for a part, 3 for a subsection.
    """

    name: str
    title: Text
    blocks: tuple[Block, ...]
    level: int = 2


@dataclass(frozen=True, kw_only=True)
class Document:
    """A whole report.

    Attributes:
        lang: `en` or `ja`.
        title: Heading of the page.
        subtitle: The line below it.
        contents: Heading of the table of contents.
        sections: In order.
    """

    lang: str
    title: Text
    subtitle: Text
    contents: str
    sections: tuple[Section, ...]

    def figures(self) -> tuple[Figure, ...]:
        """Every figure in order."""
        return tuple(
            block
            for section in self.sections
            for block in section.blocks
            if isinstance(block, Figure)
        )


def table(
    head: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    *,
    numeric: Sequence[int] = (),
    caption: Text = (),
) -> Table:
    """A table whose cells may be given as plain text."""
    return Table(
        head=tuple(head),
        rows=tuple(
            tuple((cell,) if isinstance(cell, str) else cell for cell in row) for row in rows
        ),
        numeric=frozenset(numeric),
        caption=caption,
    )
