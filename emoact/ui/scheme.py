"""Colour scheme of the reader's browser: light or dark."""

from __future__ import annotations

import streamlit as st

from emoact.views.theme import Scheme


def current_scheme() -> Scheme:
    """`dark` when the browser says so, else `light`."""
    return "dark" if st.context.theme.type == "dark" else "light"
