"""A report as one HTML file: no script, no address but its own, printable."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from markdown_it import MarkdownIt

from emoact.report.document import Block, Document, Figure, Remark, Table

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
"""Content policy of a report: it may use its own styles and pictures and nothing else."""

_FRAME_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'"

# HTML within Markdown stays text.
_MARKDOWN = MarkdownIt("js-default")
_STYLE = Path(__file__).with_name("report.css")


def to_html(document: Document, *, labels: Sequence[str] = ()) -> str:
    """The whole file; every emotion among the labels keeps its colour."""
    title = _MARKDOWN.renderInline(document.title)
    parts = [
        "<!DOCTYPE html>",
        f'<html lang="{document.lang}">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        f"<title>{title}</title>",
        f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style>",
        "</head>",
        "<body>",
        "<main>",
        f"<header><h1>{title}</h1>",
        f'<p class="subtitle">{_MARKDOWN.renderInline(document.subtitle)}</p></header>',
        f'<nav aria-label="{escape(document.contents)}"><ol>',
    ]
    titles = {each.name: _MARKDOWN.renderInline(each.title) for each in document.sections}
    parts += [
        f'<li><a href="#{section.name}">{titles[section.name]}</a></li>'
        for section in document.sections
        if section.level == 2
    ]
    parts.append("</ol></nav>")
    for section in document.sections:
        tag = f"h{section.level}"
        parts.append(f'<{tag} id="{section.name}">{titles[section.name]}</{tag}>')
        for block in section.blocks:
            parts += _block(block, labels)
    return "\n".join([*parts, "</main>", "</body>", "</html>", ""])


def preview(report: str) -> str:
    """A page around a report of unknown origin, in which it can run nothing and lead nowhere.

    The report is in a frame of its own whose sandbox refuses scripts, forms, windows and timed
    redirections; the policy of the page refuses every other address in that frame. Links within
    the report work by the base.
    """
    inner = escape(f'<!DOCTYPE html><base href="about:srcdoc">{report}')
    return (
        f'<!DOCTYPE html><meta http-equiv="Content-Security-Policy" content="{_FRAME_POLICY}">'
        "<style>html,body,iframe{margin:0;border:0;width:100%;height:100%;overflow:hidden}</style>"
        f'<iframe sandbox="" title="Report" srcdoc="{inner}"></iframe>'
    )


def _block(block: Block, labels: Sequence[str]) -> Iterable[str]:
    if isinstance(block, Remark):
        text = _MARKDOWN.renderInline(block.text)
        yield f'<p class="remark {block.tone}" role="note">{text}</p>'
    elif isinstance(block, Table):
        caption = _MARKDOWN.renderInline(block.caption)
        # A wide table scrolls and does not widen the page; a keyboard has to reach that.
        name = escape(block.caption or ", ".join(block.head))
        yield f'<div class="wide" tabindex="0" role="region" aria-label="{name}">'
        top = f"<table><caption>{caption}</caption>" if caption else "<table>"
        yield _MARKDOWN.render(block.markdown).replace("<table>", top, 1) + "</div>"
    elif isinstance(block, Figure):
        yield "<figure>"
        yield block.svg(labels)
        yield f"<figcaption>{escape(block.caption)}</figcaption></figure>"
    else:
        yield _MARKDOWN.render(block)
