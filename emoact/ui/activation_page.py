"""The Activations page: its views, the findings, and the form of a typed sentence."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from emoact import numbers
from emoact.models.registry import display_name
from emoact.stats.findings.finding import ActivationFinding
from emoact.ui import configuration, path
from emoact.ui.boxes import answer, to_extract
from emoact.ui.chart import current_scheme
from emoact.ui.reading import UnitCard, measures
from emoact.ui.sentence_form import typed_sentence
from emoact.ui.view_page import Surroundings, show_views
from emoact.views import norms
from emoact.views.activations import Activations, findings, layer_sites
from emoact.views.text import md, mono
from emoact.views.theme import emotion_order, emotion_styles
from emoact.views.view import Choice, View

_ICONS = {"error": ":material/error:", "warning": ":material/warning:", "note": ":material/info:"}
_SEVERAL = ("model", "site")


def show(results: str, cards: Sequence[UnitCard]) -> None:
    """Draw the page, or the run that it needs."""
    known = [card for card in cards if _has_positions(card)]
    if not known:
        _empty(results, cards)
        return
    order = emotion_order(card.file.emotion for card in cards)
    known.sort(key=lambda card: (card.file.folder, order.index(card.file.emotion)))

    def chosen(choice: Choice) -> list[UnitCard]:
        return [card for name in choice["model"] for card in known if card.file.folder == name]

    def units(choice: Choice) -> list[Any]:
        return [card.unit for card in chosen(choice)]

    def lead(choice: Choice) -> list[str]:
        # Measured here, under a spinner of its own; afterwards the arrays come from summaries.
        for card in chosen(choice):
            measures(card.file)
        return norms.answer(source, choice)

    def notes(choice: Choice) -> None:
        for warning in configuration.warnings(units(choice)):
            st.warning(warning, icon=":material/warning:")
        list_findings(findings(tuple(units(choice))), several=len(choice["model"]) > 1)

    def details(choice: Choice) -> None:
        with st.expander("Settings of the files shown", icon=":material/tune:"):
            alt = "Configuration of each file that is drawn"
            configuration.show(chosen(choice), alt=alt)

    source = Activations(results=results, units=tuple(card.unit for card in known if card.unit))
    show_views(
        "activations",
        source,
        Surroundings(
            # Every label of the folder, so that a colour does not depend on what is chosen.
            styles=emotion_styles(order, current_scheme()),
            badges=lambda choice: configuration.badges(units(choice)),
            made=lambda choice: configuration.made_words(units(choice)),
            lead=lead,
            notes=notes,
            ask=_ask,
            details=details,
        ),
    )
    list_problems(cards)
    path.looked(results)
    path.show(results, after="Look", primary=False)


def _has_positions(card: UnitCard) -> bool:
    """True for a file whose norms and tokens can be shown; pooled vectors have neither."""
    return card.unit is not None and bool(card.unit.sites)


def list_findings(found: Sequence[ActivationFinding], *, several: bool) -> None:
    """An expander with every finding, its meaning and a button to the view that shows it.

    `several` names the model of each.
    """
    if not found:
        st.caption(
            ":material/check_circle: Nothing unusual was found: no massive tokens, rogue or dead "
            "dimensions, outliers, collapsed layers, NaN, unequal lengths or mixed settings."
        )
        return
    matter = sum(finding.matters for finding in found)
    title = f"{numbers.plural(len(found), 'finding')}; {matter} can distort directions"
    with st.expander(title, icon=":material/troubleshoot:"):
        for number, finding in enumerate(found):
            name = f"**{md(display_name(finding.model))}:** " if several and finding.model else ""
            with st.container(horizontal=True, vertical_alignment="center"):
                with st.container(gap="xxsmall"):
                    st.markdown(f"{_ICONS[finding.severity]} {name}{md(finding.sentence)}")
                    st.caption(
                        f"{md(finding.meaning)} **Does it change directions?** {md(finding.phase3)}"
                    )
                st.button(
                    f"Show the {finding.view['view']}",
                    key=f"finding-show-{number}",
                    on_click=_go,
                    args=(finding.view,),
                    width=180,
                )


def _go(view: Mapping[str, str | list[str]]) -> None:
    """Set the controls to what the finding names; they write it into the address."""
    for name, value in view.items():
        if name in _SEVERAL:
            st.session_state[name] = [value] if isinstance(value, str) else list(value)
        elif name == "layer":
            st.session_state[name] = int(str(value))
        else:
            st.session_state[name] = value == "true" if name == "first" else value


def _ask(view: View[Any], source: Activations, choice: Choice) -> Activations | None:
    if view.name != "sentence":
        return source
    units = source.chosen(choice)
    typed = typed_sentence(source.results, units, tuple(layer_sites(units)))
    return None if typed is None else dataclasses.replace(source, typed=typed)


def list_problems(cards: Sequence[UnitCard]) -> None:
    """The files that cannot be used, each with its reason."""
    refused = [card for card in cards if not _has_positions(card)]
    if not refused:
        return
    st.header(f"{numbers.plural(len(refused), 'file')} left out")
    st.table(
        [
            {
                "file": mono(f"{card.file.folder}/{Path(card.file.path).name}"),
                "problem": md(card.problem or "it keeps pooled vectors only, for analyses"),
                "next step": md(card.remedy or "Extract it with --keep all to see its norms."),
            }
            for card in refused
        ],
        hide_index=True,
        border="horizontal",
        alt="Files that were left out, with the reason",
    )


def _empty(results: str, cards: Sequence[UnitCard]) -> None:
    if cards:
        answer(
            f"None of the {numbers.plural(len(cards), 'file')} in {mono(results)} can be shown "
            "here; the reasons are below."
        )
        list_problems(cards)
    else:
        answer(
            f"There are no activations in {mono(results)} yet. A run of the embedded model over "
            "the shipped prompts makes them in about a minute."
        )
    to_extract()
