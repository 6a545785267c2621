"""Choices in the address of the page: what it names, what was ignored, and what else to remark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import streamlit as st
from streamlit.errors import StreamlitAPIException
from streamlit.runtime.scriptrunner import get_script_run_ctx

from emoact.views.text import md, mono

T = TypeVar("T")
_NOTES = "links_ignored"
_ICON = ":material/link_off:"


def note_ignored(parameter: str, allowed: Iterable[str]) -> None:
    """Remember the values of a parameter that the widget about to be drawn will not take.

    Streamlit puts the default in their place without a word; `show_ignored` says so.
    """
    options = list(allowed)
    left = st.session_state.get(parameter)
    # What a control of another view or page has left in the address was typed by no one.
    known = {*options, *map(str, left if isinstance(left, list | tuple) else [left])}
    unknown = [value for value in st.query_params.get_all(parameter) if value not in known]
    if unknown:
        _notes().append(
            f"{_ICON} {mono(f'{parameter}={unknown[0][:80]}')} in the address was ignored; "
            + (
                f"allowed are {', '.join(map(md, options[:12]))}."
                if options
                else "nothing to pick."
            )
        )


def choose_one(
    label: str,
    options: Sequence[T],
    *,
    key: str,
    format_func: Callable[[T], str] = str,
    **widget: Any,
) -> T:
    """Draw a choice of one that stands in the address; the first option is the default."""
    note_ignored(key, map(format_func, options))
    if st.session_state.get(key) not in (None, *options):
        # What a page without this option has left is no choice here.
        del st.session_state[key]
    chosen = st.segmented_control(
        label,
        options,
        default=options[0],
        required=True,
        format_func=format_func,
        key=key,
        bind="query-params",
        **widget,
    )
    # An empty word in the address is no choice.
    return chosen or options[0]


def choose_many(label: str, options: Sequence[T], *, key: str, **widget: Any) -> list[T]:
    """Draw a choice of several that stands in the address."""
    note_ignored(key, map(str, options))
    return st.pills(label, options, selection_mode="multi", key=key, bind="query-params", **widget)


def prefer(key: str, values: list[str], *, allowed: Iterable[str]) -> None:
    """Begin with values that depend on what is on disk, and write them into the address.

    As a widget's own default they would be left out there, and a link would show something else as
    soon as there is more on disk. Call it before the widget is drawn; what the address says wins.
    """
    named = st.query_params.get_all(key)
    if key not in st.session_state and not set(named) & set(allowed):
        st.session_state[key] = values
        # Once a widget is bound to it, the parameter follows the widget and cannot be set.
        with suppress(StreamlitAPIException):
            st.query_params[key] = values


def prefer_one(key: str, value: str, *, allowed: Iterable[str]) -> None:
    """The same for a widget that takes one value.

    What another page left under the key is kept where this page knows it too.
    """
    options = list(allowed)
    chosen = next(
        (each for each in (st.session_state.get(key), st.query_params.get(key)) if each in options),
        value,
    )
    # Always: a widget of another page with this key does not hand its state on.
    st.session_state[key] = chosen
    if key not in st.query_params:
        # Once a widget is bound to it, the parameter follows the widget and cannot be set.
        with suppress(StreamlitAPIException):
            st.query_params[key] = chosen


def went_back() -> bool:
    """True where a button of the browser, Back or Forward, asked for the page."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def ignore(parameter: str, reason: str) -> None:
    """Remember that a parameter was ignored, for a reason of the page's own."""
    _notes().append(f"{_ICON} {mono(parameter)} in the address was ignored: {reason}")


def remark(text: str) -> None:
    """Remember a sentence for the top of the page, over the rerun that is about to happen."""
    _notes().append(f":material/info: {text}")


def show_ignored() -> None:
    """Say what was ignored or remarked, until the next interaction."""
    notes = _notes()
    for note in notes:
        st.caption(note)
    notes.clear()


def _notes() -> list[str]:
    notes: list[str] = st.session_state.setdefault(_NOTES, [])
    return notes
