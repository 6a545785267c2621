import math
from pathlib import Path

import pandas as pd
import pytest

from emoact.causes.saved import SavedCause
from emoact.views import cards, causes, cosines, direction_answer, heads
from emoact.views.analysed import of
from tests.unit.views.conftest import Source, Tables


def saved(kind: str, **found: object) -> SavedCause:
    found = {"model": "m", "random_weights": False, **found}
    return SavedCause(id=f"{kind}0000", path=Path("x"), kind=kind, rests_on={}, found=found)


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("separated", "separate"),
        ("no_separation", "no separation shown"),
        ("undecided", "too few scenarios"),
    ],
)
def test_two_emotions_have_the_verdict_of_the_probe_between_them(verdict: str, said: str) -> None:
    rows = pd.DataFrame(
        {
            "model": "m",
            "site": "resid_pre",
            "layer": [0, 1, 2, 3],
            "emotion_a": "anger",
            "emotion_b": "gratitude",
            "cv_cosine": [0.5, 0.6, 0.1, None],
            # Half-widths of 0.196, 0.588 and 0.196.
            "cv_se": [0.1, 0.3, 0.1, None],
            "cosine": [0.9, 0.5, 0.5, 0.5],
            "null_low": 0.2,
            "null_high": 0.8,
            "twin_differs": [True, False, False, False],
        }
    )
    pairs = pd.DataFrame(
        {
            "model": "m",
            "site": "resid_pre",
            "evaluation": "cross_validated",
            "emotion_a": ["anger"],
            "emotion_b": "gratitude",
            "balanced_accuracy": 0.9,
            "balanced_low": 0.8,
            "balanced_high": 0.95,
            "p_permutation": 0.002,
            "verdict": verdict,
        }
    )
    choice = {"model": "m", "site": ["resid_pre"]}
    (card,) = cosines.cards(Source({"distances": rows, "pairs": pairs}), choice)
    assert (card.title, card.verdict) == ("gratitude – anger", said)
    assert card.shown == (verdict == "separated")
    assert "90 % [80 %, 95 %], permutation p = 0.002" in card.lines[0]
    assert "**0.50** (median; 0.10 to 0.60) at the 3 of 4 layers" in card.lines[1]
    assert "below 1 at 2 and above 0 at 2" in card.lines[1]
    assert "at 1 of 4 layers; few dimensions decide it at 1" in card.lines[2]
    none = rows.assign(cv_cosine=float("nan"))
    (card,) = cosines.cards(Source({"distances": none, "pairs": pairs}), choice)
    assert card.lines[1].startswith("No cosine")


def test_a_card_of_heads_names_those_beyond_relabelled_prompts() -> None:
    component = {"layer": 1, "kv_group": None, "low": 0, "high": 1, "chance": 0}
    components = [
        {**component, "component": "head", "head": 2, "contrast": 3.0, "p": 0.01},
        {**component, "component": "mlp", "head": None, "contrast": 1.0, "p": 0.5},
        # Relabelled prompts give more: this is no sign that it writes the direction.
        {**component, "component": "mlp", "layer": 0, "head": None, "contrast": 0.0, "p": 0.01},
    ]
    components[2]["chance"] = 2.0
    target = {"site": "resid_pre", "layer": 2, "pooling": "last"}
    one = saved(
        "heads",
        emotion="anger",
        target=target,
        total=4.0,
        components=components,
        direction_norm=4.0,
    )
    source = heads.Heads(saved=(one,))
    (card,) = cards.of_heads(source, {"result": heads.label(one)})
    assert (card.title, card.verdict) == ("anger", "1 of 3 add more")
    assert "norm 4.00: heads add 3.00 (relabelled prompts 0), MLPs 1.00 (2.00)" in card.lines[0]
    assert (
        card.lines[1] == "Significantly more than relabelled prompts add head 1.2 3.00 [0, 1.00]."
    )
    assert card.lines[2] == "1 component adds less."


def test_a_card_of_steering_has_the_verdict_of_the_smallest_p_value() -> None:
    row = {"emotion": "anger", "own": 0.2, "others": 0.1, "neutral": -0.1, "delta": 0.3}
    row |= {"dose": 1.0, "random_95": 0.05, "shuffled_95": 0.06, "n_random": 100, "n_shuffled": 20}
    by_class = {"anger": 0.2, "apology": 0.25, "gratitude": -0.05, "neutral": -0.1}
    row |= {"prompt_only": 0.9, "by_class": by_class}
    effects = [
        {**row, "layer": 1, "p": 0.9, "verdict": "none", "specific": "not tested"},
        {**row, "layer": 2, "p": 0.02, "verdict": "causal", "specific": "not specific"},
    ]
    settings = {"emotions": ["anger"], "layers": [1, 2], "control_doses": [1.0]}
    settings = {**settings, "neutral": "neutral"}
    one = saved("steer", effects=effects, settings=settings, prefixes={"anger": "I am so angry."})
    source = causes.Causes(steered=(one,))
    (card,) = cards.of_causes(source, {"result": causes.label(one)})
    assert (card.verdict, card.shown) == ("causal, not shown specific", True)
    assert card.lines[0].startswith("Layer 2, dose 1: own sentences **+0.200** nats a token")
    assert r"\+0\.100 \(most\: apology \+0\.250\), own sentences" in card.lines[1]
    assert "(perplexity × 1.11); p = 0.020, corrected over 2 cells" in card.lines[1]
    assert card.lines[2].endswith("+0.900, behind neutral sentences –.")
    assert cards.of_causes(source, {"ablation": "x"}) == []


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
    said = "; for all three p = 0.25, corrected for all verdicts."
    for p, ends in ((0.25, True), (math.nan, False)):
        headline = tables["headline"].assign(verdict="inconclusive", p_beyond=p, **three)
        for card in direction_answer.cards(
            Source({**tables, "headline": headline}), a_choice(tables)
        ):
            assert card.lines[-1].endswith(said) == ends
            assert "inconclusive, 10 points [2, 20] against text baseline 80 %" in card.lines[-1]
    del headline["p_beyond"]
    (first, *_) = direction_answer.cards(Source({**tables, "headline": headline}), a_choice(tables))
    assert "for all three" not in first.lines[-1]
