"""Start an analysis from a page and watch it; what it needs is said before it is started."""

from __future__ import annotations

from typing import get_args

import streamlit as st

from emoact import numbers
from emoact.analysis.request import AnalyzeRequest, PreparedAnalysis, prepare_analysis
from emoact.analysis.saved import SavedAnalysis
from emoact.data.controls import LEAST_SHUFFLES
from emoact.errors import EmoactError
from emoact.jobs.config import JobConfig
from emoact.positions import POOLINGS
from emoact.stats.settings import AnalysisSettings, Reference
from emoact.ui import analyses, links, path
from emoact.ui.boxes import (
    Outcome,
    answer,
    error_box,
    leave_for,
    outcome,
    say_left_out,
    start_button,
    to_extract,
)
from emoact.ui.current_run import (
    PARAMETER,
    folded,
    is_at_work,
    launched,
    made_by_job,
    start_here,
    watched_job,
)
from emoact.ui.reading import UnitFile, unit_files
from emoact.views.text import listed, md, mono

_REFERENCES: tuple[Reference, ...] = get_args(Reference)
_OVERRIDE = "analyse-mixed"
_NEUTRAL = "neutral"
_NOT_STARTED = "The analysis could not start"


def open_analysis(results: str, *, needs: str, n_models: int = 1) -> SavedAnalysis | None:
    """The analysis to show; None where the page has said what it needs and offered it.

    `needs` is what the page wants to show, to complete "... needs an analysis", of at least
    `n_models`.
    """
    watched = watched_job(results, "analyze")
    made = None if watched is None else made_by_job(results, watched)
    if made is not None:
        analyses.turn_to(made.name)
    saved = analyses.saved_analyses(results)
    say_left_out("Analysis", {row.id: row.problem for row in saved if row.problem is not None})
    found = analyses.pick_analysis(results, saved)
    if found is not None and len(found.models) >= n_models:
        return found
    links.show_ignored()
    if not is_at_work(results, watched):
        _offer(results, found, needs=needs, n_models=n_models)
    return None


def show_form(results: str) -> None:
    """The folded form for another analysis."""
    folded(
        "Analyse again, or with other settings",
        "analyse-folded",
        lambda: _form(results, unit_files(results)),
    )


def _offer(results: str, found: SavedAnalysis | None, *, needs: str, n_models: int) -> None:
    files = unit_files(results)
    folders = list(dict.fromkeys(file.folder for file in files))
    if not files:
        answer(
            f"{needs} needs an analysis, and an analysis needs activations: there are none in "
            f"{mono(results)} yet. A run of the embedded model over the shipped prompts makes them "
            "in about a minute."
        )
        to_extract()
        return
    if len(folders) < n_models:
        answer(
            f"{needs} needs activations of {n_models} models made with the same prompts and "
            f"settings; {mono(results)} holds {listed([mono(folder) for folder in folders])} "
            "alone. Extract another model with the same data set, then analyse both together."
        )
        to_extract("Extract another model")
        return
    if found is None:
        answer(
            f"{needs} needs an analysis. {numbers.plural(len(files), 'unit')} of "
            f"{numbers.plural(len(folders), 'model')} are on disk; analysing them takes "
            f"{path.analysis_time(results, len(files))} and leaves them as they are. With "
            "*Control extractions*, which take longer, a verdict can say that a model represents "
            "more than the words."
        )
    else:
        answer(
            f"{needs} needs an analysis of {n_models} models; this one holds "
            f"{listed([mono(folder) for folder in found.models])} alone. On disk are "
            f"{listed([mono(folder) for folder in folders])}."
        )
    _form(results, files)


def _form(results: str, files: list[UnitFile]) -> None:
    folders = list(dict.fromkeys(file.folder for file in files))
    labels = list(dict.fromkeys(file.emotion for file in files))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        chosen = st.multiselect(
            "Models to analyse", folders, default=folders, key="analyse-models", width=320
        )
        pooling = st.selectbox(
            "Pooling",
            POOLINGS,
            key="analyse-pooling",
            width=180,
            help="How positions become one vector: the mean over the text of the prompt, the same "
            "without tokens that are massive at any layer, its last token, the mean over "
            "everything, with a chat format the last token before the response, or with responses "
            "their mean.",
        )
        reference = st.selectbox(
            "Measured from",
            _REFERENCES,
            key="analyse-reference",
            width=170,
            help="The neutral class, or the mean of all classes where there is none.",
        )
        neutral = _NEUTRAL
        if reference == "neutral":
            at = labels.index(_NEUTRAL) if _NEUTRAL in labels else 0
            neutral = st.selectbox(
                "Neutral class", labels, index=at, key="analyse-neutral", width=170
            )
    leave_out = st.checkbox(
        "Leave out prompts whose vectors are not finite",
        key="analyse-leave-out",
        help="They are named in a badge. Without this, an analysis stops at the first of them.",
    )
    controls = st.checkbox(
        "Control extractions",
        key="analyse-controls",
        help="Every token of the prompts by itself, and the words of every prompt in "
        f"{LEAST_SHUFFLES} random orders, run through the model of the units. A probe that reads "
        "more than words is better than both. Without them every verdict is inconclusive at best.",
    )
    if not chosen:
        st.caption("Choose at least one model.")
        return
    asked = AnalyzeRequest(
        results=results,
        models=None if len(chosen) == len(folders) else tuple(chosen),
        settings=AnalysisSettings(
            pooling=pooling,
            reference=reference,
            neutral=neutral,
            allow_mixed=bool(st.session_state.get(_OVERRIDE)),
            leave_out_nonfinite=leave_out,
            control_shuffles=LEAST_SHUFFLES if controls else 0,
        ),
    )
    checked = _check(asked, tuple(file for file in files if file.folder in chosen))
    _refusal(checked.error, asked)
    what = "these units"
    if checked.value is not None:
        if checked.value.existing:
            existing = mono(checked.value.existing.id)
            st.caption(f"These files were analysed so already: {existing}.")
        if checked.value.controls:
            st.caption(f":material/labs: {checked.value.controls.sentence}")
        for problem in checked.value.problems:
            st.caption(f":material/warning: left out: {md(problem)}")
        what = numbers.plural(len(checked.value.config.request["units"]), "unit")
    label = f"Analyse {what}{' although they differ' if asked.settings.allow_mixed else ''}"
    if start_button(label, key="analyse", possible=checked.error is None):
        start_here(lambda: _config(asked), title=_NOT_STARTED)


def _refusal(error: EmoactError | None, asked: AnalyzeRequest) -> None:
    """Reason for which the request may not start; a mixture may be allowed and is marked."""
    if error is not None:
        error_box(error, title="These units are not analysed as they are")
    mixed = error is not None and "not made alike" in error.message
    if mixed or asked.settings.allow_mixed:
        st.checkbox(
            "Analyse them although they differ: every chart and export says so",
            key=_OVERRIDE,
            persist_state="page",
        )


# What is on disk is part of the key; whether it was analysed already changes without it.
@st.cache_resource(max_entries=32, ttl=10, show_spinner="Checking the units")
def _check(asked: AnalyzeRequest, files: tuple[UnitFile, ...]) -> Outcome[PreparedAnalysis]:
    del files
    return outcome(lambda: prepare_analysis(asked))


def analyse_all(results: str) -> None:
    """Start the analysis of every file, and watch it on the page of directions."""
    asked = AnalyzeRequest(results=results)
    run_id = launched(lambda: prepare_analysis(asked).config, title=_NOT_STARTED)
    if run_id is not None:
        leave_for("directions", {PARAMETER: run_id})


def _config(asked: AnalyzeRequest) -> JobConfig:
    """The run of a request; an analysis that is there already is shown instead."""
    prepared = prepare_analysis(asked)
    if prepared.existing is not None:
        analyses.turn_to(prepared.existing.id)
    return prepared.config
