"""A chart as every page shows it: caption and badges inside the image, buttons that save it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from emoact.analysis.table_files import csv_of
from emoact.ui.boxes import download
from emoact.views.chart import Chart
from emoact.views.plotly_chart import figure
from emoact.views.text import mono
from emoact.views.theme import EmotionStyle, Scheme

_PARTS = """
<div class="row">
  <button type="button" data-format="svg">SVG</button>
  <button type="button" data-format="png">PNG</button>
</div>
"""
_LOOK = """
.row { display: flex; gap: 0.5rem; }
button {
  font: inherit; font-size: 0.933rem; line-height: 1.6; cursor: pointer;
  min-height: 2.5rem; padding: 0.25rem 0.75rem;
  color: var(--st-text-color); background: var(--st-background-color);
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius);
}
button:hover, button:focus-visible {
  color: var(--st-link-color); border-color: var(--st-link-color);
}
button:focus-visible { outline: 2px solid var(--st-link-color); outline-offset: 1px; }
"""
# The chart has a button of its own that draws it as an image; it takes one format only, so the
# format is set before that button is pressed. No second copy of the drawing library is needed.
_PRESS = """
export default function ({ data, parentElement }) {
  for (const button of parentElement.querySelectorAll("button")) {
    const format = button.dataset.format
    button.setAttribute("aria-label", "Save the chart as " + format.toUpperCase())
    button.onclick = () => {
      const plot = document.querySelector(".st-key-" + data.chart + " .js-plotly-plot")
      const camera = plot && plot.querySelector('.modebar-btn[data-title^="Download plot"]')
      if (!camera) return
      plot._context.toImageButtonOptions = {
        format, filename: data.name, width: plot.clientWidth, height: plot.clientHeight,
        scale: format === "png" ? 2 : 1,
      }
      camera.dispatchEvent(new MouseEvent("click", { bubbles: true }))
    }
  }
}
"""
_save_buttons = st.components.v2.component("emoact_save_chart", html=_PARTS, css=_LOOK, js=_PRESS)
_BUTTONS_WIDTH = 136
_WIDTH = "emoact-width"
# A screen that is wide says nothing, so that its page is drawn once.
_MEASURE = """
export default function ({ setStateValue, data, parentElement }) {
  const narrow = window.innerWidth < 640
  if (narrow !== data.narrow) setStateValue("narrow", narrow)
  // Charts take the colours of another scheme when they are drawn again.
  if (parentElement.scheme) parentElement.scheme.onchange = null
  const scheme = parentElement.scheme = window.matchMedia("(prefers-color-scheme: dark)")
  scheme.onchange = () => setTimeout(() => setStateValue("dark", scheme.matches), 50)
  // Streamlit's list of pages has headings between its entries, which no list may have.
  const group = () => {
    for (const list of document.querySelectorAll("[data-testid=stSidebarNavItems]")) {
      list.setAttribute("role", "none")
      for (const part of list.children) {
        part.setAttribute("role", "group")
        part.setAttribute("aria-label", part.querySelector("header p")?.textContent ?? "Pages")
        part.querySelectorAll("li").forEach(entry => entry.setAttribute("role", "none"))
      }
    }
  }
  const sidebar = document.querySelector("[data-testid=stSidebar]")
  if (sidebar && !sidebar.grouped) {
    sidebar.grouped = new MutationObserver(group)
    sidebar.grouped.observe(sidebar, { childList: true, subtree: true })
  }
  group()
}
"""
_measure_width = st.components.v2.component("emoact_width", html="<span></span>", js=_MEASURE)


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
