"""Views of pages as parts of a section: question, answer, figure or table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from emoact import numbers
from emoact.report.document import (
    Block,
    Bullets,
    Figure,
    Paragraph,
    Remark,
    Strong,
    Table,
    Text,
    from_markdown,
    table,
)
from emoact.report.phase3 import Drawn
from emoact.report.words import Words
from emoact.views.view import Caution

_MOST_ROWS = 60


def view_blocks(
    views: Iterable[Drawn],
    words: Words,
    *,
    random: set[str],
    badges: Sequence[Remark] = (),
    first: int = 1,
) -> list[Block]:
    """Every view once: its title and question, then each of its choices.

    English has the sentences of the page. Another language has sentences of its own for the views
    that it knows, and for the others the English ones with a note.

    Args:
        views: In the order of the pages.
        words: Language of the report.
        random: Models whose weights are random; their answers are left out.
        badges: Cautions that stand before every figure.
        first: Number of the first figure of a view; no two of a document may have one name.
    """
    blocks: list[Block] = []
    numbers_of: dict[str, int] = {}
    for drawn in views:
        view, own = drawn.view, words.view(drawn.view.name)
        number = numbers_of[view.name] = numbers_of.get(view.name, first - 1) + 1
        if number == first:
            title, question = (own.title, own.question) if own else (view.title, view.question)
            blocks.append(Paragraph(text=(Strong(title), words.plain("findings.colon"), question)))
            if own is None and words.lang != "en":
                blocks.append(Paragraph(text=words("view.english")))
        said = {
            name: words.joined(list(value)) if isinstance(value, list | tuple) else value
            for name, value in drawn.choice.items()
        }
        if set(map(str, said.values())) & random:
            text = (Strong(words.plain("random.badge")), " ", *words("random.short"))
            blocks.append(Remark(tone="warning", text=text))
        elif own is None:
            answer = drawn.answer()
            plain = [part for part in answer if not isinstance(part, Caution)]
            items = tuple(map(from_markdown, plain))
            blocks += [Bullets(items=items)] if len(items) > 1 else map(_paragraph, items)
            blocks += [
                Remark(tone="warning", text=from_markdown(part))
                for part in answer
                if isinstance(part, Caution)
            ]
        blocks += badges
        caption = drawn.shown.caption
        if own is not None:
            caption = own.caption.format_map(said)
        if drawn.shown.chart is None:
            blocks.append(_table(drawn.shown.table, caption, words))
        else:
            blocks.append(
                Figure(
                    name=f"{view.name.replace('_', '-')}-{number}",
                    chart=drawn.shown.chart,
                    caption=(caption,),
                    alt=caption if own else drawn.shown.alt or caption,
                    say=words.term,
                )
            )
    return blocks


def _paragraph(text: Text) -> Paragraph:
    return Paragraph(text=text)


def _table(rows: pd.DataFrame, caption: str, words: Words) -> Table:
    """The table of a view without a figure, its first rows where it is long."""
    numeric = [at for at, name in enumerate(rows) if pd.api.types.is_float_dtype(rows[name])]
    return table(
        [words.term(str(name)) for name in rows],
        [
            [
                numbers.significant(cell) if isinstance(cell, float) else words.term(str(cell))
                for cell in row
            ]
            for row in rows.head(_MOST_ROWS).itertuples(index=False)
        ],
        numeric=numeric,
        caption=(caption,),
    )
