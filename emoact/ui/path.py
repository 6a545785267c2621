"""The path from prompts to a report: what is done, when, and the next step with its cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import streamlit as st

from emoact import numbers
from emoact.errors import EmoactError
from emoact.jobs.config import RunKind
from emoact.store.layout import ResultsRoot
from emoact.store.protocol import PooledStore
from emoact.ui.analyses import saved_analyses
from emoact.ui.boxes import next_step
from emoact.ui.current_run import runs_of
from emoact.ui.reading import UnitFile, reports_of, unit_files

_LOOKED = "looked-at"
_SECONDS_PER_UNIT = 10.0
"""Analysis of 50 prompts of a model of 30 layers, before one was measured in the folder."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the path.

    Attributes:
        page: File name below `pages`, without an ending.
        done: True where its result is on disk.
        when: Newest result, or None.
        label: Of the button that leads to it, with its cost.
    """

    name: str
    page: str
    done: bool
    label: str
    when: datetime | None = None


def steps(results: str) -> list[Step]:
    """Steps of a results folder, in order."""
    files = unit_files(results)
    analyses = [row for row in saved_analyses(results) if row.problem is None]
    (heads, causes), reports = _causes(results), reports_of(results)
    made = numbers.moment_of(analyses[0].created_at) if analyses else None
    current = bool(reports) and (made is None or reports[0].made >= made)
    looked = results in st.session_state.get(_LOOKED, ()) or bool(analyses)
    found = [
        Step(name="Prompts", page="prompts", done=True, label="Look at the prompts"),
        Step(
            name="Extract",
            page="extract",
            done=bool(files),
            when=_ended(results, "extract") or max((file.modified for file in files), default=None),
            label="Set up an extraction",
        ),
        Step(
            name="Look",
            page="activations",
            done=bool(files) and looked,
            label="Look at the activations",
        ),
        Step(
            name="Analyse",
            page="directions",
            done=bool(analyses),
            when=made,
            label=_analyse_label(results, files),
        ),
        Step(
            name="Causes",
            page="causes" if heads else "heads",
            done=causes is not None,
            when=causes,
            label="Add the direction to the model, some minutes"
            if heads
            else "Find the heads that write a direction, some seconds for a small model",
        ),
        Step(
            name="Report",
            page="report",
            done=current,
            when=reports[0].made if reports else None,
            label="Write a report of the newest analysis, some seconds"
            if reports and not current
            else "Write a report, some seconds",
        ),
    ]
    pooled = bool(files) and all(file.path.endswith(PooledStore.suffix) for file in files)
    # Pooled vectors have no norms by position to look at.
    return [step for step in found if not (pooled and step.name == "Look")]


def show(
    results: str, *, after: str = "", here: str = "", primary: bool = True, button: bool = True
) -> None:
    """Draw the row of steps, and the next one as a button.

    `after` is the step that the page itself is about, whose button is not drawn again; `here` is
    the page, where it is one of two that its step needs. `primary` makes the button the main one of
    the page.
    """
    found = steps(results)
    if after and not found[1].done:
        # The page itself says that there are no activations, and offers to make some.
        return
    start = [step.name for step in found].index(after) if after else 0
    following = next((step for step in found[start:] if not step.done), None)
    now = datetime.now(tz=UTC)
    with st.container(key="path", gap="xsmall"):
        st.markdown(" → ".join(_words(step, following, now) for step in found))
        # What the page itself is about has its button there.
        own = following is not None and (following.page == here or not here)
        if following is not None and button:
            if not (following.name == after and own):
                next_step(following.label, following.page, primary=primary)
            if following.page == "causes" and not found[-1].done:
                # What a direction does is not needed for a report.
                next_step(found[-1].label, found[-1].page, primary=False)


def looked(results: str) -> None:
    """Remember that the activations of a folder were looked at."""
    st.session_state[_LOOKED] = {*st.session_state.get(_LOOKED, ()), results}


def _words(step: Step, following: Step | None, now: datetime) -> str:
    if step.done:
        when = f" :gray[{numbers.ago(step.when, now)}]" if step.when else ""
        return f":green[:material/check: {step.name}]{when}"
    if step is following:
        return f"**{step.name}**"
    return f":gray[{step.name}]"


def _analyse_label(results: str, files: Sequence[UnitFile]) -> str:
    models, emotions = ({getattr(file, name) for file in files} for name in ("folder", "emotion"))
    what = f"{numbers.plural(len(models), 'model')} × {numbers.plural(len(emotions), 'emotion')}"
    return f"Analyse {what}, {analysis_time(results, len(files))}"


def analysis_time(results: str, n_files: int) -> str:
    """Expected time of an analysis without control extractions, in words."""
    measured = [
        run.elapsed_s
        for run in runs_of(results)
        if run.kind == "analyze" and run.state == "finished" and run.elapsed_s
    ]
    seconds = measured[0] if measured else _SECONDS_PER_UNIT * n_files
    return f"about {numbers.duration(seconds)}"


def _ended(results: str, kind: RunKind) -> datetime | None:
    """End of the last run of a kind that finished; files of a copied folder have later times."""
    ended = (
        numbers.moment_of(run.ended_at)
        for run in runs_of(results)
        if run.kind == kind and run.state == "finished"
    )
    return max(filter(None, ended), default=None)


def _causes(results: str) -> tuple[bool, datetime | None]:
    """True where heads were looked for; the time of the newest steering or ablation."""
    try:
        folder = ResultsRoot(results).causes
        heads = any(folder.glob("*/heads.json"))
        found = [*folder.glob("*/steer.json"), *folder.glob("*/ablate.json")]
        times = [path.stat().st_mtime for path in found]
    except (OSError, EmoactError):
        return False, None
    if not times:
        return heads, None
    return heads, _ended(results, "causes") or max(map(numbers.time_of_file, times))
