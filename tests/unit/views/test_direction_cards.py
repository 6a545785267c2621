import math

import pandas as pd
import pytest

from emoact.views import direction_answer
from emoact.views.analysed import of
from tests.unit.views.conftest import Source, Tables


def a_choice(tables: Tables) -> dict[str, object]:
    return {"model": tables["strength"]["model"].iloc[0], "site": ["resid_pre"]}


def test_the_best_layers_are_significant_and_after_layer_0(tables: Tables) -> None:
    choice = a_choice(tables)
    rows = of(tables["strength"], model=choice["model"], site="resid_pre", emotion="anger").copy()
    rows["significant"] = True
    rows["auroc"] = [0.99, *[0.6] * (len(rows) - 2), 0.8]
    rows["auroc_low"], rows["auroc_high"] = rows["auroc"] - 0.1, rows["auroc"] + 0.1
    (card,) = direction_answer.cards(Source({**tables, "strength": rows}), choice)
    last = int(rows["layer"].iloc[-1])
    assert f"Best layers after layer 0: **{last}** (AUROC 0.80 [0.70, 0.90])" in card.lines[0]
    assert "0.99" not in card.lines[0]
    rows["significant"] = False
    (card,) = direction_answer.cards(Source({**tables, "strength": rows}), choice)
    assert card.lines[0] == "No layer of the residual stream after layer 0 is significant."


def test_layers_with_intervals_three_times_as_wide_as_the_median_are_named() -> None:
    rows = pd.DataFrame(
        {
            "model": "m",
            "site": "resid_pre",
            "layer": [0, 1, 2, 3, 4],
            "cv_low": [-1.0, -3.5, -2.0, -1.0, -10.0],
            "cv_high": [1.0, 3.5, 2.0, 1.0, 10.0],
            "scale": [1.0, 1.0, 2.0, 1.0, 10.0],
        }
    )
    found = direction_answer.wide_layers(
        Source({"strength": rows}), {"model": "m", "site": ["resid_pre"]}
    )
    # Relative to the norm of the layer: 2, 7, 2, 2, 2.
    assert found == (1,)
    assert direction_answer.wide_sentence(found, "resid_pre", "").startswith("At layer 1 of the")


@pytest.mark.parametrize("verdict", ["beyond_words", "inconclusive"])
def test_a_card_has_the_verdict_of_the_headline(tables: Tables, verdict: str) -> None:
    headline = tables["headline"].assign(verdict=verdict)
    for card in direction_answer.cards(Source({**tables, "headline": headline}), a_choice(tables)):
        assert card.shown == (verdict == "beyond_words")
        assert card.verdict == verdict.replace("_", " ")


def test_a_card_says_the_p_value_that_its_verdict_is_about(tables: Tables) -> None:
    """The interval of the smallest gain may exclude 0 where the corrected test shows nothing."""
    three = {
        f"{name}_{column}": value
        for name in ("text", "contextless", "shuffled_words")
        for column, value in (
            ("balanced_accuracy", 0.8),
            ("difference", 0.1),
            ("difference_low", 0.02),
            ("difference_high", 0.2),
        )
    }
    said = " for all three p = 0.25, corrected for all verdicts of the analysis."
    for p, ends in ((0.25, True), (math.nan, False)):
        headline = tables["headline"].assign(verdict="inconclusive", p_beyond=p, **three)
        for card in direction_answer.cards(
            Source({**tables, "headline": headline}), a_choice(tables)
        ):
            assert card.lines[-1].endswith(said) == ends
    del headline["p_beyond"]
    (first, *_) = direction_answer.cards(Source({**tables, "headline": headline}), a_choice(tables))
    assert first.lines[-1].endswith("over text baseline.")
