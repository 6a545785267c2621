"""The Causes page: saved steering and ablations, and the forms for others."""

from __future__ import annotations

import shlex
from pathlib import Path

from emoact.cli.entry import build_parser
from tests.support.pages import boxes, figure, open_page, words
from tests.support.planted_causes import LATER, plant_ablations, plant_steering


def test_an_empty_folder_says_what_the_page_needs() -> None:
    assert "there are none in" in words(open_page("causes"))


def test_a_model_that_is_not_here_is_named_before_anything_starts(planted: Path) -> None:
    app = open_page("causes")
    assert "Nothing was steered or taken out yet" in words(app)
    assert "This cannot be computed" in boxes(app)
    assert app.button(key="steer-start").disabled
    assert app.button(key="ablate-start").disabled


def test_dose_curves_come_with_the_verdict_and_the_band_of_random_directions(planted: Path) -> None:
    plant_steering(planted)
    app = open_page("causes", layer="1")
    said = words(app)
    # Each figure stands on the card, and nowhere else.
    assert said.count("causal, specific") == 1
    own = "own sentences **+0.500** [+0.200, +0.600] nats a token"
    assert said.count(f"Layer 1, dose 1: {own}") == 1
    assert said.count("own sentences under directions of other emotions +0.100") == 2
    assert "behind “I am so angry.”: +0.700, behind neutral sentences +0.600." in said
    assert "hold the split, which the seed decides" in said
    assert (
        "neutral \N{MINUS SIGN}0.100 (perplexity × 1.11); p = 0.048, corrected over 4 cells" in said
    )
    assert "no effect shown" in said
    (table,) = app.dataframe
    assert table.value["layer"].tolist() == [1] * 6
    assert set(table.value["verdict"]) == {"causal", "no effect shown", "not tested"}
    assert table.value["verdict"].tolist().count("causal") == 1
    assert "nats a token" in str(figure(app))
    # The panels have the emotions in their titles; the legend does not repeat them.
    key = [trace["name"] for trace in figure(app)["data"] if trace.get("showlegend")]
    assert key[0] == "own sentences"
    assert not any("anger" in name or "gratitude" in name for name in key)


def test_every_view_of_the_results_is_drawn(planted: Path) -> None:
    plant_steering(planted, random_weights=True, earlier=True)
    plant_ablations(planted)
    rows = {}
    for view in ("doses", "layers", "ablations"):
        app = open_page("causes", view=view)
        rows[view] = len(app.dataframe[0].value)
        shell = next(text.value for text in app.caption if "In a shell" in text.value)
        command = shlex.split(shell.removeprefix("In a shell: ").strip("`"))
        assert command[3:6] == [
            "ablate" if view == "ablations" else "steer",
            "--results",
            str(planted),
        ]
        build_parser().parse_args(command[3:])
        assert ("random weights, which say" in words(app)) == (view != "ablations")
        lacks = f"has no {', '.join(LATER)}, and its word specific"
        assert (lacks in words(app).replace("\\", "")) == (view != "ablations")
    assert rows == {"doses": 6, "layers": 4, "ablations": 5}
    said = words(app)
    figures = "MLP 1 -2 [-2.1, -1.9], of which -1 is direct"
    assert figures.replace(" -", " \N{MINUS SIGN}").replace("[-", "[\N{MINUS SIGN}") in said
    assert "2 of 5 ablations have exactly the same effect" in said
    odds = "The log-odds of 'anger' as the next token change most without MLP 1: -0.5 after"
    assert odds.replace("-0", "\N{MINUS SIGN}0") in said


def test_a_view_without_a_result_says_so(planted: Path) -> None:
    plant_ablations(planted)
    app = open_page("causes")
    assert app.button(key="steer-start")
