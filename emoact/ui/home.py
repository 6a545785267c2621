"""The pieces of the Home page: where things stand in words, in a grid, and as one button."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from emoact import numbers
from emoact.analysis.saved import SavedAnalysis
from emoact.errors import EmoactError
from emoact.jobs.demo import demo_prompts
from emoact.jobs.request import AgreementError, ExtractRequest
from emoact.jobs.views import RunSummary
from emoact.models.registry import DEFAULT_MODEL, EMBEDDED_MODELS, display_name
from emoact.sites import in_order
from emoact.store.layout import ResultsRoot, example_of
from emoact.ui import configuration, extract_form, path
from emoact.ui.analyses import saved_analyses
from emoact.ui.boxes import answer, error_box, leave_for, next_step, show_badges, start_button
from emoact.ui.current_run import runs_of
from emoact.ui.folders import FOLDER
from emoact.ui.prompt_data import DEFAULT_DATASET
from emoact.ui.reading import FileOutline, recorded, reports_of
from emoact.ui.run_details import EXAMPLE, analyse_example
from emoact.ui.states import kind_words, run_look
from emoact.views.direction_answer import verdict_sentence
from emoact.views.text import listed, md, mono
from emoact.views.theme import emotion_order

_PICTURE_WORDS = (
    "Prompts go through the layers of a model; the difference between an emotion and neutral grows "
    "over the layers, beside a grey band of chance"
)
_PICTURE = Path(__file__).with_name("browser") / "welcome.svg"


def say(results: str, cards: Sequence[FileOutline], runs: Sequence[RunSummary]) -> None:
    """State the files on disk and the active runs."""
    active = [run for run in runs if run.active]
    if not cards and not active:
        answer(f"There are no activations in {mono(results)} yet.", _first_run_cost(results))
        return
    usable = [card for card in cards if card.problem is None]
    models = len({card.file.folder for card in usable})
    refused = len(cards) - len(usable)
    answer(
        f"{numbers.plural(len(usable), 'file')} of {numbers.plural(models, 'model')} on disk, "
        f"{numbers.size(sum(card.file.size for card in usable))} in {mono(results)}."
        if cards
        else f"There are no activations in {mono(results)} yet.",
        f"{numbers.plural(refused, 'file')} cannot be read." if refused else "",
        f"{numbers.plural(len(active), 'run')} at work or waiting." if active else "",
    )


def offer(results: str, cards: Sequence[FileOutline], runs: Sequence[RunSummary]) -> None:
    """The next sensible step as one button, and others beside it."""
    for run in runs:
        analyse_example(results, run)
    active = [run for run in runs if run.active]
    path.show(results, primary=bool(cards), button=not active)
    _say_result(results)
    with st.container(horizontal=True):
        if active:
            next_step(
                "Watch the run",
                "extract" if active[-1].kind == "extract" else "runs",
                parameters={"run": active[-1].id},
            )
        elif not cards:
            _offer_first_run(results)
            _offer_example(results)
        else:
            # The data set of these files, or they would be in the way.
            last = next((run.dataset for run in runs if run.kind == "extract"), "")
            known = {"dataset": last} if Path(last).is_file() else {}
            next_step("Extract more", "extract", parameters=known, primary=False)


def _say_result(results: str) -> None:
    """Verdicts of the newest analysis, with links to it and to the newest report."""
    row = next((row for row in saved_analyses(results) if row.problem is None), None)
    if row is None:
        return
    try:
        saved = SavedAnalysis.open(ResultsRoot(results).analysis_dir(row.id))
        headline = saved.table("headline")
    except EmoactError:
        # Its own page says what is wrong.
        return
    if saved.badges:
        show_badges(saved.badges)
    # The first site; the page of directions has the others.
    headline = headline[headline["site"] == next(iter(in_order(headline["site"])), "")]
    for model, own in headline.groupby("model", sort=False):
        st.markdown(f"**{md(display_name(str(model)))}:** {verdict_sentence(own)}")
    with st.container(horizontal=True):
        next_step("Open the directions", "directions", primary=False)
        if reports_of(results):
            next_step("Open the newest report", "report", primary=False)


def show_active(results: str, runs: Sequence[RunSummary]) -> None:
    """One bar for each run at work, drawn again every two seconds while there is one."""
    if any(run.active for run in runs):
        st.fragment(_active_bars, run_every=2.0)(results)


def _active_bars(results: str) -> None:
    active = [run for run in runs_of(results) if run.active]
    if not active:
        st.rerun()
    for run in active:
        look = run_look(run)
        done = f" {run.samples_done:,} of {run.n_samples:,}" if run.kind == "extract" else ""
        models = listed([mono(model) for model in run.models])
        st.progress(run.share or 0.0, text=f"{look.badge} {kind_words(run)} of {models}{done}")


def show_grid(cards: Sequence[FileOutline]) -> None:
    """Models by emotions: what is on disk, how old, how made, and what is wrong with it."""
    if not cards:
        return
    emotions = emotion_order(card.file.emotion for card in cards)
    folders = list(dict.fromkeys(card.file.folder for card in cards))
    now, root = datetime.now(tz=UTC), ResultsRoot(cards[0].file.results)
    known = recorded(root)

    def written(card: FileOutline) -> datetime:
        # A copied file has a later time.
        entry = known.get(root.unit_name(card.file.folder, card.file.emotion))
        return (numbers.moment_of(entry.written_at) if entry else None) or card.file.modified

    rows: list[dict[str, Any]] = []
    for folder in folders:
        own = {card.file.emotion: card for card in cards if card.file.folder == folder}
        usable = [card.unit for card in own.values() if card.unit]
        made = {configuration.short_words(unit) for unit in usable}
        rows.append(
            {
                "model": folder,
                **{emotion: _cell(own.get(emotion)) for emotion in emotions},
                "problems": _problems(list(own.values())),
                "layers × d_model": f"{usable[0].n_layers} × {usable[0].d_model}" if usable else "",
                "size": numbers.size(sum(card.file.size for card in own.values())),
                "newest": numbers.ago(max(map(written, own.values())), now),
                "configuration": made.pop() if len(made) == 1 else "mixed" if made else "unknown",
            }
        )
    st.header("On disk")
    table = pd.DataFrame(rows)
    st.dataframe(
        table if any(table["problems"]) else table.drop(columns="problems"),
        hide_index=True,
        column_config={
            "model": st.column_config.TextColumn("model", pinned=True, width=170),
            **{
                emotion: st.column_config.TextColumn(emotion, help="Prompts in the file.")
                for emotion in emotions
            },
        },
        alt="Models by emotions: prompts on disk, size, age, configuration and problems",
    )


def _cell(card: FileOutline | None) -> str:
    if card is None:
        return numbers.MISSING
    return "unreadable" if card.unit is None else numbers.count(card.unit.n_samples)


def _problems(cards: Sequence[FileOutline]) -> str:
    words = [f"{card.file.emotion}: {card.problem}" for card in cards if card.problem]
    if any(card.unit and card.unit.random_weights for card in cards):
        words.append("random weights")
    return "; ".join(words)


def _first_run_cost(results: str) -> str:
    """Cost of the first run for each embedded model."""
    # The estimate needs no agreement; only a start does.
    request = ExtractRequest(
        models=EMBEDDED_MODELS, dataset=DEFAULT_DATASET, results=results, assume_yes=True
    )
    config = extract_form.check(request).value
    if config is None or config.estimate is None:
        return ""
    what = numbers.plural(sum(config.counts.values()), "prompt")
    lines = [f"The embedded models need no hub. For {what}:"]
    for model, estimate in zip(config.models, config.estimate.models, strict=True):
        install = ""
        if model.download_bytes:
            size = numbers.size(model.download_bytes)
            install = f", its installation ({size} to download) included,"
        lines.append(
            f"- {mono(model.name)} takes {extract_form.cost_words(estimate, install)} on disk"
        )
    return "\n".join(lines)


def welcome(cards: Sequence[FileOutline], runs: Sequence[RunSummary]) -> None:
    """Introduction for a first visitor, in three sentences and one picture."""
    if cards or runs:
        return
    st.header("What you will see")
    st.markdown(
        "emoact runs prompts of several emotions through a language model and saves what every "
        "layer computes. The mean difference between an emotion and neutral is a direction, and "
        "its strength layer by layer stands beside what chance gives. Probes, tokens without "
        "context and shuffled words then show whether the model represents more than the words."
    )
    st.image(_PICTURE, width=760, alt=_PICTURE_WORDS)


def _offer_example(results: str) -> None:
    """The button that extracts a few prompts into a folder beside this one, and analyses them."""
    if not st.button(
        "Extract and analyse a small example, about a minute",
        icon=":material/science:",
        key="example",
        help="48 of the shipped prompts, in a results folder of their own, which the sidebar then "
        "offers.",
    ):
        return
    example = example_of(results)
    try:
        dataset = demo_prompts(DEFAULT_DATASET, example)
    except EmoactError as error:
        error_box(error, title="The example could not be made")
        return
    request = ExtractRequest(models=(DEFAULT_MODEL,), dataset=str(dataset), results=example)
    _extract(request, {FOLDER: example}, example=True)


def _extract(
    request: ExtractRequest, where: dict[str, str | list[str]], *, example: bool = False
) -> None:
    """Start an extraction and go to it, or to the form where it needs an agreement."""
    if isinstance(extract_form.check(request).error, AgreementError):
        where = where | {"models": list(request.models), "dataset": os.fspath(request.dataset)}
        leave_for("extract", where)
    run_id = extract_form.start(request)
    if run_id is not None:
        if example:
            st.session_state[EXAMPLE] = run_id
        leave_for("extract", {**where, "run": run_id})


def _offer_first_run(results: str) -> None:
    """Buttons that start the main job: with the default model, and with all embedded models."""
    for models, label, key in (
        ((DEFAULT_MODEL,), DEFAULT_MODEL, "first-run"),
        (EMBEDDED_MODELS, "both embedded models", "first-run-embedded"),
    ):
        primary = key == "first-run"
        request = ExtractRequest(models=models, dataset=DEFAULT_DATASET, results=results)
        config = extract_form.check(request).value
        n_prompts = sum(config.counts.values()) if config else 200
        words = f"Extract {numbers.plural(n_prompts, 'prompt')} with {label}"
        if start_button(words, key=key, primary=primary):
            _extract(request, {})
