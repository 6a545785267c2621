"""The frame around every page: navigation and the picker of the results folder."""

from __future__ import annotations

import streamlit as st
from streamlit.navigation.page import Page

from emoact.ui.folders import pick_results_folder

_FRAMED = "framed"


def open_frame() -> Page:
    """Draw the frame and return the page that the address asks for."""
    st.session_state[_FRAMED] = True
    page = _navigation()
    st.set_page_config(page_title=f"{page.title} · emoact", page_icon=_ICON, layout="wide")
    pick_results_folder()
    return page


def enter() -> None:
    """Make sure that the page stands in its frame; the first statement of every page.

    Because there is a folder called `pages`, the very first visit after a server start runs the
    page's own file without `app.py`. Announcing the navigation ends that; the rerun does the rest.
    """
    if _FRAMED not in st.session_state:
        _navigation()
        st.rerun()


# Drawn here, because a named icon would be fetched from a server far away.
_ICON = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="7" fill="#0E6E6B"/>
<g fill="none" stroke-linecap="round" stroke-width="3">
<path d="M6 22C12 22 14 9 26 8" stroke="#F0B429"/>
<path d="M6 24C14 24 17 16 26 15" stroke="#FFFFFF"/>
<path d="M6 26C15 26 19 23 26 22" stroke="#6FA8FF"/>
</g></svg>"""


def _navigation() -> Page:
    # No icons: the browser would fetch that of the page from a server far away as its favicon.
    return st.navigation(
        {
            "Run": [
                st.Page(
                    "pages/home.py",
                    title="Home",
                    default=True,
                    help="What is on disk, what is running, and the next sensible step.",
                ),
                st.Page(
                    "pages/extract.py",
                    title="Extract",
                    help="Run prompts through models and save their activations.",
                ),
                st.Page(
                    "pages/runs.py",
                    title="Runs",
                    help="Every run of this folder: watch, cancel, resume, compare, delete.",
                ),
            ],
            "Look": [
                st.Page(
                    "pages/prompts.py",
                    title="Prompts",
                    help="The data set: browse it, audit it, import one of your own.",
                ),
                st.Page(
                    "pages/activations.py",
                    title="Activations",
                    help="Layerwise norms of the residual stream and the MLP output.",
                ),
            ],
            "Analyse": [
                st.Page(
                    "pages/directions.py",
                    title="Directions",
                    help="How far each emotion lies from neutral, beyond chance and beyond words.",
                ),
                st.Page(
                    "pages/distances.py",
                    title="Distances",
                    help="How alike the directions of emotions are, and prompts as points.",
                ),
                st.Page(
                    "pages/across_models.py",
                    title="Across models",
                    help="What two models have in common, against what chance gives.",
                ),
            ],
            "Report": [
                st.Page(
                    "pages/report.py",
                    title="Report",
                    help="One document of everything in this folder, in English or Japanese.",
                ),
            ],
        },
        expanded=True,
    )
