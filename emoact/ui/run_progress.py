"""Progress of a run: step, rates, times, and a bar for each emotion."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from emoact import numbers
from emoact.jobs.config import JobConfig, RunConfig
from emoact.jobs.snapshot import Step
from emoact.jobs.views import RunView, StepView, UnitView
from emoact.ui.chart import current_scheme
from emoact.ui.states import FETCHING, JOB_STEPS, MODEL_STEPS, STEP_WORDS, UNIT_WORDS
from emoact.views.text import md, mono
from emoact.views.theme import INK, Scheme, dressed

_MOST_BARS = 120
"""Files with a bar of their own; the others are counted."""
_RATES_HEIGHT = 120
_FRAME_HEIGHT = 34
_FILL = {"light": "rgba(14,110,107,0.12)", "dark": "rgba(92,200,192,0.16)"}


def show_progress(view: RunView) -> None:
    """Steps, rates and bars; every place is there from the start, so that nothing moves later."""
    if view.summary.active:
        _step_line(view)
    if view.summary.kind != "extract":
        _job(view)
        return
    _fetching(view.step if view.summary.active else None)
    _rates(view)
    units = view.units
    # Those at work come before the rest.
    ranked = sorted(range(len(units)), key=lambda at: units[at].state not in ("running", "saving"))
    drawn = [units[at] for at in sorted(ranked[:_MOST_BARS])]
    others = [units[at] for at in ranked[_MOST_BARS:]]
    for folder in dict.fromkeys(unit.folder for unit in drawn):
        own = [unit for unit in drawn if unit.folder == folder]
        _bars(own, active=view.summary.active)
    if others:
        counts = Counter(_word(unit, active=view.summary.active) for unit in others)
        said = ", ".join(f"{number:,} {word}" for word, number in counts.most_common())
        more = numbers.plural(len(others), "more file")
        st.caption(f"{more} without a bar: {said}.")


def _job(view: RunView) -> None:
    summary, step = view.summary, view.step
    if not summary.active:
        return
    counted = (
        f"{step.done:,.0f} of {step.total:,.0f}"
        if step and step.done is not None and step.total
        else ""
    )
    st.progress(min(summary.share or 0.0, 1.0), text=counted or numbers.MISSING)
    with st.grid(4, min_column_width=110):
        for label, seconds in (("Elapsed", summary.elapsed_s), ("Remaining", view.remaining_s)):
            st.metric(label, _time(seconds), border=True)


def _fetching(step: StepView | None) -> None:
    """A bar for a model that is fetched."""
    if step and step.done is not None and step.total and step.name in FETCHING:
        st.progress(
            max(0.0, min(step.done / step.total, 1.0)),
            text=f"{numbers.size(step.done)} of {numbers.size(step.total)}",
        )


def _step_line(view: RunView) -> None:
    """Every step, with those that are done ticked and the one at work marked."""
    step, names = view.step, _step_names(view)
    # Saving is the end of extracting: the next emotion begins while the last one is written.
    current = None if step is None else "extract" if step.name == "save" else step.name
    reached = names.index(current) if current in names else -1
    parts = []
    for position, name in enumerate(names):
        word = STEP_WORDS[name]
        if position < reached:
            parts.append(f":green[:material/check: {word}]")
        elif position == reached:
            parts.append(f"**:material/arrow_forward: {word}**")
        else:
            parts.append(f":gray[{word}]")
    several = step is not None and step.model and len(view.summary.models) > 1
    where = f"{mono(step.model)}  " if step and several else ""
    if step and step.detail:
        parts.append(md(step.detail))
    st.markdown(where + "  ·  ".join(parts))


def _step_names(view: RunView) -> list[Step]:
    """The steps of a job, or of the model at work with what it had to fetch first."""
    if view.summary.kind != "extract":
        loads = isinstance(view.config, JobConfig) and view.config.needs_model
        return [*(MODEL_STEPS if loads else ()), *JOB_STEPS[view.summary.kind]]
    step = view.step
    names = list(MODEL_STEPS)
    models = view.config.models if isinstance(view.config, RunConfig) else ()
    needs = next((model.needs for model in models if step and model.asked == step.model), None)
    if needs == "download" or (step is not None and step.name == "download"):
        return ["download", *names]
    if needs is not None or (step is not None and step.name == "install"):
        return ["install", *names]
    return names


def _rates(view: RunView) -> None:
    left, right = st.columns([2, 1])
    with left.grid(4, min_column_width=110):
        for label, value, below in _figures(view):
            st.metric(
                label,
                value,
                below,
                delta_color="off",
                delta_arrow="off",
                border=True,
                height=_RATES_HEIGHT,
            )
    with right.container(height=_RATES_HEIGHT, border=True, gap=None):
        if not view.history:
            empty = "appear after the first pass" if view.summary.active else "are not known"
            st.caption(f"Tokens/s over time {empty}.")
            return
        st.plotly_chart(
            throughput_figure(tuple(view.history), current_scheme()),
            theme=None,
            key=f"throughput-{view.id}",
            config={"displayModeBar": False},
            alt="Tokens per second over the elapsed time",
        )


@functools.lru_cache(maxsize=32)
def throughput_figure(history: tuple[tuple[float, float], ...], scheme: Scheme) -> go.Figure:
    """A small area of tokens/s against elapsed seconds, from zero.

    Drawn once for all who watch: putting a figure together is most of a live part's time. A figure
    that was given to Streamlit is not changed afterwards.
    """
    ink = INK[scheme]
    small = {"size": 11, "color": ink.muted}
    area = {
        "type": "scatter",
        "x": [seconds for seconds, _ in history],
        "y": [rate for _, rate in history],
        "mode": "lines+markers" if len(history) == 1 else "lines",
        "line": {"color": ink.accent, "width": 2},
        "fill": "tozeroy",
        "fillcolor": _FILL[scheme],
        "hovertemplate": "%{y:,.3~r} tokens/s after %{x:.0f} s<extra></extra>",
    }
    layout = {
        "height": _RATES_HEIGHT - _FRAME_HEIGHT,
        "showlegend": False,
        "margin": {"l": 4, "r": 16, "t": 6, "b": 4},
        "xaxis": {
            "ticksuffix": " s",
            "nticks": 4,
            "tickfont": small,
            "showgrid": False,
            "fixedrange": True,
            "tickformat": "d",
        },
        "yaxis": {
            "title": {"text": "tokens/s", "font": small, "standoff": 4},
            "rangemode": "tozero",
            "nticks": 3,
            "tickfont": small,
            "fixedrange": True,
            "tickformat": ",.3~r",
        },
    }
    return dressed([area], layout, scheme)


def _figures(view: RunView) -> list[tuple[str, str, str]]:
    """Label, value and what stands below it; the last gives way when nothing remains."""
    summary = view.summary
    of_tokens = "tokens" if view.n_tokens is None else f"of {view.n_tokens:,}"
    attempt = f"attempt {view.attempt}"
    expected = "" if view.estimate is None else numbers.duration(view.estimate.seconds)
    last = ("Written", numbers.size(summary.size), numbers.plural(len(view.written), "file"))
    if summary.active:
        below = f"of about {expected}" if expected else numbers.MISSING
        last = ("Remaining", _time(view.remaining_s), below)
    return [
        (
            "Samples/s",
            _number(summary.samples_per_s),
            f"{summary.samples_done:,} of {summary.n_samples:,}",
        ),
        ("Tokens/s", _number(summary.tokens_per_s), f"{view.tokens_done:,} {of_tokens}"),
        ("Elapsed", _time(summary.elapsed_s), attempt),
        last,
    ]


def _number(value: float | None) -> str:
    return numbers.MISSING if value is None else numbers.significant(value)


def _time(seconds: float | None) -> str:
    return numbers.MISSING if seconds is None else numbers.whole_seconds(seconds)


def _bars(units: Sequence[UnitView], *, active: bool) -> None:
    st.markdown(f"**{md(units[0].model)}**")
    with st.grid(4, min_column_width=170):
        for unit in units:
            share = unit.samples_done / unit.n_samples if unit.n_samples else 1.0
            word = _word(unit, active=active)
            if unit.worker is not None:
                word += f", {md(unit.worker)}"
                if unit.samples_per_s is not None:
                    word += f", {_number(unit.samples_per_s)}/s"
            st.progress(
                max(0.0, min(share, 1.0)),
                text=f"{md(unit.emotion)} {unit.samples_done} of {unit.n_samples} :gray[{word}]",
            )


def _word(unit: UnitView, *, active: bool) -> str:
    waits = unit.state == "waiting" and not active
    return "not started" if waits else UNIT_WORDS[unit.state]
