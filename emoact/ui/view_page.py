"""A page of views: tabs, controls, answer, chart, table, exports and definitions from records."""

from __future__ import annotations

import dataclasses
import functools
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from emoact import numbers
from emoact.stats import catalogue as catalogue_of_tables
from emoact.ui import links
from emoact.ui.boxes import show_badges
from emoact.ui.chart import export_row, show_chart
from emoact.views import catalogue
from emoact.views.chart import ringed
from emoact.views.text import md, unbroken
from emoact.views.theme import EmotionStyle
from emoact.views.view import Carded, Caution, Choice, Control, Remark, Shown, View, word

TABLE_HEIGHT = 280
_OF_PROMPT = ("emotion", "prompt")
MARKED = "marked-prompt"
"""Of the session: emotion and id of the prompt that was selected in a chart or a table."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Parts that a page adds to its views.

    Attributes:
        badges: Marks of every figure and export, such as random weights.
        lead: Sentences about the page as a whole. Badges are left out above them, and the answer of
            the view follows below the controls.
        ask: Draws a form below the controls of a view. Returns the source with the reply in it, or
            None where there is nothing to show.
        made: How the figures were made; the end of every caption.
        command: Shell command of a view that names none of its own.
        cards: Draws what stands above the answer.
        notes: Draws remarks below the answer.
        details: Draws what stands below the definitions.
        kept: Names a source that does not change; what a view draws of it is computed once.
    """

    styles: Mapping[str, EmotionStyle]
    badges: Callable[[Choice], Sequence[str]] = lambda _choice: ()
    lead: Callable[[Choice], Sequence[str]] | None = None
    ask: Callable[[View[Any], Any, Choice], Any] = lambda _view, source, _choice: source
    made: Callable[[Choice], str] = lambda _choice: ""
    command: Callable[[View[Any], Choice], str] = lambda _view, _choice: ""
    cards: Callable[[Choice], None] = lambda _choice: None
    notes: Callable[[Choice], None] = lambda _choice: None
    details: Callable[[Choice], None] = lambda _choice: None
    kept: str = ""


def show_views(page: str, source: Any, around: Surroundings) -> None:
    """Draw the views of a page: the chosen tab, and the parts below all tabs."""
    views = catalogue.of_page(page)
    tabs = [view for view in views if view.tab]
    head = st.container()
    view = _pick_view(tabs)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        choice = _pick_all(view, source, {})
    links.show_ignored()
    if not _complete(view, choice):
        return
    _take_first(view, choice)
    lead = around.lead(choice) if around.lead else ()
    with head:
        if around.lead:
            _say(lead)
        elif badges := around.badges(choice):
            show_badges(badges)
        around.cards(choice)
        above = st.container()
        around.notes(choice)
    asked = around.ask(view, source, choice)
    if asked is not None:
        shown, answer = _drawn(view, asked, choice, around.kept)
        with st.container() if around.lead else above:
            _say([said for said in answer if said not in lead])
        _body(view, asked, choice, shown, around)
        for part in views:
            if not part.tab and part.below(asked, view.name):
                _part(part, asked, choice, around)
    terms = view.terms(source, choice) if callable(view.terms) else view.terms
    if terms:
        with st.expander("What am I looking at", icon=":material/help:"):
            st.markdown("\n".join(f"- **{term}**: {words}" for term, words in terms.items()))
    around.details(choice)


def _drawn(view: View[Any], source: Any, choice: Choice, kept: str) -> tuple[Shown, list[str]]:
    # A typed folder or sentence may hold something else the next time.
    if kept and not any(control.kind == "text" for control in view.controls):
        return _kept(view, source, kept, view.name, tuple(choice.items()))
    shown = view.show(source, choice)
    return shown, list(view.answer(source, choice, shown))


@st.cache_resource(max_entries=16, show_spinner=False)
def _kept(
    _view: View[Any], _source: Any, kept: str, name: str, choice: tuple[tuple[str, Any], ...]
) -> tuple[Shown, list[str]]:
    del kept, name  # part of what is kept
    return _drawn(_view, _source, dict(choice), "")


def pick(control: Control[Any], source: Any, choice: Choice) -> Any:
    """Draw one control, bound to its parameter in the address, and return its value."""
    name, allowed = control.name, control.allowed(source, choice)
    start = control.start(source, choice)
    # Another page or view may have selected a prompt, which a picker of prompts begins with.
    marked = dict(zip(_OF_PROMPT, st.session_state.get(MARKED, ()), strict=False)).get(name)
    linked = marked is not None and marked in allowed
    if linked:
        start = marked
    # After Back and Forward the address counts, and what it does not name begins anew.
    pinned = (control.pinned or linked) and not links.went_back()
    if control.kind == "text":
        return st.text_input(
            control.label, start, key=name, bind="query-params", width=control.width or "stretch"
        )
    words = [word(each) for each in allowed]
    links.note_ignored(name, words)
    if not allowed or (control.kind == "layer" and len(allowed) == 1):
        return allowed[0] if allowed else start
    kept, turned = st.session_state.get(name), False
    if kept is not None:
        # Another page or view may have left a value that this control cannot take.
        values = list(kept) if isinstance(kept, list | tuple) else [kept]
        if any(each not in allowed for each in values) or not (values or control.several):
            del st.session_state[name]
        elif turned := isinstance(kept, list | tuple) != control.several:
            st.session_state[name] = values if control.several else values[0]
    if pinned and control.several:
        links.prefer(name, start, allowed=allowed)
    elif pinned:
        links.prefer_one(name, start, allowed=allowed)
    fields: dict[str, Any] = {
        "key": name,
        "bind": "query-params",
        "help": (control.help(source) if callable(control.help) else control.help) or None,
    }
    if control.width is not None:
        fields["width"] = control.width
    if control.kind == "toggle":
        return st.toggle(control.label, bool(start), **fields)
    if control.kind == "layer":
        fields.setdefault("width", 300)
        return int(st.slider(control.label, allowed[0], allowed[-1], start, **fields))
    if control.kind == "select":
        # Without a default of the widget the value stays in the address, whatever it is.
        index = None if pinned else allowed.index(start)
        return st.selectbox(control.label, allowed, index=index, required=pinned, **fields)
    if not (pinned or turned):
        fields["default"] = start
    if control.kind == "one":
        # An empty word in the address is no choice.
        return st.segmented_control(control.label, allowed, required=True, **fields) or start
    if control.kind == "list":
        return list(st.multiselect(control.label, allowed, **fields))
    found = st.pills(control.label, allowed, selection_mode="multi", **fields)
    return [each for each in allowed if each in found]


def _pick_view(tabs: Sequence[View[Any]]) -> View[Any]:
    names = [view.name for view in tabs]
    name = links.choose_one("View", names, key="view", label_visibility="collapsed")
    view = next((view for view in tabs if view.name == name), tabs[0])
    st.caption(view.question)
    return view


def _pick_all(view: View[Any], source: Any, above: Choice) -> dict[str, Any]:
    """Values of the controls of a view, drawn unless `above` has them; ends at an empty one."""
    choice: dict[str, Any] = {}
    for control in view.controls:
        if control.when(source, choice):
            taken, value = control.name in above, above.get(control.name)
            if not taken and control.kind == "many" and control.name in view.single:
                value = [pick(_one_of(control), source, choice)]
            elif not taken:
                value = pick(control, source, choice)
            choice[control.name] = value
            if control.several and not value:
                break
    return choice


def _one_of(control: Control[Any]) -> Control[Any]:
    """The same control where a view shows one of the options."""
    return dataclasses.replace(
        control, kind="one", default=lambda source, choice: control.start(source, choice)[0]
    )


def _complete(view: View[Any], choice: Choice) -> bool:
    """True where every choice of several has a value; else the page names the one that lacks it."""
    for control in view.controls:
        if control.several and control.name in choice and not choice[control.name]:
            st.caption(f"Choose at least one {control.label.lower()}.")
            return False
    return True


def _take_first(view: View[Any], choice: dict[str, Any]) -> None:
    """Shorten the choices of which the view shows one, and name the one that is shown."""
    for control in view.controls:
        values = choice.get(control.name)
        if control.name in view.single and values:
            choice[control.name] = values[:1]
            if len(values) > 1:
                st.caption(
                    f"This view shows one {control.label.lower()} at a time: {md(values[0])}, the "
                    "first one chosen."
                )


def _say(sentences: Sequence[str]) -> None:
    for sentence in filter(None, sentences):
        if isinstance(sentence, Carded):
            continue
        if isinstance(sentence, Caution):
            st.warning(unbroken(sentence), icon=":material/warning:")
        elif isinstance(sentence, Remark):
            st.caption(unbroken(sentence))
        else:
            st.markdown(unbroken(sentence))


def _body(view: View[Any], source: Any, choice: Choice, shown: Shown, around: Surroundings) -> None:
    key = f"{view.page}-{view.name}"
    # All tabs share one box: in a box of another name the last chart would be drawn once more
    # before the new one takes its place.
    box = view.page if view.tab else key
    if shown.chart is None and not len(shown.table):
        empty = view.empty(source, choice) if callable(view.empty) else view.empty
        st.info(empty, icon=":material/block:")
        return
    if shown.html:
        st.html(shown.html)
    marked = st.session_state.get(MARKED)
    if shown.chart is not None and marked is not None:
        shown = dataclasses.replace(shown, chart=ringed(shown.chart, marked))
    if shown.chart is not None:
        selects = view.selected is not None and not shown.chart.solid
        event = show_chart(
            shown.chart,
            styles=around.styles,
            key=box,
            name=shown.name,
            caption=f"{shown.caption} {around.made(choice)}".strip(),
            alt=f"{shown.caption} The table below holds the values.",
            badges=around.badges(choice),
            **({"on_select": "rerun", "selection_mode": "points"} if selects else {}),
        )
        if view.selected is not None:
            _show_selected(view, source, choice, shown, event if selects else None)
    command = view.command(source, choice) if view.command else None
    _table(
        shown.table,
        key=key,
        columns=shown.columns,
        alt=f"The values drawn above: {view.name}" if shown.chart else view.title,
    )
    export_row(
        shown.table,
        key=key,
        box=box,
        name=shown.name,
        command=shlex.join(["python", "-m", "emoact", *command])
        if command
        else around.command(view, choice),
        badges=around.badges(choice),
        images=shown.chart is not None,
    )


def _part(view: View[Any], source: Any, above: Choice, around: Surroundings) -> None:
    """A view below the tabs, which takes over the choices that it shares with them."""
    st.header(view.title)
    choice = _pick_all(view, source, above)
    links.show_ignored()
    shown = view.show(source, choice)
    _say(view.answer(source, choice, shown))
    _body(view, source, choice, shown, around)


def _table(data: pd.DataFrame, *, key: str, columns: str, alt: str) -> None:
    records = catalogue_of_tables.table_named(columns).columns if columns else {}
    helps = {
        name: f"{record.definition}{f', in {record.unit}' if record.unit else ''}."
        for name, record in records.items()
    }
    figures = set(data.select_dtypes("floating").columns)
    prompt = next((name for name in ("prompt_id", "prompt") if name in data), None)
    selects: dict[str, Any] = {}
    if prompt is not None and "emotion" in data:
        owners = list(zip(data["emotion"].map(str), data[prompt].map(str), strict=True))
        selects = {
            "selection_mode": "single-row",
            "on_select": functools.partial(_mark, f"{key}-table", owners),
        }
    st.dataframe(
        data,
        hide_index=True,
        height=TABLE_HEIGHT if len(data) > 7 else "content",
        key=f"{key}-table",
        column_config={
            name: st.column_config.NumberColumn(name, format="%.4g", help=helps.get(name))
            if name in figures
            else st.column_config.Column(name, help=helps.get(name))
            for name in data.columns
        },
        placeholder=numbers.MISSING,
        alt=alt,
        **selects,
    )


def _mark(key: str, owners: Sequence[tuple[str, str]]) -> None:
    """Remember the prompt of the row that was selected."""
    rows = st.session_state[key].selection.rows
    if rows and rows[0] < len(owners):
        st.session_state[MARKED] = owners[rows[0]]


def _show_selected(view: View[Any], source: Any, choice: Choice, shown: Shown, event: Any) -> None:
    points = ((event or {}).get("selection") or {}).get("points") or []
    clicked = next((point["customdata"] for point in points if point.get("customdata")), None)
    if clicked and tuple(map(str, clicked[:2])) != st.session_state.get(MARKED):
        st.session_state[MARKED] = tuple(map(str, clicked[:2]))
        st.rerun()
    row = clicked or st.session_state.get(MARKED)
    link = view.selected(source, choice, shown, row) if row and view.selected else None
    if link is None:
        st.caption(view.hint)
        return
    st.markdown(link.text)
    # A link and not a button: parameters that are bound to widgets here cannot be set for another
    # page from within a script.
    st.page_link(
        f"pages/{link.page}.py",
        label=link.label,
        icon=":material/open_in_new:",
        query_params=dict(link.parameters),
    )
