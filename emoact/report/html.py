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

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
"""Content policy of a report: it may use its own styles and pictures and nothing else."""


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
            f"<style>{_STYLE}</style>",
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


_STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#0f151c;--muted:#5a6572;--line:#d7dde3;
--soft:#f4f6f8;--accent:#0e6e6b;--note:#0e6e6b;--warning:#9a6a00;--error:#b32d1f}
@media screen and (prefers-color-scheme:dark){:root{--paper:#14171b;--ink:#e8eaed;--muted:#a3aeba;
--line:#363e47;--soft:#1e2329;--accent:#5cc8c0;--note:#5cc8c0;--warning:#f0b429;--error:#f2684c}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.6 system-ui,-apple-system,
"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
:lang(ja) body,body:lang(ja){font-family:system-ui,-apple-system,"Hiragino Sans","Yu Gothic UI",
"Yu Gothic","Noto Sans CJK JP","Noto Sans JP",sans-serif;line-height:1.8}
main{max-width:1080px;margin:0 auto;padding:40px 24px 96px}
h1{font-size:1.9rem;line-height:1.25;margin:0 0 4px;font-weight:650}
h2{font-size:1.3rem;line-height:1.3;margin:52px 0 12px;padding-top:14px;
border-top:1px solid var(--line)}
h3{font-size:1.06rem;line-height:1.4;margin:30px 0 8px}
h1,h2,h3{text-wrap:balance}
p{margin:10px 0;max-width:74ch}
.subtitle{color:var(--muted);margin:0 0 20px}
a{color:var(--accent)}
nav{background:var(--soft);border:1px solid var(--line);border-radius:6px;padding:12px 20px}
nav ol{columns:3 220px;margin:0;padding-left:26px;font-size:.94rem}
nav li{break-inside:avoid;margin:0;padding:2px 0}
nav a{text-decoration:none}
nav a:hover,nav a:focus{text-decoration:underline}
ul{margin:10px 0;padding-left:22px;max-width:74ch}
li{margin:4px 0}
code{font:.87em/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",
"Noto Sans Mono CJK JP",monospace;background:var(--soft);padding:1px 4px;border-radius:4px;
overflow-wrap:anywhere}
pre{background:var(--soft);border:1px solid var(--line);border-radius:6px;padding:12px 14px;
overflow-x:auto;margin:12px 0}
pre code{background:none;padding:0;overflow-wrap:normal}
.remark{border-left:4px solid var(--note);background:var(--soft);padding:10px 14px;
border-radius:0 6px 6px 0;max-width:none}
.remark.warning{border-color:var(--warning)}
.remark.error{border-color:var(--error)}
.wide{overflow-x:auto;margin:14px 0}
table{border-collapse:collapse;min-width:60%;font-size:.92rem;line-height:1.5}
caption{caption-side:top;text-align:left;color:var(--muted);padding:0 0 6px}
th,td{text-align:left;vertical-align:top;padding:5px 16px 5px 0;
border-bottom:1px solid var(--line)}
td:first-child{white-space:nowrap}td:last-child:not(.number){min-width:11em}
.number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
th,th.number{font-weight:600;border-bottom-color:var(--muted);vertical-align:bottom;
white-space:normal}
td code{background:none;padding:0}
figure{margin:20px 0 8px}
figure svg{display:block;width:100%;height:auto}
figcaption{color:var(--muted);font-size:.92rem;max-width:80ch;margin-top:4px}
@media print{body{font-size:10.5pt}main{max-width:none;padding:0}nav{display:none}
h2,h3{break-after:avoid}figure,tr,.remark{break-inside:avoid}.wide{overflow:visible}
thead{display:table-header-group}a{color:inherit;text-decoration:none}
table{font-size:8.5pt}td code{overflow-wrap:anywhere}}
@page{margin:16mm}
"""
