from typing import get_args

import plotly.graph_objects as go

from emoact.jobs.snapshot import STATES, Step, UnitState
from emoact.ui.boxes import page_words
from emoact.ui.run_progress import throughput_figure
from emoact.ui.states import RUN_LOOKS, STEP_WORDS, UNIT_WORDS, run_look


def test_every_state_has_a_word_an_icon_and_a_colour_of_its_own() -> None:
    assert set(RUN_LOOKS) == set(STATES)
    for attribute in ("word", "icon", "colour", "hex"):
        values = [getattr(look, attribute) for look in RUN_LOOKS.values()]
        assert len(set(values)) == len(values), attribute


def test_every_step_and_every_unit_state_has_a_word() -> None:
    assert set(STEP_WORDS) == set(get_args(Step))
    assert set(UNIT_WORDS) == set(get_args(UnitState))


def test_an_active_run_that_was_told_to_stop_says_so() -> None:
    assert run_look("running", cancel_requested=True).word == "cancelling"
    assert run_look("cancelled", cancel_requested=True).word == "cancelled"


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
