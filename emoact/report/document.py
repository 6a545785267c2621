"""Contents of a report, and its written forms: Markdown, and HTML without script or address.

All text is Markdown, as the answers of views are. `Marked` tells it from text that came from a
user, which is escaped where it becomes a part of a report.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal

from markdown_it import MarkdownIt

from emoact.decode import straight
from emoact.views.chart import Chart
from emoact.views.text import mono

_SPECIAL = re.compile(r"([\\`*_{}\[\]#|~$^!])")
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
"""Content policy of a report: it may use its own styles and pictures and nothing else."""

_FRAME_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'"

# HTML within Markdown stays text.
_MARKDOWN = MarkdownIt("js-default")
_STYLE = Path(__file__).with_name("report.css")


class Marked(str):
    """Markdown."""

    __slots__ = ()


def marked(text: str) -> Marked:
    """The text as Markdown that shows exactly these characters; Markdown stays as it is."""
    if isinstance(text, Marked):
        return text
    line = straight(" ".join(text.splitlines()) if "\n" in text or "\r" in text else text)
    return Marked(_SPECIAL.sub(r"\\\1", escape(line, quote=False)))


def code(text: str) -> Marked:
    """A path, a hook or a hash, set with a fixed width."""
    return Marked(mono(text))


def bullets(items: Iterable[str]) -> Marked:
    """A list; nothing without items."""
    return Marked("\n".join(f"- {marked(item)}" for item in items))


def listing(text: str, language: str = "") -> Marked:
    """Lines of code or of a shell."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Marked("\n".join([f"{fence}{language}", text.rstrip("\n"), fence]))


@dataclass(frozen=True, kw_only=True)
class Remark:
    """A paragraph that a reader must not miss."""

    tone: Literal["note", "warning", "error"]
    text: str

    @property
    def markdown(self) -> str:
        """The remark as a quotation."""
        return f"> {self.text}"


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table; cells that are no Markdown are escaped, columns in `numeric` stand to the right."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Collection[int] = ()
    caption: str = ""

    def __post_init__(self) -> None:
        if any(len(row) != len(self.head) for row in self.rows):
            raise ValueError("a row has another number of cells than the head")

    @property
    def markdown(self) -> str:
        """The table without its caption."""
        marks = ["---:" if at in self.numeric else "---" for at in range(len(self.head))]
        # A bar ends a cell even within code.
        cells = [
            [re.sub(r"(?<!\\)\|", r"\\|", marked(cell)) for cell in row]
            for row in (self.head, *self.rows)
        ]
        return "\n".join(f"| {' | '.join(row)} |" for row in (cells[0], marks, *cells[1:]))


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A chart with the sentence below it.

    Attributes:
        name: File name without extension where it is a file.
        caption: What it shows, in one sentence and without marks.
        say: Translation of the words of the chart.
    """

    name: str
    chart: Chart
    caption: str
    say: Callable[[str], str] = str

    def svg(self, labels: Sequence[str]) -> str:
        """One `svg` element; the emotions among the labels have the colours of every page."""
        # matplotlib takes most of a second to import, and the dashboard draws no such figure.
        from emoact.report.figures import to_svg

        return to_svg(self.chart, name=self.name, title=self.caption, labels=labels, say=self.say)


Block = str | Remark | Table | Figure
"""A part of a section; a text is one or more paragraphs of Markdown, a list or a listing."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading with what stands under it.

    Attributes:
        name: Stable name, for links; unique in the document.
    """

    name: str
    title: str
    blocks: tuple[Block, ...]
    level: int = 2


@dataclass(frozen=True, kw_only=True)
class Document:
    """A whole report."""

    lang: str
    title: str
    subtitle: str
    contents: str
    sections: tuple[Section, ...]

    @property
    def figures(self) -> list[Figure]:
        """Every figure in order."""
        blocks = (block for section in self.sections for block in section.blocks)
        return [block for block in blocks if isinstance(block, Figure)]

    def markdown(self, figure_folder: str) -> str:
        """The report as Markdown, its figures as files in a folder beside it."""
        parts = [f"# {self.title}", self.subtitle]
        for section in self.sections:
            parts.append(f"{'#' * section.level} {section.title}")
            for block in section.blocks:
                if isinstance(block, Figure):
                    caption = marked(block.caption)
                    parts.append(f"![{caption}]({figure_folder}/{block.name}.svg)")
                    parts.append(f"*{caption}*")
                elif isinstance(block, Table):
                    parts += [part for part in (block.caption, block.markdown) if part]
                else:
                    parts.append(block if isinstance(block, str) else block.markdown)
        return "\n\n".join(parts) + "\n"


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
