"""Views of pages as parts of a section: question, answer, figure or table."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from pandas.api.types import is_float_dtype

from emoact import numbers
from emoact.report.document import Block, Figure, Marked, Remark, Table, bullets, marked
from emoact.report.words import Words
from emoact.views.view import Caution, Shown, View

_MOST_ROWS = 60
_NEEDLESS = re.compile(r"\\([^\\`*_{}\[\]#|~$^!<>&])|\u2060")
"""Escapes that Streamlit needs and Markdown does not; a word joiner parts `:smile:` on a page."""


def view_blocks(
    source: Any,
    views: Iterable[View[Any]],
    words: Words,
    *,
    random: Collection[str],
    badges: Sequence[Remark] = (),
    first: int = 1,
) -> list[Block]:
    """Every view of the report once: its title and question, then each of its choices.

    English has the sentences of the page. Another language has sentences of its own for the views
    that it knows, and for the others the English ones with a note. Answers about models with random
    weights are left out; `badges` stand before every figure. `first` is the number of the first
    figure of a view; no two of a document may have one name.
    """
    blocks: list[Block] = []
    for view in views:
        choices = view.in_report(source) if view.in_report else ()
        shown = [(choice, view.show(source, choice)) for choice in choices]
        shown = [each for each in shown if len(each[1].table)]
        key = f"view.{view.name}"
        own = words.has(f"{key}.title")
        if shown:
            title = words(f"{key}.title") if own else marked(view.title)
            question = words(f"{key}.question") if own else marked(view.question)
            blocks.append(f"**{title}**: {question}")
            if not own and words.lang != "en":
                blocks.append(words("view.english"))
        for number, (choice, each) in enumerate(shown, start=first):
            said = {
                name: words.joined(value) if isinstance(value, list | tuple) else str(value)
                for name, value in choice.items()
            }
            if set(said.values()) & set(random):
                blocks.append(Remark(tone="warning", text=words("random.short")))
            elif not own:
                blocks += _answer(view.answer(source, choice, each))
            caption = words.plain(f"{key}.caption", **said) if own else each.caption
            name = f"{view.name.replace('_', '-')}-{number}"
            blocks += [*badges, _drawn(each, words, caption=caption, name=name)]
    return blocks


def _answer(sentences: Sequence[str]) -> list[Block]:
    said = [(part, Marked(_NEEDLESS.sub(r"\1", part))) for part in sentences if part]
    plain = [text for part, text in said if not isinstance(part, Caution)]
    cautions = [text for part, text in said if isinstance(part, Caution)]
    return [
        *([bullets(plain)] if len(plain) > 1 else plain),
        *(Remark(tone="warning", text=text) for text in cautions),
    ]


def _drawn(shown: Shown, words: Words, *, caption: str, name: str) -> Figure | Table:
    """The figure of a view; without one for paper its table, the first rows where it is long."""
    if shown.chart is not None and shown.chart.on_paper:
        return Figure(name=name, chart=shown.chart, caption=caption, say=words.term)
    rows = shown.table
    return Table(
        head=[words.term(str(column)) for column in rows],
        rows=[
            [
                numbers.significant(cell) if isinstance(cell, float) else words.term(str(cell))
                for cell in row
            ]
            for row in rows.head(_MOST_ROWS).itertuples(index=False)
        ],
        numeric=[at for at, column in enumerate(rows) if is_float_dtype(rows[column])],
        caption=marked(caption),
    )
