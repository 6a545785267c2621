"""What is unusual about the activations shown, each with its meaning and a way to see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from emoact import numbers
from emoact.stats.findings.finding import ActivationFinding
from emoact.views.text import md

_ICONS = {"error": ":material/error:", "warning": ":material/warning:", "note": ":material/info:"}
_VIEW_WORDS = {
    "norms": "Show the norms",
    "prompt": "Show the prompt",
    "dimensions": "Show the dimensions",
    "distribution": "Show the distribution",
}
_LISTS = ("model", "site")


def list_findings(found: Sequence[ActivationFinding], *, several: bool) -> None:
    """An expander with every finding.

    Args:
        found: In the order in which they are to be read.
        several: Name the model of each.
    """
    if not found:
        st.caption(
            ":material/check_circle: Nothing unusual was found: no massive tokens, rogue or dead "
            "dimensions, outliers, collapsed layers, NaN, unequal lengths or mixed settings."
        )
        return
    matter = sum(finding.matters for finding in found)
    title = f"{numbers.plural(len(found), 'finding')}, {matter} of them matter for phase 3"
    if len(found) == 1:
        title = f"1 finding, which {'matters' if matter else 'does not matter'} for phase 3"
    with st.expander(title, icon=":material/troubleshoot:"):
        for number, finding in enumerate(found):
            _show(finding, number, several=several)


def _show(finding: ActivationFinding, number: int, *, several: bool) -> None:
    name = f"**{md(finding.model)}:** " if several and finding.model else ""
    with st.container(horizontal=True, vertical_alignment="center", key=f"finding-{number}"):
        with st.container(gap="xxsmall"):
            st.markdown(f"{_ICONS[finding.severity]} {name}{md(finding.sentence)}")
            st.caption(f"{md(finding.meaning)} **For phase 3?** {md(finding.phase3)}")
        st.button(
            _VIEW_WORDS.get(str(finding.view.get("view")), "Show it"),
            key=f"finding-show-{number}",
            on_click=_go,
            args=(finding.view,),
            width=180,
        )


def _go(view: Mapping[str, str | list[str]]) -> None:
    """Set the controls to what the finding names; they write it into the address."""
    for name, value in view.items():
        if name in _LISTS:
            st.session_state[name] = [value] if isinstance(value, str) else list(value)
        elif name == "first":
            st.session_state[name] = value == "true"
        elif name == "layer":
            st.session_state[name] = int(str(value))
        else:
            st.session_state[name] = value
