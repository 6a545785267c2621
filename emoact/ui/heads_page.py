"""The Heads page: directions that were taken apart, and the form that takes another one apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import streamlit as st

from emoact.causes.contributions import TARGETS, ContrastSettings, Target
from emoact.causes.heads import HEADS, HeadsRequest
from emoact.causes.lens import LENS, LensRequest, LensSettings
from emoact.causes.patterns import BUDGET_MB, PATTERNS, PatternsRequest
from emoact.causes.project import Along, along_saved
from emoact.causes.saved import SavedCause, left_out
from emoact.errors import EmoactError, RequestError
from emoact.positions import POOLINGS
from emoact.store.layout import ResultsRoot
from emoact.ui import links
from emoact.ui.boxes import (
    Outcome,
    answer,
    error_box,
    outcome,
    say_left_out,
    show_cards,
    to_extract,
)
from emoact.ui.cause_form import (
    NEXT,
    classes_of,
    files_of,
    layer_input,
    layers_of,
    random_badges,
    start_form,
    watched_causes,
)
from emoact.ui.chart import current_scheme
from emoact.ui.current_run import folded, is_at_work
from emoact.ui.reading import UnitFile, unit_card, unit_files
from emoact.ui.sentence_form import typed_sentence
from emoact.ui.view_page import Surroundings, show_views
from emoact.views.attention import TYPED, of_prompt
from emoact.views.cards import of_heads
from emoact.views.heads import Heads, label
from emoact.views.text import mono
from emoact.views.theme import emotion_order, emotion_styles
from emoact.views.trajectory import Apart, Trajectory
from emoact.views.view import Choice, View

KINDS = ("heads", "lens", "project", "attention")
"""Kinds of runs that this page shows."""


def show(results: str) -> None:
    """Draw the page, or what it needs."""
    files = unit_files(results)
    watched = watched_causes(results, KINDS)
    saved = HEADS.saved(ResultsRoot(results))
    others = left_out(ResultsRoot(results), ("heads",), saved)
    say_left_out("Result", others)
    wanted = st.session_state.pop(NEXT, None)
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
        "No direction was taken apart with this version of emoact."
        if others
        else "No direction was taken apart yet.",
        "The model reads the saved prompts once more; what every "
        "head, MLP and the embedding add to the direction is kept, and takes some kilobytes.",
    )
    _form(results, files)


def _views(results: str, saved: tuple[SavedCause, ...], files: list[UnitFile]) -> None:
    root = ResultsRoot(results)
    source = Heads(
        saved=saved,
        lenses=LENS.saved(root),
        patterns=PATTERNS.saved(root),
        n_layers={file.folder: layers_of(files, file.folder) for file in files},
    )

    def details(choice: Choice) -> None:
        st.caption(f"Saved as {mono(str(source.chosen(choice).path))}.")

    show_views(
        "heads",
        source,
        Surroundings(
            styles=emotion_styles((file.emotion for file in files), current_scheme()),
            badges=lambda choice: random_badges([source.chosen(choice)]),
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
    own = files_of(results, found["model"])
    if view.name == "lens" and source.lens(choice) is None:
        _lens_form(results, found)
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
    units = [card.unit for card in map(unit_card, own) if card.unit]
    asked = [unit for unit in units if unit.emotion == along.emotion]
    if not asked:
        _say_gone(found["model"])
        return None
    typed = typed_sentence(
        results,
        asked,
        target.sites if apart else (target.site,),
        prompts=[unit for unit in units if unit.emotion in (along.emotion, along.neutral)],
        along=(along.direction.unit, target.site, target.layer),
        asked_of=f"{choice['result']} {target.layer}",
        apart=apart,
    )
    if typed is None:
        return None
    if apart:
        return dataclasses.replace(source, apart=Apart(along=along, looked=typed))
    return dataclasses.replace(source, trajectory=Trajectory(along=along, looked=typed))


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


def _lens_form(results: str, found: Mapping[str, Any]) -> None:
    asked = LensRequest(
        results=results,
        model=found["model"],
        emotion=found["emotion"],
        target=Target(**found["target"]),
        settings=LensSettings(neutral=found["neutral"]),
    )
    start_form(
        LENS,
        asked,
        "Read the direction through the unembedding",
        refused="This direction has no logit lens",
    )


def _attention(results: str, source: Heads, choice: Choice) -> Heads | None:
    """The patterns of a saved prompt, or the form of a sentence whose patterns are shown."""
    folder = source.chosen(choice).found["model"]
    if choice.get("text", TYPED) != TYPED:
        try:
            return dataclasses.replace(source, typed=of_prompt(source, choice))
        except EmoactError as error:
            error_box(error, title="The patterns of this prompt cannot be shown")
            return None
    units = [card.unit for card in map(unit_card, files_of(results, folder)) if card.unit]
    if not units:
        _say_gone(folder)
        return None
    typed = typed_sentence(results, units[:1], ("pattern",))
    folded(
        "Write the patterns of saved prompts",
        "patterns-folded",
        lambda: _patterns_form(results, folder),
    )
    return None if typed is None else dataclasses.replace(source, typed=typed)


def _say_gone(folder: str) -> None:
    gone = RequestError(f"there are no readable files of {folder} any more")
    error_box(gone, title="A sentence cannot be read as these files were")


def _patterns_form(results: str, folder: str) -> None:
    emotions = emotion_order(file.emotion for file in files_of(results, folder))
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
        PATTERNS,
        asked,
        "Write the patterns",
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
        HEADS,
        asked,
        "Take the direction apart",
        refused="This direction cannot be taken apart",
    )
