"""A chart as every page shows it: caption and badges inside the image, buttons that save it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from emoact.analysis.table_files import csv_of
from emoact.ui.boxes import download
from emoact.views.chart import Chart
from emoact.views.plotly_chart import figure
from emoact.views.text import mono
from emoact.views.theme import EmotionStyle, Scheme

_BUTTONS_WIDTH = 136
_WIDTH = "emoact-width"


def _part(name: str) -> str:
    return (Path(__file__).with_name("browser") / name).read_text(encoding="utf-8")


_save_buttons = st.components.v2.component(
    "emoact_save_chart",
    html=_part("save_chart.html"),
    css=_part("save_chart.css"),
    js=_part("save_chart.js"),
)
_measure_width = st.components.v2.component(
    "emoact_width", html="<span></span>", js=_part("width.js")
)


def measure_width() -> None:
    """Draw the page once more on the screen of a phone, and when the system changes its scheme.

    The same script makes groups of the list of pages.
    """
    _measure_width(
        key=_WIDTH,
        data={"narrow": is_narrow()},
        height=1,
        on_narrow_change=keep_choices,
        on_dark_change=keep_choices,
    )


def keep_choices() -> None:
    """Send the values of widgets of several options again, with the page that is drawn once more.

    The first drawing is cut short; what its widgets began with may not have reached the browser.
    """
    for key, value in list(st.session_state.items()):
        if value and isinstance(value, list) and all(isinstance(each, str) for each in value):
            st.session_state[key] = value


def is_narrow() -> bool:
    """True on the screen of a phone, where panels stand one below the other."""
    return bool((st.session_state.get(_WIDTH) or {}).get("narrow"))


def current_scheme() -> Scheme:
    """`dark` when the reader's browser says so, else `light`."""
    return "dark" if st.context.theme.type == "dark" else "light"


def show_chart(
    chart: Chart,
    *,
    styles: Mapping[str, EmotionStyle],
    key: str,
    name: str,
    caption: str,
    alt: str,
    badges: Sequence[str] = (),
    **options: Any,
) -> Any:
    """Draw a chart with its caption, and return what was selected in it.

    `caption` says what it shows and of what, for a reader who has only the image; `alt` says it in
    one sentence. `badges` mark the figure wherever it goes. `options` go to `st.plotly_chart`.
    """
    drawn = figure(
        chart,
        styles=styles,
        scheme=current_scheme(),
        caption=caption,
        badges=badges,
        narrow=is_narrow(),
    )
    if "on_select" in options:
        # Streamlit sets both on a chart without them, which plotly then draws once more.
        drawn.update_layout(clickmode="event+select", dragmode="pan")
    with st.container(key=_box(key)):
        return st.plotly_chart(
            drawn,
            theme=None,
            key=key,
            alt=alt,
            config={
                "displaylogo": False,
                "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
                "toImageButtonOptions": {"format": "svg", "filename": file_name(name)},
            },
            **options,
        )


def export_row(
    data: pd.DataFrame,
    *,
    key: str,
    name: str,
    box: str = "",
    command: str = "",
    badges: Sequence[str] = (),
    images: bool = True,
) -> None:
    """Exports: the table as CSV, the chart as SVG and PNG, and the shell command of the table.

    `box` is the key of the chart, as given to `show_chart`, where it is another one; without
    `images` the table stands alone. Badges become a column, so that they cannot be lost.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        download(
            "CSV",
            csv_of(data, badges),
            name=f"{file_name(name)}.csv",
            mime="text/csv",
            key=f"{key}-csv",
            help="The table above, every figure in full.",
        )
        if images:
            _save_buttons(
                key=f"{key}-images",
                data={"chart": _box(box or key), "name": file_name(name)},
                width=_BUTTONS_WIDTH,
                height="content",
            )
        if command:
            st.caption(f"In a shell: {mono(command)}")


def file_name(name: str) -> str:
    """The name with what a file system or a reader might stumble over left out."""
    return re.sub(r"[^\w.@=-]+", "-", name).strip("-.")[:80] or "chart"


def _box(key: str) -> str:
    return f"chart-{key}"
