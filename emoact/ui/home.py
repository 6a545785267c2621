"""The pieces of the Home page: where things stand in words, in a grid, and as one button."""

from __future__ import annotations

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
from emoact.jobs.request import ExtractRequest
from emoact.jobs.views import RunSummary
from emoact.models.registry import DEFAULT_MODEL, EMBEDDED_MODELS, display_name
from emoact.sites import in_order
from emoact.store.layout import ResultsRoot, example_of
from emoact.store.summaries.outline import Outline
from emoact.ui import configuration, extract_form, path
from emoact.ui.analyses import saved_analyses
from emoact.ui.boxes import answer, error_box, leave_for, next_step, show_badges
from emoact.ui.current_run import runs_of
from emoact.ui.folders import FOLDER
from emoact.ui.prompt_data import DEFAULT_DATASET
from emoact.ui.reading import FileOutline, recorded, reports_of
from emoact.ui.states import kind_words, run_look
from emoact.ui.written import EXAMPLE, analyse_example
from emoact.views.direction_answer import verdict_sentence
from emoact.views.text import listed, md, mono
from emoact.views.theme import emotion_order


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
    active = any(run.active for run in runs)
    if active:
        st.fragment(_active_bars, run_every=2.0)(results)


def _active_bars(results: str) -> None:
    active = [run for run in runs_of(results) if run.active]
    if not active:
        st.rerun()
    for run in active:
        look = run_look(run.state, cancel_requested=run.cancel_requested)
        done = f" {run.samples_done:,} of {run.n_samples:,}" if run.kind == "extract" else ""
        models = listed([mono(model) for model in run.models])
        st.progress(
            run.share or 0.0,
            text=f"{look.badge} {kind_words(run)} of {models}{done}",
        )


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
        rows.append(
            {
                "model": folder,
                **{emotion: _cell(own.get(emotion)) for emotion in emotions},
                "problems": _problems(list(own.values())),
                "layers × d_model": f"{usable[0].n_layers} × {usable[0].d_model}" if usable else "",
                "size": numbers.size(sum(card.file.size for card in own.values())),
                "newest": numbers.ago(max(map(written, own.values())), now),
                "configuration": _configuration(usable),
            }
        )
    st.header("On disk")
    if not any(row["problems"] for row in rows):
        for row in rows:
            del row["problems"]
    st.dataframe(
        pd.DataFrame(rows),
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


def _configuration(units: Sequence[Outline]) -> str:
    found = {configuration.short_words(unit) for unit in units}
    return found.pop() if len(found) == 1 else "mixed" if found else "unknown"


def _problems(cards: Sequence[FileOutline]) -> str:
    words = [f"{card.file.emotion}: {card.problem}" for card in cards if card.problem]
    if any(card.unit and card.unit.random_weights for card in cards):
        words.append("random weights")
    return "; ".join(words)


def _first_request(results: str, models: Sequence[str], *, agreed: bool) -> ExtractRequest:
    return ExtractRequest(
        models=tuple(models),
        dataset=DEFAULT_DATASET,
        results=results,
        assume_yes=agreed,
    )


def _first_run_cost(results: str) -> str:
    """Cost of the first run for each embedded model."""
    # The estimate needs no agreement; only a start does.
    config = extract_form.check(_first_request(results, EMBEDDED_MODELS, agreed=True)).config
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
    models = [DEFAULT_MODEL]
    request = ExtractRequest(models=tuple(models), dataset=str(dataset), results=example)
    where: dict[str, str | list[str]] = {FOLDER: example}
    if extract_form.check(request).agreement:
        # The form shows the terms and asks.
        where |= {"models": models, "dataset": str(dataset)}
        leave_for("extract", where)
    run_id = extract_form.start(request)
    if run_id is not None:
        st.session_state[EXAMPLE] = run_id
        leave_for("extract", {**where, "run": run_id})


_PICTURE_WORDS = (
    "Prompts go through the layers of a model; the difference between an emotion and neutral grows "
    "over the layers, beside a grey band of chance"
)
_PICTURE = """<svg viewBox="0 0 760 170"
 xmlns="http://www.w3.org/2000/svg" width="760" height="170" fill="none" font-size="14"
 font-family="sans-serif">
<g fill="#7C858F"><text x="0" y="16">prompts</text>
<text x="300" y="16">layers of the model</text>
<text x="540" y="16">direction, layer by layer</text></g>
<g stroke-width="1.5"><rect x="1" y="34" width="210" height="34" rx="6" stroke="#C28500"/>
<rect x="1" y="84" width="210" height="34" rx="6" stroke="#8A9099"/></g>
<g fill="#7C858F"><text x="12" y="56">Thank you for the soup.</text>
<text x="12" y="106">The soup is on the table.</text></g>
<g stroke="#8A9099" stroke-width="1.5"><path d="M216 51H290M216 101H290"/>
<rect x="296" y="30" width="26" height="96" rx="4"/>
<rect x="336" y="30" width="26" height="96" rx="4"/>
<rect x="376" y="30" width="26" height="96" rx="4"/>
<rect x="416" y="30" width="26" height="96" rx="4"/>
<path d="M450 78H524"/><path d="M540 130H750M540 30V130"/></g>
<path d="M540 112C600 104 680 108 750 112V126C680 122 600 122 540 128Z" fill="#8A9099"
 opacity=".35"/>
<path d="M540 118C580 116 600 104 640 80S710 52 750 46" stroke="#C28500" stroke-width="3"/>
<g fill="#7C858F"><text x="600" y="60">emotion</text><text x="650" y="152">layer →</text>
<text x="545" y="152">chance: grey</text></g></svg>
"""


def _offer_first_run(results: str) -> None:
    """Buttons that start the main job: with the default model, and with all embedded models."""
    for models, label, key in (
        ((DEFAULT_MODEL,), DEFAULT_MODEL, "first-run"),
        (EMBEDDED_MODELS, "both embedded models", "first-run-embedded"),
    ):
        primary = key == "first-run"
        request = _first_request(results, models, agreed=False)
        checked = extract_form.check(request)
        config = checked.config
        n_prompts = sum(config.counts.values()) if config else 200
        if not st.button(
            f"Extract {numbers.plural(n_prompts, 'prompt')} with {label}",
            type="primary" if primary else "secondary",
            icon=":material/play_circle:",
            key=key,
        ):
            continue
        if checked.agreement:
            # The form shows the terms and asks.
            leave_for("extract", {"models": list(models)})
        run_id = extract_form.start(request)
        if run_id is not None:
            leave_for("extract", {"run": run_id})
