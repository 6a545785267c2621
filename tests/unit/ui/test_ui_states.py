from typing import get_args

from emoact.jobs.snapshot import STATES, Step, UnitState
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
