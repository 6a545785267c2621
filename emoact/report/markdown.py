"""A report as Markdown, its figures as SVG files beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from emoact.report.document import (
    Block,
    Bullets,
    Code,
    Document,
    Figure,
    Listing,
    Paragraph,
    Remark,
    Section,
    Strong,
    Table,
    Text,
    text_of,
)

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~$^!])")


@dataclass(frozen=True, kw_only=True)
class MarkdownReport:
    """The text, and the figures that it shows by their file names."""

    text: str
    figures: Mapping[str, str]


def to_markdown(
    document: Document, *, figure_folder: str, labels: Sequence[str] = ()
) -> MarkdownReport:
    """The report and its figures.

    Args:
        document: What to write.
        figure_folder: Where the figures will lie, relative to the file.
        labels: Every emotion of the results, so that each keeps its colour.
    """
    lines = [f"# {_inline(document.title)}", "", _inline(document.subtitle), ""]
    for section in document.sections:
        lines += _section(section, figure_folder)
    drawn = {f"{figure.name}.svg": figure.svg(labels) + "\n" for figure in document.figures()}
    return MarkdownReport(text="\n".join(lines).rstrip("\n") + "\n", figures=drawn)


def _section(section: Section, folder: str) -> Iterable[str]:
    yield f"{'#' * section.level} {_inline(section.title)}"
    yield ""
    for block in section.blocks:
        yield from _block(block, folder)
        yield ""


def _block(block: Block, folder: str) -> Iterable[str]:
    if isinstance(block, Paragraph):
        yield _inline(block.text)
    elif isinstance(block, Remark):
        yield f"> {_inline(block.text)}"
    elif isinstance(block, Bullets):
        yield from (f"- {_inline(item)}" for item in block.items)
    elif isinstance(block, Table):
        yield from _table(block)
    elif isinstance(block, Figure):
        alternative = _escaped(block.alt)
        yield f"![{alternative}]({folder}/{block.name}.svg)"
        yield ""
        yield f"*{_inline(block.caption)}*"
    elif isinstance(block, Listing):
        longest = max((len(run) for run in re.findall(r"`+", block.text)), default=0)
        fence = "`" * max(3, longest + 1)
        yield f"{fence}{block.language}"
        yield block.text.rstrip("\n")
        yield fence


def _table(table: Table) -> Iterable[str]:
    if table.caption:
        yield _inline(table.caption)
        yield ""
    yield f"| {' | '.join(_escaped(name) for name in table.head)} |"
    marks = ("---:" if column in table.numeric else "---" for column in range(len(table.head)))
    yield f"| {' | '.join(marks)} |"
    for row in table.rows:
        yield f"| {' | '.join(_inline(cell) for cell in row)} |"


def _inline(text: Text) -> str:
    return "".join(_piece(piece) for piece in text) if text_of(text) else ""


def _piece(piece: str) -> str:
    line = " ".join(piece.splitlines()) if "\n" in piece or "\r" in piece else piece
    if isinstance(piece, Strong):
        return f"**{_escaped(line)}**"
    if isinstance(piece, Code):
        return _code(line)
    return _escaped(line)


def _code(text: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    # A bar ends a cell even within code.
    return f"{fence}{pad}{text}{pad}{fence}".replace("|", "\\|")


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", escape(text, quote=False))
