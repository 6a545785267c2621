"""Files that a run left on disk, with links to the pages that show them."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import streamlit as st

from emoact import numbers
from emoact.jobs.views import RunSummary, RunView
from emoact.ui import analyse_panel, path
from emoact.ui.boxes import next_step
from emoact.ui.states import UNIT_WORDS

EXAMPLE = "example-run"
"""Of the session: run of the small example, which is analysed when it has ended."""


def show_written(view: RunView) -> None:
    """The files of a run that has ended, and a button that opens them."""
    if view.summary.active:
        return
    if view.made:
        _show_made(view)
    done = [unit for unit in view.units if unit.done]
    if not done:
        return
    if view.config is not None:
        analyse_example(view.config.results, view.summary)
    next_step(
        "Look at the activations",
        "activations",
        parameters={"model": list(dict.fromkeys(unit.folder for unit in done))},
        primary=view.state == "finished",
    )
    if view.config is not None:
        path.show(view.config.results, after="Look", primary=False)
    st.dataframe(
        pd.DataFrame(
            {
                "model": unit.folder,
                "emotion": unit.emotion,
                "state": UNIT_WORDS[unit.state],
                "prompts": unit.n_samples,
                "time": "" if unit.seconds is None else numbers.duration(unit.seconds),
                "samples/s": unit.samples_per_s,
                "size": "" if unit.size is None else numbers.size(unit.size),
                "file": _short(unit.path or "", view),
                "SHA-256": (unit.sha256 or "")[:12],
            }
            for unit in done
        ),
        hide_index=True,
        column_config={
            "model": st.column_config.TextColumn(width=150),
            "samples/s": st.column_config.NumberColumn(format="%.1f"),
        },
        placeholder=numbers.MISSING,
        alt="Files that this run wrote or found on disk",
    )


def analyse_example(results: str, run: RunSummary) -> None:
    """Go on to the analysis where this is the run of the small example, and it has ended."""
    if run.state == "finished" and st.session_state.get(EXAMPLE) == run.id:
        del st.session_state[EXAMPLE]
        analyse_panel.analyse_all(results)


def _show_made(view: RunView) -> None:
    after = {"analyze": "Analyse", "causes": "Causes", "report": "Report"}
    if view.summary.kind == "analyze":
        next_step(
            "Look at the directions",
            "directions",
            parameters={"analysis": Path(view.made[0].path).name},
        )
    elif view.summary.kind == "report":
        next_step("Open the reports", "report")
    elif Path(view.made[0].path).name == "heads.json":
        next_step("Look at the heads", "heads")
    elif view.summary.kind == "causes":
        next_step("Look at the causes", "causes")
    if view.config is not None and view.summary.kind in after:
        here = "heads" if Path(view.made[0].path).name == "heads.json" else ""
        path.show(view.config.results, after=after[view.summary.kind], here=here, primary=False)
    st.dataframe(
        pd.DataFrame(
            {
                "saved": _short(made.path, view),
                "state": "already on disk" if made.existing else "saved",
                "size": numbers.size(made.size),
            }
            for made in view.made
        ),
        hide_index=True,
        alt="What this run left on disk",
    )


def _short(path: str, view: RunView) -> str:
    """The file below the results folder, which the page names already."""
    root = f"{view.config.results}{os.sep}" if view.config else ""
    return path.removeprefix(root) if root else path
