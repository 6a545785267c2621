from __future__ import annotations

import math
from typing import Any

import pandas as pd

from emoact.views import norms


def ratio(layer: int, value: float) -> dict[str, Any]:
    return {"site": "resid_pre", "layer": layer, "norm": "l2", "ratio": value, "n": 50}


def row(layer: int, median: float, emotion: str = "anger", n_nonfinite: int = 0) -> dict[str, Any]:
    return {
        "model": "gpt2",
        "emotion": emotion,
        "site": "resid_pre",
        "layer": layer,
        "norm": "l2",
        "position": "content",
        "mean": median,
        "median": median,
        "q25": median,
        "q75": median,
        "n": 50,
        "n_nonfinite": n_nonfinite,
    }


def test_a_sink_is_named_with_its_layer_and_left_out() -> None:
    ratios = [ratio(0, 1.2), ratio(20, 126.4), ratio(29, math.nan)]
    assert norms.sink_sentence(pd.DataFrame(ratios), content_start=1) == (
        "Position 0 carries 126 times the median residual stream norm at layer 20 (first-token "
        "sink); it is left out of the medians below."
    )


def test_a_first_position_like_the_others_is_no_sink() -> None:
    sentence = norms.sink_sentence(pd.DataFrame([ratio(3, 1.31)]), content_start=1)
    assert sentence.startswith("Position 0 is no sink: at most 1.31 times")


def test_without_a_bos_the_first_word_is_said_to_be_part_of_the_medians() -> None:
    sentence = norms.sink_sentence(pd.DataFrame([ratio(4, 40.0)]), content_start=0)
    assert "No BOS was prepended" in sentence
    assert "is part of the medians" in sentence
    assert "left out" not in sentence


def test_nothing_is_said_of_ratios_that_nobody_knows() -> None:
    assert norms.sink_sentence(pd.DataFrame([ratio(0, math.nan)]), content_start=1) == ""


def test_the_course_goes_from_the_first_layer_to_the_last_and_names_the_peak() -> None:
    sentence = norms.course_sentence(pd.DataFrame([row(0, 6.1), row(1, 130.0), row(2, 118.0)]))
    assert "from 6.10 at layer 0 to 118 at layer 2, highest at layer 1 (130)." in sentence


def test_the_course_of_several_emotions_is_that_of_the_middle_one() -> None:
    rows = [
        row(layer, value * (1 + layer), emotion)
        for layer in (0, 1)
        for emotion, value in (("anger", 1.0), ("apology", 5.0), ("neutral", 90.0))
    ]
    assert "from 5.00 at layer 0 to 10.0 at layer 1." in norms.course_sentence(pd.DataFrame(rows))


def test_the_spread_is_the_largest_ratio_between_emotions() -> None:
    rows = [row(0, 10.0), row(0, 10.5, "neutral"), row(1, 60.0), row(1, 50.0, "neutral")]
    assert norms.spread_sentence(pd.DataFrame(rows)) == (
        "Between emotions the medians differ by at most 20 % (layer 1: anger 60.0, neutral 50.0)."
    )


def test_one_emotion_has_no_spread() -> None:
    assert norms.spread_sentence(pd.DataFrame([row(0, 10.0), row(1, 20.0)])) == ""


def test_broken_values_are_named_where_they_begin() -> None:
    rows = [row(0, 1.0), row(3, math.nan, n_nonfinite=2)]
    sentence = norms.broken_sentence(pd.DataFrame(rows))
    assert "in 1 file, first in" in sentence
    assert "layer 3" in sentence
    assert norms.broken_sentence(pd.DataFrame([row(0, 1.0)])) == ""
