"""The pages Causes and Heads: saved results, and the forms for others."""

import json
import shlex
from pathlib import Path

import pytest

from emoact.causes.saved import CAUSES_VERSION
from emoact.cli.entry import build_parser
from emoact.decode import sealed
from emoact.views import heads
from tests.support.pages import boxes, click, figure, open_page, words
from tests.support.planted import plant_grid
from tests.support.planted_causes import LATER, plant_ablations, plant_steering
from tests.support.planted_heads import plant_heads, plant_lens, plant_patterns
from tests.support.planted_runs import plant_job

PAGES = [
    ("causes", "Nothing was steered or taken out yet", "This cannot", ["steer", "ablate"]),
    ("heads", "No direction was taken apart yet", "This direction cannot", ["heads"]),
]


@pytest.mark.parametrize(("page", "nothing", "cannot", "started"), PAGES)
def test_what_a_page_needs_is_named_before_anything_starts(
    page: str, nothing: str, cannot: str, started: list[str], results: Path
) -> None:
    assert "there are none in" in words(open_page(page))
    plant_grid(results, ["gpt2"], n_samples=3)
    app = open_page(page)
    assert nothing in words(app)
    assert cannot in boxes(app)
    assert all(app.button(key=f"{name}-start").disabled for name in started)


def test_results_that_have_to_be_made_again_are_named(results: Path) -> None:
    plant_grid(results, ["gpt2"], n_samples=3)
    steered, ablated = plant_steering(results), plant_ablations(results)
    other = plant_heads(results, version=0)
    content = {"kind": "steer", "rests_on": steered.rests_on, "found": {"fields": "of then"}}
    steered.path.write_text(json.dumps(sealed({"schema_version": CAUSES_VERSION, **content})))
    ablated.path.write_text("{}")
    for page, left in (("heads", [other]), ("causes", [steered, ablated])):
        said = words(open_page(page))
        assert "with this version of emoact. " in said
        assert all(f"Result `{each.id}` is left out: " in said for each in left)
        assert said.count("made by another version of emoact, or is damaged; ask for it again") == 1


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
    app.text_input(key="steer-doses").set_value("0 1").run()
    assert "allowed are numbers other than 0" in boxes(app)


def test_the_map_greys_what_is_not_significant(planted: Path) -> None:
    saved = plant_heads(planted)
    app = open_page("heads")
    said = words(app)
    # Each figure stands on the card, and nowhere else.
    assert said.count("heads add 1.20 (relabelled prompts 0.0800), MLPs 0.700 (0.0400)") == 1
    assert said.count("1 of 7 add more") == 1
    assert said.count("relabelled prompts add head 1.0 1.20 [1.10, 1.30]") == 1
    assert saved.path.name in said
    (table,) = app.dataframe
    assert table.value["contrast"].tolist() == [0.1, -0.2, 1.2, 0.1]
    assert "contribution" in str(figure(app))
    app.toggle(key="clear").set_value(False).run()


def test_no_significant_head_draws_all(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant_heads(results)
    monkeypatch.setattr(heads, "ALPHA", 1e-6)
    app = open_page("heads")
    assert not app.toggle
    assert figure(app)["data"][0]["z"] == [[0.1, -0.2], [1.2, 0.1]]
    assert "No head differs from relabelled prompts" in str(figure(app))


def test_every_view_of_a_result_is_drawn(planted: Path) -> None:
    plant_heads(planted, random_weights=True)
    rows = {}
    for view in ("heads", "components", "largest"):
        app = open_page("heads", view=view)
        assert "random weights, which say nothing about emotion" in words(app)
        rows[view] = len(app.dataframe[0].value)
        if view == "components":
            # Bands of the sums over heads and of the MLPs, which no component alone has.
            bands = [each for each in figure(app)["data"] if each.get("fill") == "toself"]
            assert [max(band["y"]) for band in bands] == [2.3, 1.4]
    assert rows == {"heads": 4, "components": 5, "largest": 7}
    # Below the largest components stand their contributions to every prompt.
    by_prompt = app.dataframe[1].value
    assert by_prompt["prompt"].tolist() == ["gratitude-0", "gratitude-1", "neutral-0"]
    assert by_prompt["head 1.0"].tolist() == [1.5, 1.1, 0.1]
    assert "neutral-0" in app.get("plotly_chart")[1].proto.spec


def test_the_newest_result_is_shown_and_another_can_be_named(planted: Path) -> None:
    plant_heads(planted, "anger")
    plant_heads(planted, "gratitude")
    plant_heads(planted, "apology", version=0)
    names = open_page("heads").selectbox(key="result").options
    # Figures of an earlier version are left out.
    assert not any("apology" in name for name in names)
    other = next(name for name in names if "anger" in name)
    # The card of the chosen direction is the first one.
    said = words(open_page("heads", result=other))
    assert said.index("**anger**") < said.index("**gratitude**")


def test_a_typed_sentence_shows_what_a_head_reads(planted: Path, stand_in: Path) -> None:
    plant_heads(planted)
    app = open_page("heads", view="attention")
    assert app.selectbox(key="head").options == ["1.0", "0.1", "0.0", "1.1"]
    assert not app.get("plotly_chart")
    app.text_input(key="sentence-text").set_value("how kind of you")
    click(app, "Look at the sentence")
    weights, heads = (table.value for table in app.dataframe)
    # Head 0 of the stand-in reads all positions alike: 5 with the BOS.
    assert len(weights) == 15
    assert weights["weight"].tolist()[-5:] == pytest.approx([0.2] * 5, abs=1e-3)
    assert weights["reads_token"].tolist()[-5:] == ["<|endoftext|>", "how", "kind", "of", "you"]
    assert "Head 1.0 adds 60.0 % of the direction" in words(app)
    assert heads["head"].tolist() == [0, 1, 0, 1]
    assert heads["previous_mass"].tolist()[1] == pytest.approx(1.0)
    app.selectbox(key="head").set_value("0.1").run()
    assert "0.00 bits" in words(app)


def test_a_saved_prompt_shows_what_a_head_reads(planted: Path) -> None:
    plant_heads(planted)
    plant_patterns(planted)
    app = open_page("heads", view="attention", text="anger: short", head="0.1")
    assert app.selectbox(key="text").options == ["typed sentence", "anger: short", "anger: long"]
    weights, heads = (table.value for table in app.dataframe)
    assert weights["weight"].tolist()[-4:] == pytest.approx([0, 0, 1, 0])
    assert "its entropy is 0.00 bits" in words(app)
    assert figure(app)
    assert heads["previous_mass"].tolist() == pytest.approx([0.361, 1.0, 0.361, 1.0], abs=1e-3)


def test_a_reduced_pattern_says_so_and_keeps_its_entropy(planted: Path) -> None:
    plant_heads(planted)
    saved = plant_patterns(planted, form="reduced")
    app = open_page("heads", view="attention", text="anger: long", head="0.0")
    said = words(app)
    assert "Only the largest weights of each query were kept" in said
    # The mean of log2(2) to log2(12).
    assert "its entropy is 2.62 bits" in said
    (saved.path.parent / "patterns.npz").unlink()
    app = open_page("heads", view="attention", text="anger: long", head="0.0")
    assert "The patterns of this prompt cannot be shown" in boxes(app)


def test_the_lens_says_what_is_not_above_random(planted: Path) -> None:
    plant_heads(planted)
    plant_lens(planted)
    app = open_page("heads", view="lens")
    said = words(app)
    assert "raises ' thanks' and '<b>' most: not above random" in said
    assert "most: above random" in said
    assert len(app.dataframe[0].value) == 4
    assert figure(app)


def test_a_direction_without_a_lens_offers_one_or_says_why_not(planted: Path) -> None:
    plant_heads(planted)
    app = open_page("heads", view="lens")
    assert "This direction has no logit lens" in boxes(app)
    assert app.button(key="lens-start").disabled


def test_saved_prompts_are_listed_along_the_direction(planted: Path) -> None:
    plant_heads(planted)
    app = open_page("heads", view="projections")
    (table,) = app.dataframe
    assert set(table.value["side"]) == {"most", "least"}
    assert table.value["projection"].is_monotonic_decreasing or len(table.value) > 1
    assert "project most on the direction of gratitude" in words(app)
    app = open_page("heads", view="projections", by="passage")
    assert len(app.dataframe[0].value) == 12


def test_a_typed_sentence_is_coloured_along_the_direction(planted: Path, stand_in: Path) -> None:
    plant_heads(planted)
    app = open_page("heads", view="trajectory")
    app.text_input(key="sentence-text").set_value("how kind of you")
    click(app, "Look at the sentence")
    (table,) = (each.value for each in app.dataframe)
    assert table["token"].tolist() == ["<|endoftext|>", "how", "kind", "of", "you"]
    assert table["part"].tolist() == ["template", *["text"] * 4]
    # A token of the stand-in is its length along one dimension.
    steps = table["projection"].diff().tolist()[2:]
    assert steps[0] == pytest.approx(-steps[1] / 2, rel=1e-3)
    assert "of the saved prompts of both classes" in words(app)
    # Another layer is another direction: the same sentence is read along it without a click.
    assert "layer 3" not in words(app)
    app.slider(key="layer").set_value(3).run()
    (moved,) = (each.value for each in app.dataframe)
    steps = moved["projection"].diff().tolist()[2:]
    assert steps[0] == pytest.approx(-steps[1] / 2, rel=1e-3)
    assert moved["projection"].tolist() != table["projection"].tolist()
    assert "layer 3" in words(app)


@pytest.mark.parametrize(("what", "shown"), [("heads", True), ("steer", False)])
def test_the_page_watches_its_own_runs_alone(planted: Path, what: str, shown: bool) -> None:
    lock = plant_job(planted, "running", kind="causes", request={"what": what})
    assert lock is not None
    assert ("Cancel run" in [button.label for button in open_page("heads").button]) == shown
    assert ("Cancel run" in [button.label for button in open_page("causes").button]) != shown
    lock.close()
