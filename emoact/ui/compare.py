"""Runs side by side, with their rates over time, and two analyses side by side."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from emoact import numbers
from emoact.analysis.saved import SavedAnalysis
from emoact.decode import encode
from emoact.errors import EmoactError
from emoact.jobs import progress
from emoact.jobs.config import AnyConfig
from emoact.jobs.views import RunView
from emoact.models.registry import display_name
from emoact.numbers import MISSING, percent, plural, two
from emoact.store.layout import ResultsRoot
from emoact.ui import analyses, links
from emoact.ui.boxes import error_box, outcome
from emoact.ui.chart import current_scheme, export_row, show_chart
from emoact.views.analysed import Analysed, site_words
from emoact.views.chart import Axis, Chart, Line, Panel, of_emotion
from emoact.views.direction_answer import EVALUATIONS, VERDICTS, best_layers
from emoact.views.text import listed, md, mono
from emoact.views.theme import by_emotion, emotion_styles

_METRICS = ("tokens/s", "prompts/s", "prompts")
_METRIC_HELP = (
    "tokens/s: as the run measured it, its last 120 points. prompts/s: of each finished file. "
    "prompts: done so far; where the line is flat, time went into loading, checks or waiting."
)
_ANALYSES, _PICKED = "compare", "analyses-picked"
_PLACE = ["about", "what", "model", "emotion", "site"]
Entry = tuple[tuple[str, str, str, str, str], str]


def compare(results: str, run_ids: Sequence[str]) -> None:
    """Settings of two or more runs side by side, differences first, and their rates over time."""
    views, configs = [], {}
    for run_id in run_ids:
        read = outcome(functools.partial(progress.read_run, results, run_id))
        if read.value is None or read.value.config is None:
            error = read.error or EmoactError(f"{run_id}: config.json cannot be read")
            error_box(error, title="The runs cannot be compared")
            return
        views.append(read.value)
        configs[run_id] = flat(read.value.config)
    table = pd.DataFrame(configs).fillna("")
    differs = table.nunique(axis=1) > 1
    table = table.assign(compared=differs.map({True: "differs", False: "same"}))
    table = pd.concat([table[differs], table[~differs]]).reset_index(names="setting")
    many = "Two" if len(views) == 2 else str(len(views))
    st.header(f"{many} runs compared", anchor=False)
    st.markdown(
        f"{numbers.plural(int(differs.sum()), 'setting')} of {len(table)} "
        f"{'differs' if differs.sum() == 1 else 'differ'}."
    )
    st.dataframe(table, hide_index=True, alt="Settings of the runs, those that differ first")
    _show_rates(views)


def flat(config: AnyConfig) -> dict[str, str]:
    """A config as dotted fields with text values; what names only the run itself is left out."""
    fields = config.to_json()
    for name in ("run_id", "created_at", "estimate", "kind", "schema_version"):
        fields.pop(name, None)
    return dict(flattened(fields))


def flattened(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Dotted names of the parts of a JSON value, each with its text."""
    if isinstance(value, Mapping):
        parts = [(f"{name}.{key}" if name else str(key), each) for key, each in value.items()]
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        parts = [(f"{name}[{position}]", each) for position, each in enumerate(value)]
    else:
        words = value if isinstance(value, list) else ["" if value is None else value]
        yield name, ", ".join(map(str, words))
        return
    for inner, each in parts:
        yield from flattened(each, inner)


def times(view: RunView) -> dict[str, Any]:
    """Rates and times of a run, and of an extraction the time that no forward pass took."""
    elapsed, extracts = view.summary.elapsed_s, view.summary.kind == "extract"
    passes = sum(unit.seconds or 0.0 for unit in view.units if unit.state != "skipped")
    return {
        "run": view.id,
        "prompts": view.summary.samples_done if extracts else None,
        "prompts/s": view.summary.samples_per_s,
        "tokens/s": view.summary.tokens_per_s,
        "elapsed, s": elapsed,
        "in files, s": passes if extracts else None,
        "loading, checks, waiting, s": max(elapsed - passes, 0.0) if elapsed and extracts else None,
        "expected, s": view.estimate.seconds if view.estimate else None,
        "attempts": view.attempt,
    }


def over_time(view: RunView, metric: str) -> pd.DataFrame:
    """One row for each known moment of a run: seconds of work, and the metric."""
    units = sorted(
        (unit for unit in view.units if unit.started_s is not None and unit.seconds),
        key=lambda unit: unit.started_s or 0.0,
    )
    points: list[tuple[float, float | None]]
    ends = [(unit.started_s or 0.0) + (unit.seconds or 0.0) for unit in units]
    if metric == "tokens/s":
        points = list(view.history)
    elif metric == "prompts/s":
        points = [(end, unit.samples_per_s) for end, unit in zip(ends, units, strict=True)]
    else:
        done = pd.Series([unit.samples_done for unit in units], dtype=float).cumsum()
        points = [(0.0, 0.0), *zip(ends, done, strict=True)] if units else []
    return pd.DataFrame(points, columns=["seconds", metric]).assign(run=view.id)


def _show_rates(views: Sequence[RunView]) -> None:
    st.subheader("Rates and times", anchor=False)
    table = pd.DataFrame([times(view) for view in views]).dropna(axis=1, how="all")
    st.dataframe(
        table,
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(name, format="%.4g")
            for name in table.select_dtypes("number").columns
        },
        placeholder=numbers.MISSING,
        alt="Rates and times of the runs",
    )
    if all(view.summary.kind != "extract" for view in views):
        return
    metric = links.choose_one("Over time", _METRICS, key="metric", help=_METRIC_HELP)
    found = [over_time(view, metric) for view in views]
    rows = pd.concat(found, ignore_index=True)[["run", "seconds", metric]]
    if len(rows):
        marks = [
            Line(
                x=own["seconds"],
                y=own[metric],
                colour=of_emotion(view.id),
                symbol=of_emotion(view.id),
                name=view.id,
                legend=True,
                hover=f"%{{y:,.3~r}} {metric} after %{{x:.0f}} s",
            )
            for view, own in zip(views, found, strict=True)
        ]
        y = Axis(title=metric, zero=True, format=",.3~r")
        panel = Panel(marks=marks, x=Axis(title="seconds of work", zero=True), y=y)
        show_chart(
            Chart(rows=[[panel]], heights=[260], unified=False),
            styles=emotion_styles((view.id for view in views), current_scheme()),
            key="runs-over-time",
            name="runs-over-time",
            caption=f"{metric} of the chosen runs by seconds of work.",
            alt=f"{metric} of the chosen runs by seconds of work.",
        )
    else:
        st.caption(f"No chosen run has {metric} over time.")
    export_row(rows, key="runs-over-time", name="runs-over-time", images=len(rows) > 0)


def show_analyses(results: str) -> None:
    """Two analyses of this folder side by side; nothing where there are fewer."""
    names = analyses.names(results)
    if len(names) < 2:
        return
    st.header("Analyses compared", anchor=False)
    links.note_ignored(_ANALYSES, names)
    links.show_ignored()
    # Another results folder has others.
    wanted = st.session_state.get(_PICKED, st.query_params.get_all(_ANALYSES))
    st.session_state[_PICKED] = [each for each in wanted if each in names][:2]
    picked = st.multiselect(
        "Two analyses",
        list(names),
        format_func=names.__getitem__,
        max_selections=2,
        placeholder="Choose two to see what differs",
        key=_PICKED,
    )
    # The address holds their ids, and the widget shows their names.
    if picked:
        st.query_params[_ANALYSES] = picked
    elif _ANALYSES in st.query_params:
        del st.query_params[_ANALYSES]
    if len(picked) < 2:
        return
    sources = []
    for name in picked:
        try:
            saved = SavedAnalysis.open(ResultsRoot(results).analysis_dir(name))
        except EmoactError as error:
            error_box(error, title="This analysis cannot be opened")
            return
        sources.append(Analysed(saved=saved, read=functools.partial(analyses.table, saved)))
    rows = compared(*sources)
    st.markdown(md(differences_sentence(rows)))
    st.caption(
        " · ".join(
            f"{which}: {md(names[name])} {mono(name)}"
            for which, name in zip(("first", "second"), picked, strict=True)
        )
    )
    st.dataframe(rows, hide_index=True, alt="Settings, files, verdicts and best layers of both")
    export_row(rows, key="analyses-compared", name="analyses-compared", images=False)


def compared(one: Analysed, other: Analysed) -> pd.DataFrame:
    """One row for each setting, file, verdict and best layer, those that differ first.

    Models are matched by their folder. Where each analysis has one model and they are not the same,
    such as two configurations, these two are compared.
    """
    names = {}
    if len(one.saved.models) == len(other.saved.models) == 1:
        names = {other.saved.models[0]: one.saved.models[0]}
    left, right = dict(_entries(one, {})), dict(_entries(other, names))
    rows = pd.DataFrame(
        [
            (*place, left.get(place, MISSING), right.get(place, MISSING))
            for place in dict.fromkeys([*left, *right])
        ],
        columns=[*_PLACE, "first", "second"],
    )
    rows["compared"] = rows["first"].eq(rows["second"]).map({True: "same", False: "differs"})
    return rows.sort_values("compared", kind="stable", ignore_index=True)


def differences_sentence(rows: pd.DataFrame) -> str:
    """Number of settings, files, verdicts and best layers that differ."""
    parts = []
    for about in ("setting", "file", "verdict", "best layer"):
        own = rows[rows["about"] == about]
        if len(own):
            n = int(own["compared"].eq("differs").sum())
            parts.append(f"{n} of {plural(len(own), about)}")
    return f"Different are {listed(parts)}."


def _entries(source: Analysed, names: dict[str, str]) -> Iterator[Entry]:
    saved = source.saved
    for name, shown in flattened(encode(saved.settings)):
        yield ("setting", name, "", "", ""), shown
    for each in saved.inputs:
        model = names.get(each.folder, each.folder)
        yield ("file", "SHA-256", display_name(model), each.emotion, ""), each.sha256[:12]
    for row in source.read("headline").to_dict("records"):
        model = display_name(names.get(row["model"], row["model"]))
        how, where = EVALUATIONS[row["evaluation"]], site_words(row["site"])
        verdict = VERDICTS.get(row["verdict"], row["verdict"])
        figure = percent(row["balanced_accuracy"])
        yield ("verdict", how, model, row["emotion"], where), f"{verdict}, accuracy {figure}"
    strength = source.read("strength")
    for (folder, site), own in strength.groupby(["model", "site"], sort=False):
        model = display_name(names.get(str(folder), str(folder)))
        for emotion, rows in by_emotion(own):
            best = best_layers(rows)
            said = (
                f"{int(best['layer'].iloc[0])} (AUROC {two(best['auroc'].iloc[0])})"
                if len(best)
                else "none"
            )
            yield ("best layer", "best layer", model, emotion, site_words(str(site))), said
