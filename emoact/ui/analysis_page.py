"""The pages of a saved analysis: its views, and below them its files, settings and repetition."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import streamlit as st

from emoact import numbers
from emoact.analysis.saved import SavedAnalysis
from emoact.decode import encode
from emoact.errors import EmoactError
from emoact.models.cache import known_sha256
from emoact.models.registry import display_name
from emoact.store.layout import ResultsRoot
from emoact.ui import analyse_panel, analyses, configuration, path
from emoact.ui.boxes import download, error_box, next_step, show_cards
from emoact.ui.chart import current_scheme
from emoact.ui.compare import flattened
from emoact.ui.folders import results_folder
from emoact.ui.notes import ask_note
from emoact.ui.reading import measures, recorded, unit_cards, unit_files
from emoact.ui.view_page import TABLE_HEIGHT, Surroundings, show_views
from emoact.views import by_layer, cosines, direction_answer
from emoact.views.activations import findings
from emoact.views.analysed import Analysed, site_words, texts_in
from emoact.views.text import Card, listed, md, mono, prose
from emoact.views.theme import emotion_styles
from emoact.views.view import Choice, View, word

_SECOND = "data/contrast.jsonl"
"""Shipped data set that directions of the main one can be tested on."""


def show(page: str, *, needs: str, n_models: int = 1) -> None:
    """Draw a page of the chosen analysis, or what it needs to have one.

    `needs` is the subject of "... needs an analysis", of at least `n_models` models.
    """
    results = results_folder()
    saved = analyse_panel.open_analysis(results, needs=needs, n_models=n_models)
    if saved is None:
        return

    source = Analysed(
        saved=saved,
        read=lambda name: analyses.table(saved, name),
        texts=lambda model: _texts(results, str(saved.path), model),
    )

    def notes(choice: Choice) -> None:
        for finding in saved.refusals if page == "across" else ():
            st.caption(f":material/block: {md(finding.where)}: {prose(finding.message)}")
        for change in changes_since(results, saved):
            st.caption(f":material/update: {change} Analyse again to update the figures.")
        if "to" in choice and not choice["to"].strip():
            next_step(
                "Set up the extraction of another data set",
                "extract",
                parameters={"models": [choice["model"]], "dataset": _SECOND},
                primary=False,
            )
        if st.session_state.get("view") == "separation" and not saved.settings.control_shuffles:
            st.caption(
                ":material/labs: This analysis has no control extractions, so no verdict says more "
                "than inconclusive. Analyse again with them below, or in a shell: "
                f"{mono(saved.command + ' --controls')}"
            )

    def cards(choice: Choice) -> None:
        if page == "directions":
            _cards(results, source, choice)
        elif page == "distances":
            if choice.get("site"):
                show_cards(cosines.cards(source, choice), of=_of(choice))
        else:
            show_cards(by_layer.cards(source, choice), of=by_layer.where(source, choice))

    def details(choice: Choice) -> None:
        if page == "directions":
            model = choice.get("model", saved.models[0])
            _downloads(saved, model, choice.get("site", saved.sites))
        _settings(saved, results)

    show_views(
        page,
        source,
        Surroundings(
            styles=emotion_styles((each.emotion for each in saved.inputs), current_scheme()),
            badges=lambda _: saved.badges,
            made=lambda choice: (
                made_words(saved, by_layer.draws_words(saved.settings, choice))
                if page == "across"
                else made_words(saved, f"{saved.settings.n_permutations:,} permutations")
            ),
            command=lambda view, choice: view_command(results, saved, view, choice),
            cards=cards,
            notes=notes,
            details=details,
            kept=_key(saved),
        ),
    )
    analyse_panel.show_form(results)
    path.show(results, after="Analyse", primary=False)


def _cards(results: str, source: Analysed, choice: Choice) -> None:
    """One card an emotion, and the cause of wide intervals with a link to it."""
    if "site" not in choice:
        return
    cards, wide = _direction_cards(source, _key(source.saved), choice["model"], choice["site"][0])
    show_cards(cards, of=_of(choice))
    st.caption(direction_answer.BEST)
    if not wide:
        return
    site, model = choice["site"][0], choice["model"]
    units = []
    analysed = {(each.folder, each.emotion) for each in source.saved.inputs}
    for card in unit_cards(results):
        # Files of pooled vectors have no tokens to measure.
        with suppress(EmoactError):
            own = card.file.folder == model and (model, card.file.emotion) in analysed
            if card.unit and own:
                units.append(measures(card.file))
    found = next(
        (
            each
            for each in findings(tuple(units))
            if each.kind == "massive_tokens" and each.site == site and set(each.layers) & set(wide)
        ),
        None,
    )
    said = f"{found.sentence} {found.meaning}" if found else ""
    st.caption(f":material/info: {md(direction_answer.wide_sentence(wide, site, said))}")
    if found is not None:
        st.page_link(
            "pages/activations.py",
            label="Show the massive tokens",
            icon=":material/open_in_new:",
            query_params={**found.view, "model": model},
        )


@st.cache_data(max_entries=64, show_spinner=False)
def _direction_cards(
    _source: Analysed, key: str, model: str, site: str
) -> tuple[list[Card], tuple[int, ...]]:
    del key  # part of what is kept
    choice = {"model": model, "site": [site]}
    return direction_answer.cards(_source, choice), direction_answer.wide_layers(_source, choice)


def _key(saved: SavedAnalysis) -> str:
    """Names what an analysis says, also when it was made again."""
    return f"{saved.path} {saved.id} {saved.created_at}"


def _of(choice: Choice) -> str:
    return f"{display_name(choice['model'])}, {site_words(choice['site'][0])}"


@st.cache_data(max_entries=64, show_spinner=False)
def _texts(results: str, analysis: str, model: str) -> dict[tuple[str, str], str]:
    return texts_in(results, SavedAnalysis.open(analysis), model)


def changes_since(results: str, saved: SavedAnalysis) -> list[str]:
    """Differences between the files on disk and those that were analysed, in Markdown."""
    root = ResultsRoot(results)
    known_files = recorded(root)
    missing, other = [], []
    for each in saved.inputs:
        path = root.path / each.file
        name = mono(f"{each.folder}/{each.emotion}")
        try:
            state = path.stat()
        except OSError:
            missing.append(name)
            continue
        entry = known_files.get(each.file)
        sha256 = known_sha256(path) or (entry.sha256 if entry else None)
        made = numbers.moment_of(saved.created_at)
        # Of a file whose hash is not known, the time tells.
        newer = made is not None and state.st_mtime > made.timestamp()
        if (sha256 != each.sha256 if sha256 else newer) or state.st_size != each.size:
            other.append(name)
    known = {each.folder for each in saved.inputs}
    analysed = {(each.folder, each.emotion) for each in saved.inputs}
    added = [
        mono(f"{file.folder}/{file.emotion}")
        for file in unit_files(results)
        if file.folder in known and (file.folder, file.emotion) not in analysed
    ]
    said = []
    for names, what in ((other, "written again"), (missing, "removed"), (added, "added")):
        if names:
            shown = listed(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
            verb = "was" if len(names) == 1 else "were"
            said.append(f"{shown} {verb} {what} since this analysis was made.")
    return said


def made_words(saved: SavedAnalysis, draws: str) -> str:
    """Settings of the figures, for a caption."""
    settings = saved.settings
    reference = (
        f"against {settings.neutral}"
        if settings.reference == "neutral"
        else "against the mean of all classes"
    )
    return (
        f"{settings.pooling} pooling, {reference}, {draws}, "
        f"alpha {settings.alpha:g}. emoact analysis {saved.id}."
    )


def view_command(results: str, saved: SavedAnalysis, view: View[Any], choice: Choice) -> str:
    """The shell command that writes the table of a view."""
    asked = [
        f"{name}={word(each)}"
        for name, value in choice.items()
        for each in (value if isinstance(value, list) else [value])
    ]
    where = ["--analysis", saved.id, "--results", results, "--csv", f"{view.name}.csv"]
    return shlex.join(["python", "-m", "emoact", "view", view.name, "--choice", *asked, *where])


def _settings(saved: SavedAnalysis, results: str) -> None:
    with st.expander("Settings of the analysis and of its units", icon=":material/tune:"):
        made = [
            ("analysis", saved.id),
            ("made", saved.created_at),
            ("by run", saved.run_id or numbers.MISSING),
            *flattened(encode(saved.settings)),
            *((f"version of {name}", value) for name, value in saved.versions.items()),
        ]
        ask_note(results, saved.id)
        st.caption(f"In a shell: {mono(saved.command)}")
        left, right = st.columns([2, 3])
        with left:
            st.dataframe(
                [{"setting": name, "value": value} for name, value in made],
                hide_index=True,
                height=TABLE_HEIGHT,
                alt="Settings of the analysis",
            )
        with right:
            st.dataframe(
                [
                    {
                        "model": each.folder,
                        "emotion": each.emotion,
                        "hub id": each.model,
                        "size": numbers.size(each.size),
                        "SHA-256": each.sha256,
                    }
                    for each in saved.inputs
                ],
                hide_index=True,
                height=TABLE_HEIGHT,
                alt="Files that were analysed, with their hashes",
            )
        files = {(each.folder, each.emotion) for each in saved.inputs}
        cards = [
            card
            for card in unit_cards(results)
            if card.problem is None and (card.file.folder, card.file.emotion) in files
        ]
        configuration.show(cards, alt="Configuration of each of these files as it is on disk now")
        for finding in saved.findings:
            st.caption(f":material/info: {md(finding.where)}: {prose(finding.message)}")


def _downloads(saved: SavedAnalysis, model: str, sites: Sequence[str]) -> None:
    """The directions themselves, `[layer, d_model]` for each emotion, as safetensors."""
    with st.expander(
        "Directions as files", icon=":material/download:", key="directions-files", on_change="rerun"
    ) as box:
        if not box.open:
            return
        st.markdown(
            "One tensor `[layer, d_model]` for each emotion, in the model's own units and positive "
            "towards the emotion, with how it was made in the metadata. "
            f"{mono('emoact.analysis')} reads them back with {mono('directions(folder, site)')}."
        )
        with st.container(horizontal=True):
            for site in sites:
                try:
                    path = saved.directions_path(model, site)
                except EmoactError as error:
                    error_box(error, title="These directions are damaged")
                    continue
                download(
                    f"{site} ({numbers.size(path.stat().st_size)})",
                    path.read_bytes(),
                    name=path.name,
                    mime="application/octet-stream",
                    key=f"directions-{site}",
                )
