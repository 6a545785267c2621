"""Words that stay with a figure wherever it goes: what it shows, of what, and what marks it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import plotly.graph_objects as go

from emoact.views.plots.theme import INK, Scheme, plain

_LINE_HEIGHT = 16
_LETTERS = 112
_MARK: dict[Scheme, str] = {"light": "#B32D1F", "dark": "#F2684C"}


def with_caption(
    figure: go.Figure, caption: str, *, badges: Sequence[str] = (), scheme: Scheme
) -> go.Figure:
    """The figure with a caption below it, which is part of every image made of it.

    The background becomes that of the page, so that an image of the dark page can be read.

    Args:
        figure: Not changed.
        caption: Text; nothing in it is read as markup.
        badges: What marks the figure, such as random weights; said first and in a colour.
        scheme: Light or dark.
    """
    captioned = go.Figure(figure)
    lines = [
        *(
            f'<b><span style="color:{_MARK[scheme]}">{plain(line)}</span></b>'
            for badge in badges
            for line in textwrap.wrap(badge, _LETTERS - 12)
        ),
        *(plain(line) for line in textwrap.wrap(caption, _LETTERS)),
    ]
    if not lines:
        return captioned
    margin = captioned.layout.margin
    below = margin.b if margin.b is not None else 54
    room = _LINE_HEIGHT * len(lines) + 10
    captioned.add_annotation(
        text="<br>".join(lines),
        xref="paper",
        yref="paper",
        x=0,
        y=0,
        xanchor="left",
        yanchor="top",
        yshift=-below + 4,
        align="left",
        showarrow=False,
        font={"size": 11.5, "color": INK[scheme].muted},
    )
    captioned.update_layout(
        margin_b=below + room,
        height=(captioned.layout.height or 450) + room,
        paper_bgcolor=INK[scheme].page,
    )
    return captioned
