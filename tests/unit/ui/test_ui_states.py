import dataclasses
from typing import get_args

import plotly.graph_objects as go
import pytest

from emoact.jobs.config import RunKind
from emoact.jobs.snapshot import STATES, Step, UnitState
from emoact.jobs.views import RunSummary
from emoact.stats.audit.outcome import AuditReport, Check, Test
from emoact.ui.audit_view import lexis_sentence, verdict_sentence
from emoact.ui.boxes import page_words
from emoact.ui.run_progress import throughput_figure
from emoact.ui.states import RUN_LOOKS, STEP_WORDS, UNIT_WORDS, kind_words, run_look


def test_every_state_has_a_word_an_icon_and_a_colour_of_its_own() -> None:
    assert set(RUN_LOOKS) == set(STATES)
    for attribute in ("word", "icon", "colour", "hex"):
        values = [getattr(look, attribute) for look in RUN_LOOKS.values()]
        assert len(set(values)) == len(values), attribute


def test_every_step_and_every_unit_state_has_a_word() -> None:
    assert set(STEP_WORDS) == set(get_args(Step))
    assert set(UNIT_WORDS) == set(get_args(UnitState))


@pytest.mark.parametrize(
    ("kind", "what", "said"),
    [
        ("extract", "", "extraction"),
        ("causes", "steer", "steering"),
        ("causes", "ablate", "ablation"),
        ("causes", "heads", "heads"),
        ("causes", "</b>", "causes"),
    ],
)
def test_a_run_about_causes_says_what_was_done(kind: RunKind, what: str, said: str) -> None:
    assert kind_words(RunSummary(id="a", state="finished", kind=kind, what=what)) == said


@pytest.mark.parametrize(
    ("noted", "said"),
    [
        ({"dataset", "explicit"}, "the words of the prompts predict the emotion."),
        ({"explicit"}, "the words of explicit prompts predict the emotion."),
        (set(), "and not that the words of the prompts predict the emotion."),
    ],
)
def test_words_predict_the_emotion_where_they_do(noted: set[str], said: str) -> None:
    """In all prompts, in a subset alone, or not at all."""
    checks = tuple(
        Check(
            aspect="lexis",
            title="Words",
            outcome="note" if where in noted else "ok",
            verdict="",
            where=where,
            tests=(Test(kind="classifier", value=0.5, chance=0.25, p=p),),
        )
        for where, p in (("dataset", 0.067), ("explicit", 0.002))
    )
    report = AuditReport(dataset={}, settings={}, checks=checks)
    assert verdict_sentence(report).endswith(said)
    assert lexis_sentence(report) == (
        "Bag of words: held-out accuracy 0.50 (p = 0.067), chance 0.25; explicit 0.50 (p = 0.002)."
    )


def test_an_active_run_that_was_told_to_stop_says_so() -> None:
    running = RunSummary(id="a", state="running", cancel_requested=True)
    assert run_look(running).word == "cancelling"
    assert run_look(dataclasses.replace(running, state="cancelled")).word == "cancelled"


def test_a_remedy_speaks_of_the_page_and_not_of_the_command_line() -> None:
    for words, said in {
        "Pass --overwrite to replace it, or choose another folder with --results.": "Tick "
        '"Overwrite files of another configuration" to replace it, or choose another folder in '
        "the sidebar.",
        "Shorten it, or pass --truncate to cut it.": "Shorten it, or tick "
        '"Truncate long prompts" to cut it.',
        "Free some space.": "Free some space.",
        "choose units that agree, or allow the mixture (--allow-mixed).": "choose units that "
        "agree, or allow the mixture (with the box below).",
    }.items():
        assert page_words(words) == said
    said = page_words("Name the neutral class (--neutral), or leave out (--leave-out-nonfinite).")
    assert "--" not in said


def test_the_area_of_throughput_starts_at_zero_and_holds_the_history() -> None:
    # Plotly checks the names of all fields when a figure is made of a mapping.
    figure = go.Figure(throughput_figure(((1.0, 290.0), (2.0, 310.0)), "light").to_dict())
    (trace,) = figure.data
    assert list(zip(trace.x, trace.y, strict=True)) == [(1.0, 290.0), (2.0, 310.0)]
    assert trace.fill == "tozeroy"
    assert figure.layout.yaxis.rangemode == "tozero"
    (single,) = throughput_figure(((1.0, 290.0),), "dark").data
    assert "markers" in single.mode
