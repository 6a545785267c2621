"""The Heads page: directions that were taken apart, and the form that takes another one apart."""

from __future__ import annotations

import dataclasses
from typing import Any

import streamlit as st

from emoact.causes.contributions import TARGETS, ContrastSettings, Target
from emoact.causes.heads import HeadsRequest, prepare_heads, saved_heads
from emoact.causes.lens import LensRequest, LensSettings, prepare_lens, saved_lenses
from emoact.causes.patterns import (
    BUDGET_MB,
    PatternsRequest,
    prepare_patterns,
    saved_patterns,
)
from emoact.causes.project import Along, along_saved
from emoact.causes.saved import SavedCause
from emoact.errors import EmoactError, RequestError
from emoact.jobs.causes import what_of
from emoact.positions import POOLINGS
from emoact.store.layout import ResultsRoot
from emoact.ui import links
from emoact.ui.boxes import Outcome, answer, error_box, outcome, show_cards, to_extract
from emoact.ui.cause_form import classes_of, layer_input, layers_of, start_form
from emoact.ui.chart import current_scheme
from emoact.ui.current_run import folded, is_at_work, made_by_job, watched_job
from emoact.ui.reading import UnitFile, unit_card, unit_files
from emoact.ui.sentence_form import SENTENCE, model_of_files, typed_sentence
from emoact.ui.view_page import Surroundings, show_views
from emoact.views.attention import TYPED, of_prompt
from emoact.views.cards import of_heads
from emoact.views.heads import Heads, label
from emoact.views.text import mono
from emoact.views.theme import emotion_order, emotion_styles
from emoact.views.trajectory import Apart, Trajectory
from emoact.views.view import Choice, View

_NEXT = "heads-next"
_PROMPT = "heads-prompt"
_MOST_PROMPTS = 2000
"""Prompts of a class that are listed."""
KINDS = ("heads", "lens", "project", "attention")
"""Kinds of runs that this page shows."""


def show(results: str) -> None:
    """Draw the page, or what it needs."""
    files = unit_files(results)
    watched = watched_job(results, "causes", lambda config: what_of(config) in KINDS)
    made = None if watched is None else made_by_job(results, watched)
    if made is not None:
        st.session_state[_NEXT] = made.parent.name
        st.rerun()
    saved = saved_heads(ResultsRoot(results))
    wanted = st.session_state.pop(_NEXT, None)
    for each in saved:
        if each.id == wanted:
            st.session_state["result"] = label(each)
    if saved:
        _views(results, saved, files)
        folded("Take another direction apart", "heads-folded", lambda: _form(results, files))
        return
    links.show_ignored()
    if is_at_work(results, watched):
        return
    if not files:
        answer(
            "A direction is taken apart with the model and the prompts of saved activations: there "
            f"are none in {mono(results)} yet."
        )
        to_extract()
        return
    answer(
        "No direction was taken apart yet. The model reads the saved prompts once more; what every "
        "head, MLP and the embedding add to the direction is kept, and takes some kilobytes."
    )
    _form(results, files)


def _views(results: str, saved: tuple[SavedCause, ...], files: list[UnitFile]) -> None:
    root = ResultsRoot(results)
    source = Heads(
        saved=saved,
        lenses=saved_lenses(root),
        patterns=saved_patterns(root),
        n_layers={file.folder: layers_of(files, file.folder) for file in files},
    )
    order = emotion_order(file.emotion for file in files)

    def badges(choice: Choice) -> list[str]:
        random = source.chosen(choice).found["random_weights"]
        return ["random weights, which say nothing about emotion"] if random else []

    def details(choice: Choice) -> None:
        st.caption(f"Saved as {mono(str(source.chosen(choice).path))}.")

    show_views(
        "heads",
        source,
        Surroundings(
            styles=emotion_styles(order, current_scheme()),
            badges=badges,
            cards=lambda choice: show_cards(of_heads(source, choice)),
            ask=lambda view, source, choice: _ask(results, view, source, choice),
            details=details,
        ),
    )


def _ask(results: str, view: View[Any], source: Heads, choice: Choice) -> Heads | None:
    """Inputs of a view beyond the saved result: a form, or values computed from saved prompts."""
    if view.name == "attention" and "head" in choice:
        return _attention(results, source, choice)
    found = source.chosen(choice).found
    own = tuple(file for file in unit_files(results) if file.folder == found["model"])
    if view.name == "lens" and source.lens(choice) is None:
        _lens_form(results, source, choice, own)
        return None
    if view.name not in ("projections", "trajectory", "tokens"):
        return source
    place = found["target"]
    target = Target(**{**place, "layer": choice.get("layer", place["layer"])})
    checked = _along(results, found["model"], found["emotion"], found["neutral"], target, own)
    if checked.error is not None:
        error_box(checked.error, title="These files cannot be projected")
        return None
    along = checked.value
    if along is None or view.name == "projections":
        return dataclasses.replace(source, along=along)
    apart = view.name == "tokens"
    request = model_of_files(
        results,
        along.folder,
        configurations=[along.configuration],
        provenance=next((card.unit.provenance for card in map(unit_card, own) if card.unit), None),
        sites=target.sites if apart else (target.site,),
    )
    if request is None:
        return None
    _saved_prompt(along, own)
    typed = typed_sentence(
        request,
        along.configuration or {},
        along=(along.direction.unit, target.site, target.layer),
        asked_of=f"{choice['result']} {target.layer}",
        apart=apart,
    )
    if typed is None:
        return None
    if apart:
        return dataclasses.replace(source, apart=Apart(along=along, looked=typed))
    return dataclasses.replace(source, trajectory=Trajectory(along=along, looked=typed))


def _saved_prompt(along: Along, files: tuple[UnitFile, ...]) -> None:
    """A list of the saved prompts of a direction, from which the sentence can be taken."""
    units = [unit_card(file).unit for file in files]
    texts = {
        f"{unit.emotion}: {unit.prompt_id(sample)}": unit.prompt_text(sample)
        for unit in units
        if unit is not None and unit.emotion in (along.emotion, along.neutral)
        for sample in range(min(unit.n_samples, _MOST_PROMPTS))
    }

    def take() -> None:
        st.session_state[SENTENCE] = texts.get(st.session_state[_PROMPT], "")

    st.selectbox(
        "Saved prompt",
        list(texts),
        index=None,
        key=_PROMPT,
        on_change=take,
        placeholder="Type a sentence below, or choose a prompt",
        width=420,
    )


# What is on disk is part of the key.
@st.cache_resource(max_entries=64, show_spinner="Projecting the saved prompts")
def _along(
    results: str,
    model: str,
    emotion: str,
    neutral: str,
    target: Target,
    files: tuple[UnitFile, ...],
) -> Outcome[Along]:
    del files
    return outcome(lambda: along_saved(ResultsRoot(results), model, emotion, neutral, target))


def _lens_form(results: str, source: Heads, choice: Choice, files: tuple[UnitFile, ...]) -> None:
    found = source.chosen(choice).found
    asked = LensRequest(
        results=results,
        model=found["model"],
        emotion=found["emotion"],
        target=Target(**found["target"]),
        settings=LensSettings(neutral=found["neutral"]),
    )
    start_form(
        asked,
        "Read the direction through the unembedding",
        key="lens-start",
        prepare=prepare_lens,
        files=files,
        following=_NEXT,
        refused="This direction has no logit lens",
    )


def _attention(results: str, source: Heads, choice: Choice) -> Heads | None:
    """The patterns of a saved prompt, or the form of a sentence whose patterns are shown."""
    folder = source.chosen(choice).found["model"]
    own = [file for file in unit_files(results) if file.folder == folder]
    if choice.get("text", TYPED) != TYPED:
        try:
            return dataclasses.replace(source, typed=of_prompt(source, choice))
        except EmoactError as error:
            error_box(error, title="The patterns of this prompt cannot be shown")
            return None
    units = [card.unit for card in map(unit_card, own) if card.unit]
    if not units:
        gone = RequestError(f"there are no readable files of {folder} any more")
        error_box(gone, title="A sentence cannot be read as these files were")
        return None
    request = model_of_files(
        results,
        folder,
        configurations=[units[0].configuration],
        provenance=units[0].provenance,
        sites=("pattern",),
    )
    if request is None:
        return None
    typed = typed_sentence(request, units[0].configuration or {})
    folded(
        "Write the patterns of saved prompts",
        "patterns-folded",
        lambda: _patterns_form(results, folder, tuple(own)),
    )
    return None if typed is None else dataclasses.replace(source, typed=typed)


def _patterns_form(results: str, folder: str, files: tuple[UnitFile, ...]) -> None:
    emotions = emotion_order(file.emotion for file in files)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        emotion = str(st.selectbox("Class", emotions, key="patterns-emotion", width=170))
        budget = int(
            st.number_input(
                "Budget (MB)",
                0,
                1_000_000,
                BUDGET_MB,
                key="patterns-budget",
                width=170,
                help="Patterns that take more are reduced to entropy, masses and the largest "
                "weights of each query.",
            )
        )
    asked = PatternsRequest(results=results, model=folder, emotion=emotion, budget_mb=budget)
    start_form(
        asked,
        "Write the patterns",
        key="patterns-start",
        prepare=prepare_patterns,
        files=files,
        following=_NEXT,
        refused="These patterns cannot be written",
    )


def _form(results: str, files: list[UnitFile]) -> None:
    folders = list(dict.fromkeys(file.folder for file in files))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        model = str(st.selectbox("Model", folders, key="heads-model", width=260))
        emotions, neutral = classes_of(files, model)
        if not emotions:
            return
        emotion = str(st.selectbox("Emotion", emotions, key="heads-emotion", width=170))
        n_layers = layers_of(files, model)
        layer = layer_input(f"heads-layer-{model}", n_layers)
        site = st.selectbox(
            "Stream",
            TARGETS,
            key="heads-site",
            width=150,
            help="The residual stream that enters the layer, between its attention and its MLP, or "
            "after the last layer.",
        )
        pooling = st.selectbox("Pooling", POOLINGS, key="heads-pooling", width=170)
    asked = HeadsRequest(
        results=results,
        model=model,
        emotion=emotion,
        target=Target(site=site, layer=layer, pooling=pooling),
        settings=ContrastSettings(neutral=neutral),
    )
    start_form(
        asked,
        "Take the direction apart",
        key="heads-start",
        prepare=prepare_heads,
        files=tuple(file for file in files if file.folder == model),
        following=_NEXT,
        refused="This direction cannot be taken apart",
    )
