"""Errors, empty states and downloads, worded and drawn the same on every page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from emoact.errors import EmoactError
from emoact.views.text import Card, md, mono, prose, unbroken

T = TypeVar("T")
_PAGE_ICONS = {
    "extract": "play_circle",
    "runs": "visibility",
    "activations": "stacked_line_chart",
    "directions": "north_east",
    "heads": "account_tree",
    "causes": "experiment",
    "report": "description",
}
_LEFT_OUT = 5
_PAGE_WORDS = {
    "pass --overwrite": 'tick "Overwrite files of another configuration"',
    "pass --truncate": 'tick "Truncate long prompts"',
    "pass --allow-nonadditive-mlp": 'tick "Allow a non-additive MLP hook"',
    "pass --allow-pickle-weights": 'tick "Allow weights stored as pickles"',
    "pass --bos none": 'choose "none" as BOS',
    "with --overwrite": 'with "Overwrite files of another configuration" ticked',
    "with --results": "in the sidebar",
    "with --model": "under Models",
    "with --dataset": "as the data set",
    "with --site": "with the site",
    "(--allow-mixed)": "(with the box below)",
    "(--leave-out-nonfinite)": '(tick "Leave out prompts whose vectors are not finite")',
    "(--reference grand_mean)": '("Measured from")',
    "(--neutral)": '("Neutral class")',
    "--dtype": "the precision",
    "--device": "the device",
}


@dataclass(frozen=True, kw_only=True)
class Outcome(Generic[T]):
    """A value, or the error that came in its place."""

    value: T | None = None
    error: EmoactError | None = None


def outcome(make: Callable[[], T]) -> Outcome[T]:
    """The outcome of a call, to be kept between runs of a page: errors without their traceback."""
    try:
        return Outcome(value=make())
    except EmoactError as error:
        error.__cause__ = error.__context__ = None
        return Outcome(error=error.with_traceback(None))


def error_box(error: EmoactError, *, title: str) -> None:
    """A box with what is wrong and where, and below it what to do next."""
    parts = [prose(error.message)]
    if error.remedy:
        parts.append(f"**Next step:** {prose(page_words(error.remedy))}")
    st.error("\n\n".join(parts), title=title, icon=":material/error:")


@contextmanager
def keep_error(title: str) -> Iterator[None]:
    """Keep the error of a callback, which has no place on the page, for `show_kept_error`."""
    try:
        yield
    except EmoactError as error:
        st.session_state[f"error: {title}"] = error


def show_kept_error(title: str) -> None:
    """A box with the error that a callback met just now, if it met one."""
    error = st.session_state.pop(f"error: {title}", None)
    if error is not None:
        error_box(error, title=title)


def page_words(remedy: str) -> str:
    """A remedy in the words of the page, where it speaks of the command line."""
    for option, words in _PAGE_WORDS.items():
        remedy = remedy.replace(option, words)
        # The same at the beginning of a sentence.
        remedy = remedy.replace(option.capitalize(), words[0].upper() + words[1:])
    return remedy


def answer(*sentences: str) -> None:
    """The answer of the page, before its evidence: one to three sentences in Markdown."""
    said = " ".join(sentence for sentence in sentences if sentence)
    if said:
        st.markdown(unbroken(said))


def show_badges(badges: Sequence[str]) -> None:
    """Draw what marks the figures, such as random weights, one below the other."""
    st.markdown("  \n".join(f":orange-badge[:material/warning: {md(each)}]" for each in badges))


def say_left_out(what: str, reasons: Mapping[str, str]) -> None:
    """Name saved results that the page does not show, by id, with the reason."""
    for name, why in list(reasons.items())[:_LEFT_OUT]:
        st.caption(f":material/warning: {what} {mono(name)} is left out: {md(why)}.")
    if len(reasons) > _LEFT_OUT:
        st.caption(f":material/warning: {len(reasons) - _LEFT_OUT} more are left out.")


def next_step(
    label: str,
    page: str,
    *,
    parameters: Mapping[str, str | list[str]] | None = None,
    primary: bool = True,
) -> None:
    """A button that leads to another page, with the icon of that page."""
    icon = f":material/{_PAGE_ICONS[page]}:"
    if st.button(label, icon=icon, type="primary" if primary else "secondary"):
        leave_for(page, parameters)


def start_button(
    label: str, *, key: str, possible: bool = True, primary: bool = True, icon: str = "play_circle"
) -> bool:
    """The button that starts a run; True where it was pressed."""
    return st.button(
        label,
        type="primary" if primary else "secondary",
        icon=f":material/{icon}:",
        disabled=not possible,
        key=key,
    )


def leave_for(page: str, parameters: Mapping[str, str | list[str]] | None = None) -> NoReturn:
    """Show another page.

    A part that draws itself again may have asked for it a moment before its page is left. Without
    being forgotten it would be drawn after the new page, whose browser would empty the window.
    """
    context = get_script_run_ctx()
    if context is not None:
        context.fragment_storage.clear()
    st.switch_page(f"pages/{page}.py", query_params=dict(parameters or {}))


def to_extract(label: str = "Set up an extraction") -> None:
    """The button that leads to the form of an extraction."""
    next_step(label, "extract")


def download(label: str, data: Any, *, name: str, mime: str, **options: Any) -> None:
    """A button that saves a file; the script does not run again."""
    st.download_button(
        label,
        data,
        file_name=name,
        mime=mime,
        icon=":material/download:",
        on_click="ignore",
        **options,
    )


def show_cards(cards: Sequence[Card], *, of: str = "") -> None:
    """Answers side by side, each with its verdict and figures; above them what they are of."""
    if not cards:
        return
    if of:
        st.caption(md(of))
    with st.grid(3, min_column_width=250):
        for card in cards:
            with st.container(border=True, gap="xsmall"):
                colour = "green" if card.shown else "gray"
                st.markdown(f"**{md(card.title)}** :{colour}-badge[{md(card.verdict)}]")
                for line in filter(None, card.lines):
                    st.caption(unbroken(line))
