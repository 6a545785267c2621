"""The Causes page: results of steering and ablation, and the forms that make others."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import streamlit as st

from emoact import numbers
from emoact.causes.ablate import ABLATE, AblateRequest
from emoact.causes.chosen import CauseRequest, direction_units
from emoact.causes.contributions import Target
from emoact.causes.direction import direction_of
from emoact.causes.saved import RANDOM_WORDS, left_out, saved_causes
from emoact.causes.settings import (
    BYS,
    DOSES,
    PART_KINDS,
    SWEEP_SENTENCES,
    AblateSettings,
    SteerSettings,
)
from emoact.causes.steer import SITE, STEER, SteerRequest, default_layers
from emoact.errors import EmoactError, RequestError
from emoact.host.client import MOST_CHARACTERS, continue_both, is_warm
from emoact.jobs.controls import known_as
from emoact.models.alike import check_bos, request_alike
from emoact.store.layout import ResultsRoot
from emoact.ui import links
from emoact.ui.boxes import answer, error_box, say_left_out, show_cards, to_extract
from emoact.ui.cause_form import (
    NEXT,
    classes_of,
    layer_input,
    layers_of,
    random_badges,
    start_form,
    watched_causes,
)
from emoact.ui.chart import current_scheme
from emoact.ui.current_run import is_at_work
from emoact.ui.reading import UnitFile, unit_files
from emoact.ui.view_page import Surroundings, show_views
from emoact.views.cards import of_causes
from emoact.views.causes import ABLATIONS, Causes, label
from emoact.views.text import coloured, md, mono
from emoact.views.theme import emotion_styles
from emoact.views.view import Choice

Asked = TypeVar("Asked", bound=CauseRequest)

_PLACES = ("every position after BOS", "last prompt token on")


def show(results: str) -> None:
    """Draw the page, or what it needs."""
    files = unit_files(results)
    watched = watched_causes(results, (STEER.name, ABLATE.name))
    root = ResultsRoot(results)
    source = Causes(steered=saved_causes(root, STEER.name), ablated=saved_causes(root, ABLATE.name))
    others = left_out(root, (STEER.name, ABLATE.name), (*source.steered, *source.ablated))
    say_left_out("Result", others)
    wanted = st.session_state.pop(NEXT, None)
    for key, view, found in (
        ("result", "doses", source.steered),
        ("ablation", "ablations", source.ablated),
    ):
        for each in found:
            if each.id == wanted:
                st.session_state[key] = label(each)
                st.session_state["view"] = view
    if source.steered or source.ablated:
        _views(source, files)
    else:
        links.show_ignored()
        if is_at_work(results, watched):
            return
        if not files:
            answer(
                "Steering and ablation need the model and the prompts of saved activations: there "
                f"are none in {mono(results)} yet."
            )
            to_extract()
            return
        answer(
            "Nothing was steered or taken out with this version of emoact."
            if others
            else "Nothing was steered or taken out yet.",
            "Directions come from a part of the scenarios; "
            "the sentences of the others are measured beside 100 random directions of the same "
            "norm. No second model judges them.",
        )
    if is_at_work(results, watched):
        st.caption(":material/schedule: A run is at work; its progress stands on top of this page.")
        return
    _forms(results, files, source)


def _views(source: Causes, files: list[UnitFile]) -> None:
    def badges(choice: Choice) -> list[str]:
        return random_badges(filter(None, (source.steering(choice), source.ablation(choice))))

    show_views(
        "causes",
        source,
        Surroundings(
            styles=emotion_styles((file.emotion for file in files), current_scheme()),
            badges=badges,
            cards=lambda choice: show_cards(of_causes(source, choice), of=source.model_of(choice)),
        ),
    )


def _forms(results: str, files: list[UnitFile], source: Causes) -> None:
    folders = list(dict.fromkeys(file.folder for file in files))
    if not folders:
        return
    of_parts = st.session_state.get("view") == ABLATIONS.name
    kind, picker = (ABLATE.name, "ablation") if of_parts else (STEER.name, "result")
    shown = source.named(kind).get(str(st.session_state.get(picker)))
    first = folders.index(shown.found["model"]) if shown and shown.found["model"] in folders else 0
    model = str(st.selectbox("Model to work on", folders, first, key="steer-model", width=260))
    emotions, neutral = classes_of(files, model)
    if not emotions:
        return
    steering, taking, trying = (
        st.expander("Steer a direction", icon=":material/add_circle:", expanded=not of_parts),
        st.expander("Take parts out", icon=":material/content_cut:", expanded=of_parts),
        st.expander("Continue a typed text with a direction", icon=":material/keyboard:"),
    )
    n_layers = layers_of(files, model)
    with steering:
        asked = _of_form(_steer_form, results, model, emotions, neutral, n_layers)
        if asked is not None:
            n_cells = len(asked.settings.emotions) * len(asked.settings.layers)
            start_form(STEER, asked, f"Steer {numbers.plural(n_cells, 'direction')}")
    with trying:
        _typed(results, model, emotions, neutral, n_layers)
    with taking:
        taken = _of_form(_ablate_form, results, model, emotions, neutral, n_layers)
        if taken is not None:
            start_form(ABLATE, taken, "Take the parts out")


def _typed(results: str, model: str, emotions: list[str], neutral: str, n_layers: int) -> None:
    st.caption(
        "An illustration and no evidence: one text, one draw. The verdicts come from held-out "
        "sentences beside directions of chance."
    )
    with st.form("typed-form", border=False):
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            emotion = str(
                st.selectbox("Emotion", emotions, key=f"typed-emotion-{model}", width=150)
            )
            layer = layer_input(f"typed-layer-{model}", n_layers)
            dose = float(st.number_input("Dose", -8.0, 8.0, 2.0, 0.5, key="typed-dose", width=120))
            seed = int(st.number_input("Seed", 0, 999, 0, key="typed-seed", width=110))
            place = st.selectbox(
                "Added at",
                _PLACES,
                key="typed-place",
                width=230,
                help="Positions of the residual stream to which the direction is added.",
            )
        with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
            text = st.text_input(
                "Text",
                "When I came home, the door was open and",
                key="typed-text",
                max_chars=MOST_CHARACTERS,
            )
            asked = st.form_submit_button("Continue both ways", type="primary", width=190)
    if not asked:
        return
    try:
        root = ResultsRoot(results)
        target = Target(layer=layer)
        units = direction_units(root, model, emotion, neutral, target)
        name = known_as(root, model, units[0].provenance)
        settings = [unit.configuration for unit in units]
        request = request_alike(model, settings, (SITE,), name=name)
        vector = dose * direction_of(units[0], units[1], target).vector
        words = "Continuing" if is_warm(request) else f"Loading {request.model}"
        with st.spinner(words, show_time=True):
            found = continue_both(
                request, text, layer=layer, vector=vector, seed=seed, from_last=place == _PLACES[1]
            )
        check_bos(found.bos, units[0].configuration or {})
    except EmoactError as error:
        error_box(error, title="There is no answer")
        return
    columns = st.columns(2)
    for column, name, side in (
        (columns[0], "Without the direction", found.plain),
        (columns[1], f"With {numbers.short(dose)} times {emotion} at layer {layer}", found.steered),
    ):
        with column:
            st.markdown(f"**{md(name)}**")
            st.html(coloured(side.strings, side.difference, side.n_prompt))
            st.dataframe(
                {"token": side.strings, "difference": side.difference},
                hide_index=True,
                height=240,
                alt=f"Change of the log-probability of every token: {name}",
            )
    st.caption(
        "Teal tokens are more probable with the direction than without it, brown ones less; the "
        f"tables give the difference in nats. The prompt is underlined. {found.seconds:.1f} s."
    )
    if found.random_weights:
        st.caption(RANDOM_WORDS)


def _of_form(form: Callable[..., Asked | None], *facts: Any) -> Asked | None:
    """What a form asks; a box says what is not allowed."""
    try:
        return form(*facts)
    except RequestError as error:
        error_box(error, title="This cannot be computed")
        return None


def _steer_form(
    results: str, model: str, emotions: list[str], neutral: str, n_layers: int
) -> SteerRequest | None:
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        chosen = st.multiselect(
            "Emotions", emotions, emotions, key=f"steer-emotions-{model}", width=320
        )
        layers = st.multiselect(
            "Layers",
            list(range(n_layers)),
            list(default_layers(n_layers)),
            key=f"steer-layers-{model}",
            width=320,
            help="Layers at whose input the direction is added; a verdict is corrected over all.",
        )
        doses = st.text_input(
            "Doses",
            " ".join(f"{dose:g}" for dose in DOSES),
            key="steer-doses",
            width=220,
            help="Factors of the direction; 1 adds the whole difference of the class means. All "
            "controls run at dose 1 where several emotions, layers or doses are compared.",
        )
        sentences = st.number_input(
            "Sentences",
            1,
            1000,
            SWEEP_SENTENCES,
            key="steer-sentences",
            width=130,
            help="Most test sentences of each class.",
        )
    try:
        values = tuple(dict.fromkeys(float(word) for word in doses.replace(",", " ").split()))
    except ValueError:
        values = (math.nan,)
    if not all(map(math.isfinite, values)) or not (chosen and layers and values):
        st.caption("Choose at least one emotion and one layer, and numbers as doses.")
        return None
    return SteerRequest(
        results=results,
        model=model,
        settings=SteerSettings(
            emotions=tuple(chosen),
            layers=tuple(layers),
            doses=values,
            neutral=neutral,
            n_sentences=int(sentences),
        ),
    )


def _ablate_form(
    results: str, model: str, emotions: list[str], neutral: str, n_layers: int
) -> AblateRequest | None:
    if n_layers < 2:
        st.caption("No part comes before layer 0; this model has one layer.")
        return None
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        emotion = st.selectbox("Emotion", emotions, key=f"ablate-emotion-{model}", width=170)
        layer = st.number_input(
            "Read-out layer",
            1,
            n_layers - 1,
            max(1, n_layers // 2),
            key=f"ablate-layer-{model}",
            width=150,
        )
        by = st.selectbox(
            "In their place",
            BYS,
            index=BYS.index("mean"),
            key="ablate-by",
            width=150,
            help="Nothing, the mean over neutral training prompts, or that over the neutral prompt "
            "of the same scenario.",
        )
        words = st.text_input(
            "Class words",
            key="ablate-words",
            placeholder=str(emotion),
            width=220,
            help="Words, apart by commas, whose log-odds as the next token after a sentence are "
            "read out by their first tokens. The label where none is named.",
        )
    parts = st.multiselect(
        "Parts",
        PART_KINDS,
        ["direction", "directions", "layer", "mlp"],
        key="ablate-parts",
        width=520,
        help="One part after the other; directions: the direction at all layers at once.",
    )
    if not parts:
        st.caption("Choose at least one kind of part.")
        return None
    return AblateRequest(
        results=results,
        model=model,
        settings=AblateSettings(
            emotion=str(emotion),
            layer=int(layer),
            parts=tuple(parts),
            by=by,
            neutral=neutral,
            n_sentences=SWEEP_SENTENCES,
            words=tuple(dict.fromkeys(filter(None, map(str.strip, words.split(","))))),
        ),
    )
