"""A report as one HTML file: no script, no address but its own, printable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
from emoact.report.style import STYLE

# What the page may load: nothing. Styles stand in the file.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
"""What a report may load and do: nothing but its own styles and pictures."""


def to_html(document: Document, *, labels: Sequence[str] = ()) -> str:
    """The whole file.

    Args:
        document: What to write.
        labels: Every emotion of the results, so that each keeps its colour.
    """
    title = escape(text_of(document.title))
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="{document.lang}">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            f"<title>{title}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            "<main>",
            "<header>",
            f"<h1>{_inline(document.title)}</h1>",
            f'<p class="subtitle">{_inline(document.subtitle)}</p>',
            "</header>",
            *_contents(document),
            *(line for section in document.sections for line in _section(section, labels)),
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _contents(document: Document) -> Iterable[str]:
    yield f'<nav aria-label="{escape(document.contents)}"><ol>'
    for section in document.sections:
        if section.level == 2:
            yield f'<li><a href="#{section.name}">{_inline(section.title)}</a></li>'
    yield "</ol></nav>"


def _section(section: Section, labels: Sequence[str]) -> Iterable[str]:
    tag = f"h{section.level}"
    yield f'<{tag} id="{section.name}">{_inline(section.title)}</{tag}>'
    for block in section.blocks:
        yield from _block(block, labels)


def _block(block: Block, labels: Sequence[str]) -> Iterable[str]:
    if isinstance(block, Paragraph):
        yield f"<p>{_inline(block.text)}</p>"
    elif isinstance(block, Remark):
        yield f'<p class="remark {block.tone}" role="note">{_inline(block.text)}</p>'
    elif isinstance(block, Bullets):
        yield "<ul>"
        yield from (f"<li>{_inline(item)}</li>" for item in block.items)
        yield "</ul>"
    elif isinstance(block, Table):
        yield from _table(block)
    elif isinstance(block, Figure):
        yield "<figure>"
        yield block.svg(labels)
        yield f"<figcaption>{_inline(block.caption)}</figcaption>"
        yield "</figure>"
    elif isinstance(block, Listing):
        yield f"<pre><code>{escape(block.text)}</code></pre>"


def _table(table: Table) -> Iterable[str]:
    # A wide table scrolls by itself and does not widen the page; a keyboard has to reach that.
    yield '<div class="wide" tabindex="0" role="region"'
    yield f' aria-label="{escape(text_of(table.caption) or ", ".join(table.head))}"><table>'
    if table.caption:
        yield f"<caption>{_inline(table.caption)}</caption>"
    heads = (
        f'<th scope="col"{_aligned(table, column)}>{escape(name)}</th>'
        for column, name in enumerate(table.head)
    )
    yield f"<thead><tr>{''.join(heads)}</tr></thead>"
    yield "<tbody>"
    for row in table.rows:
        cells = (f"<td{_aligned(table, at)}>{_inline(cell)}</td>" for at, cell in enumerate(row))
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody></table></div>"


def _aligned(table: Table, column: int) -> str:
    return ' class="number"' if column in table.numeric else ""


def _inline(text: Text) -> str:
    return "".join(_piece(piece) for piece in text)


def _piece(piece: str) -> str:
    if isinstance(piece, Code):
        return f"<code>{escape(piece)}</code>"
    if isinstance(piece, Strong):
        return f"<strong>{escape(piece)}</strong>"
    return escape(piece)
