import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.support.pages import assert_same_rows, figure, in_a_shell, open_page, words
from tests.support.planted import (
    EMOTIONS,
    SINK_LAYER,
    SINK_RATIO,
    plant_grid,
    plant_unit,
    planted_norm,
)


def traces(app: AppTest) -> list[dict[str, Any]]:
    return [trace for trace in figure(app)["data"] if trace.get("fill") != "toself"]


def test_emotions_are_lines_at_the_planted_medians_beside_their_sink(results: Path) -> None:
    plant_grid(results, ["gpt2"], n_samples=5)
    app = open_page("activations")
    drawn, answer = traces(app), app.markdown[0].value
    assert [trace["name"] for trace in drawn] == [*EMOTIONS, *EMOTIONS]
    for trace, site in zip(drawn, ["resid_pre"] * 4 + ["mlp_out"] * 4, strict=True):
        expected = [planted_norm(site, layer, trace["name"]) for layer in range(4)]
        assert trace["y"] == pytest.approx(expected, rel=1e-4)
    assert f"{SINK_RATIO:.1f} times the median residual stream norm at layer {SINK_LAYER}" in answer
    assert "left out of the medians below" in answer


def test_the_address_decides_what_is_shown(results: Path) -> None:
    plant_grid(results, ["gpt2", "pythia-160m"], ["anger", "neutral"])
    app = open_page(
        "activations",
        model=["pythia-160m"],
        site=["mlp_out"],
        norm="rms",
        scale="log",
        first="true",
    )
    axis = figure(app)["layout"]["yaxis"]
    assert axis["type"] == "log"
    assert axis["title"]["text"] == "median RMS, model units, log scale"
    assert {trace["line"]["dash"] for trace in traces(app)} == {"dash", "dot"}
    table = app.dataframe[0].value
    assert set(table["model"]) == {"pythia-160m"}
    assert set(table["site"]) == {"mlp_out"}


def test_the_model_stands_in_the_address_even_when_nobody_chose_it(results: Path) -> None:
    plant_grid(results, ["gpt2", "pythia-160m"], ["anger"])
    assert open_page("activations").query_params["model"] == "gpt2"


def test_wrong_values_in_the_address_are_ignored_with_a_note(results: Path) -> None:
    plant_unit(results, "gpt2", "anger")
    app = open_page("activations", norm="l9", model=["nowhere"])
    notes = words(app)
    assert "`norm=l9` in the address was ignored; allowed are l2, l1, rms" in notes
    assert "`model=nowhere` in the address was ignored" in notes
    assert "norm" not in app.query_params
    said = words(open_page("activations", view="prompt", prompt="nobody", layer="99"))
    assert "`prompt=nobody` in the address was ignored" in said
    said = words(open_page("activations", view="pie"))
    assert "`view=pie` in the address was ignored" in said


def test_a_file_that_cannot_be_read_is_listed_and_the_rest_drawn(results: Path) -> None:
    plant_unit(results, "gpt2", "anger")
    (results / "activations/gpt2/activations_joy.pkl").write_bytes(b"nonsense")
    app = open_page("activations")
    assert [trace["name"] for trace in traces(app)] == ["anger", "anger"]
    assert app.header[0].value == "1 file left out"
    listed = app.table[0].value
    assert "joy" in listed["file"].iloc[0]
    assert "does not begin like a pickle" in listed["problem"].iloc[0]


def test_files_of_unknown_or_mixed_configuration_say_so(results: Path) -> None:
    plant_unit(results, "gpt2", "anger", known=False)
    plant_unit(results, "gpt2", "neutral")
    plant_unit(results, "gpt2", "apology", provenance={"dtype": "bfloat16"})
    warnings = "\n".join(warning.value for warning in open_page("activations").warning)
    assert "`gpt2` (anger) is unknown" in warnings
    assert "differ in `dtype`" in warnings


def test_a_file_that_was_written_again_is_read_again(results: Path) -> None:
    first = plant_unit(results, "gpt2", "anger").stat().st_size
    app = open_page("activations")
    before = traces(app)[0]["y"]
    assert plant_unit(results, "gpt2", "anger", scale=3.0).stat().st_size == first
    app.run()
    assert traces(app)[0]["y"] == pytest.approx([3 * value for value in before], rel=1e-4)


def test_nothing_chosen_asks_for_a_choice(results: Path) -> None:
    plant_unit(results, "gpt2", "anger")
    app = open_page("activations")
    app.multiselect(key="model").set_value([]).run()
    assert "Choose at least one model" in words(app)


def test_the_folder_is_picked_among_those_the_server_was_started_with(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    plant_unit(results, "gpt2", "anger")
    plant_unit(other, "pythia-160m", "anger")
    monkeypatch.setenv("EMOACT_RESULTS", f"{results}:{other}:/somewhere")
    app = open_page("activations", results=str(other))
    assert set(app.dataframe[0].value["model"]) == {"pythia-160m"}
    app = open_page("home", results="/etc")
    assert "`results=/etc` in the address was ignored" in words(app)
    assert app.dataframe[0].value["model"].tolist() == ["gpt2"]


VIEWS = ("heatmap", "distribution", "dimensions", "growth", "prompt")


@pytest.mark.parametrize(
    "chosen",
    [
        *({"view": view} for view in VIEWS),
        {"norm": "l1", "first": "true"},
        {"view": "heatmap", "norm": "rms", "first": "true", "emotion": "anger"},
        {"view": "distribution", "of": "tokens", "layer": "2"},
        {"view": "distribution", "of": "lengths"},
    ],
    ids=lambda chosen: "-".join(chosen.values()),
)
def test_each_view_has_chart_table_and_command(results: Path, chosen: dict[str, str]) -> None:
    plant_grid(results, ["gpt2", "pythia-160m"], n_samples=10)
    app = open_page("activations", model=["pythia-160m"], site=["mlp_out"], **chosen)
    # The default is left out of the address.
    assert app.query_params.get("view", "norms") == chosen.get("view", "norms")
    # Norms have those of each emotion minus neutral below them.
    assert len(app.get("plotly_chart")) == (1 if "view" in chosen else 2)
    assert set(app.dataframe[0].value["model"]) == {"pythia-160m"}
    # The view of one prompt has the table of its nearest prompts as well.
    one = chosen.get("view", "prompt") != "prompt"
    assert len(app.get("download_button")) == (1 if one else 2)
    assert_same_rows(in_a_shell(app, results), app.dataframe[0].value)
    layout = figure(app)["layout"]
    # The caption is part of the figure, so that a saved image tells what it shows.
    assert "Pythia 160M" in json.dumps(layout["annotations"])


@pytest.mark.parametrize("view", ["heatmap", "dimensions", "prompt"])
def test_files_of_another_shape_in_one_folder_break_no_view(results: Path, view: str) -> None:
    plant_unit(results, "gpt2", "gratitude")
    plant_unit(results, "gpt2", "anger", n_layers=3)
    plant_unit(results, "gpt2", "neutral", d_model=8)
    app = open_page("activations", view=view, layer="2")
    assert len(app.get("plotly_chart")) == 1
    assert "d_model is 12 in" in words(app)
    assert_same_rows(in_a_shell(app, results), app.dataframe[0].value)


def test_relative_norms_are_divided_by_the_models_median_residual_norm(results: Path) -> None:
    plant_grid(results, ["gpt2", "pythia-160m"], ["anger"])
    raw = open_page("activations", model=["gpt2", "pythia-160m"]).dataframe[0].value
    app = open_page("activations", model=["gpt2", "pythia-160m"], units="relative")
    shown = app.dataframe[0].value
    for model in ("gpt2", "pythia-160m"):
        stream = raw[(raw["model"] == model) & (raw["site"] == "resid_pre")]["median"]
        expected = raw[raw["model"] == model]["median"] / stream.median()
        assert shown[shown["model"] == model]["median"].tolist() == pytest.approx(expected.tolist())
    assert_same_rows(in_a_shell(app, results), shown)
    # The scale is the model's own: it does not depend on which of its sites are looked at.
    app.pills(key="site").set_value(["mlp_out"]).run()
    part = app.dataframe[0].value
    expected = shown[shown["site"] == "mlp_out"]["median"]
    assert part["median"].tolist() == pytest.approx(expected.tolist())
    assert_same_rows(in_a_shell(app, results), part)


def test_a_finding_says_what_it_means(results: Path) -> None:
    plant_grid(results, ["gpt2"], n_samples=10)
    app = open_page("activations")
    text = words(app)
    assert "2 findings; 0 can distort directions" in app.expander[0].label
    assert "Position 0 carries 40.0 times the median MLP output norm at layer 2" in text
    assert "the default pooling takes content positions only" in text


def test_a_link_opens_one_prompt_and_its_nearest_neighbours(results: Path) -> None:
    plant_grid(results, ["gpt2"], ["anger", "neutral"], n_samples=6)
    app = open_page(
        "activations", view="prompt", model=["gpt2"], emotion="neutral", prompt="p4", layer="1"
    )
    assert "Prompt number 4 about a bicycle" in words(app)
    assert set(app.dataframe[0].value["prompt"]) == {"p4"}
    assert app.slider(key="layer").value == 1
    near = app.dataframe[1].value
    assert len(near) == 8
    assert near["distance"].is_monotonic_increasing
    assert not ((near["prompt"] == "p4") & (near["emotion"] == "neutral")).any()


@pytest.mark.parametrize(
    ("planted", "refusal"),
    [
        ([{"known": False}], "do not say how they were made"),
        ([{}, {"provenance": {"dtype": "bfloat16"}}], "were not made alike"),
    ],
)
def test_a_sentence_needs_files_made_alike_that_say_how(
    results: Path, planted: list[dict[str, Any]], refusal: str
) -> None:
    for emotion, options in zip(EMOTIONS, planted, strict=False):
        plant_unit(results, "gpt2", emotion, **options)
    app = open_page("activations", view="sentence")
    assert refusal in app.error[0].value
    assert not app.text_input
