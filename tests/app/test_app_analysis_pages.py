import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from emoact.analysis.listing import list_analyses
from emoact.analysis.saved import SavedAnalysis
from emoact.jobs import launch
from emoact.jobs.progress import list_runs
from emoact.store.layout import ResultsRoot
from emoact.ui.notes import write_note
from tests.app.conftest import ended
from tests.support.pages import figure, open_page, words
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_scenarios import FAST, plant_scenarios
from tests.support.stand_in_world import World

PAGES = ("directions", "distances", "across_models")


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models of different widths, one of random weights."""
    folder = tmp_path_factory.mktemp("analysed") / "results"
    plant_scenarios(folder, "gpt2")
    plant_scenarios(folder, "other", n_layers=4, d_model=6, provenance={"random_weights": True})
    plant_analysis(folder)
    return folder


@pytest.fixture
def saved(analysed: Path, results: Path) -> SavedAnalysis:
    shutil.copytree(analysed, results, dirs_exist_ok=True)
    (row,) = list_analyses(ResultsRoot(results))
    return SavedAnalysis.open(results / "analysis" / row.id)


def caption(app: AppTest) -> str:
    return str(figure(app)["layout"]["annotations"][-1]["text"])


@pytest.mark.parametrize("page", [*PAGES, "activations", "runs"])
def test_an_empty_folder_says_what_is_needed_and_leads_to_the_extraction(page: str) -> None:
    app = open_page(page)
    needs = {"activations": "There are no activations in", "runs": "There is no run in"}
    assert needs.get(page, "there are none in") in app.markdown[0].value
    assert not app.get("plotly_chart")
    app.button[0].click().run()
    assert app.title[0].value == "Extract"


def test_one_model_on_disk_is_not_enough_to_compare(results: Path) -> None:
    plant_scenarios(results)
    plant_analysis(results)
    app = open_page("across_models")
    assert "needs activations of 2 models" in app.markdown[0].value
    assert "`gpt2` alone" in app.markdown[0].value
    assert [button.label for button in app.button] == ["Extract another model"]


def test_a_click_analyses_the_units_in_a_run_and_shows_what_it_found(results: Path) -> None:
    plant_scenarios(results)
    app = open_page("directions")
    assert "3 units of 1 model are on disk" in app.markdown[0].value
    (button,) = app.button
    assert button.label == "Analyse 3 units"
    button.click().run()
    (run,) = list_runs(results)
    assert run.kind == "analyze"
    ended(results)
    app.run()
    (row,) = list_analyses(ResultsRoot(results))
    assert app.selectbox(key="analysis").value == row.id
    assert "run" not in app.query_params
    assert len(app.get("plotly_chart")) == 1


def test_the_answer_of_directions_holds_the_figures_of_the_headline(saved: SavedAnalysis) -> None:
    headline = saved.table("headline")
    rows = headline[(headline["model"] == "gpt2") & (headline["site"] == "resid_pre")]
    rows = rows[rows["evaluation"] == "cross_validated"].set_index("emotion")
    assert "inconclusive for gratitude and anger" in words(open_page("directions"))
    answer = words(open_page("directions", view="separation"))
    for emotion in ("anger", "gratitude"):
        accuracy, text = (
            f"{100 * rows.loc[emotion, column]:.0f} %"
            for column in ("balanced_accuracy", "text_balanced_accuracy")
        )
        assert f"{emotion} {accuracy} [" in answer
        assert f"text baseline {text}" in answer
    # The planted files have no controls.
    assert set(rows["verdict"]) == {"inconclusive"}
    assert "because controls are missing" in answer


def test_cosines_carry_the_expectation_of_noise(saved: SavedAnalysis) -> None:
    app = open_page("distances", model="gpt2", site=["resid_pre"])
    levels = [trace["y"] for trace in figure(app)["data"] if trace.get("line", {}).get("dash")]
    assert [0.5, 0.5] in levels
    assert "about 0.50, because all emotions subtract one neutral mean" in words(app)


def test_the_layer_of_matrices_and_points_stands_in_the_address(saved: SavedAnalysis) -> None:
    for view in ("matrix", "prompts"):
        app = open_page("distances", model="gpt2", view=view, layer="1")
        assert set(app.dataframe[0].value["layer"]) == {1}
    assert {"explicit", "gratitude-1"} & set(app.dataframe[0].value["prompt_id"])
    assert app.dataframe[0].value["text"].str.contains("soup").all()


def test_the_raw_cosine_of_different_widths_alone_is_refused(saved: SavedAnalysis) -> None:
    app = open_page("across_models", measure="raw_cos")
    assert not app.get("plotly_chart")
    assert "No raw cosine: the widths differ (8, 6)" in words(app)
    for measure in ("score_corr", "procrustes", "cka", "cka_within", "rsa"):
        app = open_page("across_models", measure=measure)
        assert len(app.get("plotly_chart")) == 1, measure
        assert words(app).count("the widths differ") == 1
    plan = app.dataframe[1].value
    assert plan["raw_cos (control)"].isna().all()
    assert plan["cka"].notna().all()


def test_another_results_folder_is_tested(saved: SavedAnalysis, tmp_path: Path) -> None:
    app = open_page("directions", view="transfer", model="gpt2")
    assert "Nothing was tested yet" in words(app)
    plant_scenarios(tmp_path, "gpt2", n=15, noun="bread")
    app = open_page("directions", view="transfer", model="gpt2", to=str(tmp_path))
    assert len(app.get("plotly_chart")) == 1
    assert "The logistic probe is" in words(app)
    plant_scenarios(tmp_path, "other", n_layers=4, d_model=6, n=15, noun="bread")
    app = open_page("directions", view="transfer", model="gpt2", beside="other", to=str(tmp_path))
    assert len(app.get("plotly_chart")) == 1
    assert set(app.dataframe[0].value["model"]) == {"gpt2", "other"}
    app = open_page("directions", view="transfer", model="gpt2", to="/nowhere")
    assert "no activations in /nowhere" in words(app)
    assert "Nothing was tested, for the reason above" in words(app)


@pytest.mark.parametrize(
    ("page", "parameters"),
    [
        ("directions", {"view": "nope", "model": "nowhere", "analysis": "0", "site": ["pattern"]}),
        ("directions", {"measure": "l3"}),
        ("distances", {"view": "prompts", "layer": "99", "basis": "mine", "axes": "4"}),
        ("across_models", {"pair": "a ~ b", "view": "by", "measure": "cos"}),
    ],
)
def test_wrong_values_in_the_address_are_ignored_with_a_note(
    saved: SavedAnalysis, page: str, parameters: dict[str, Any]
) -> None:
    app = open_page(page, **parameters)
    notes = words(app)
    for name, value in parameters.items():
        if value == "prompts":
            continue
        shown = value[0] if isinstance(value, list) else value
        assert f"`{name}={shown}` in the address was ignored" in notes
    assert len(app.get("plotly_chart")) == 1


def test_an_override_of_units_made_differently_is_marked(results: Path) -> None:
    plant_scenarios(results, "gpt2")
    plant_scenarios(results, "other", provenance={"dtype": "bfloat16"})
    plant_analysis(results, dataclasses.replace(FAST, allow_mixed=True))
    for page in PAGES:
        app = open_page(page)
        assert "mixed comparison" in words(app)
        assert "dtype differs" in caption(app)


def test_random_weights_mark_the_page_and_the_image(saved: SavedAnalysis) -> None:
    app = open_page("directions")
    assert "random weights, which say nothing about emotion" in words(app)
    assert "random weights, which say nothing about emotion: other" in caption(app)


def test_files_written_again_or_added_are_named(saved: SavedAnalysis, results: Path) -> None:
    assert "since this analysis was made" not in words(open_page("directions"))
    plant_scenarios(results, "gpt2", ["anger"], change=lambda rows, *_: rows.__imul__(2))
    plant_scenarios(results, "gpt2", ["joy"])
    said = words(open_page("directions"))
    assert "`gpt2/anger` was written again since this analysis was made" in said
    assert "`gpt2/joy` was added since" in said


def test_a_damaged_table_becomes_a_box(saved: SavedAnalysis, results: Path) -> None:
    path = saved.path / "tables" / "strength.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    app = open_page("directions")
    assert "truncated" in app.error[0].value


def test_directions_are_offered_as_files(saved: SavedAnalysis) -> None:
    app = open_page("directions")
    app.session_state["directions-files"] = True
    (expander,) = [box for box in app.expander if box.label == "Directions as files"]
    assert expander is not None
    app.run()
    labels = [button.proto.label for button in app.get("download_button")]
    assert any(label.startswith("resid_pre (") for label in labels)


def test_choices_of_a_page_do_not_break_one_that_has_none_of_them(saved: SavedAnalysis) -> None:
    app = open_page("across_models", measure="procrustes")
    for page in ("directions", "distances", "activations", "directions"):
        app.switch_page(f"pages/{page}.py").run()
        # Below the norms stands their difference to neutral.
        assert len(app.get("plotly_chart")) == (2 if page == "activations" else 1), page


def test_an_analysis_is_named_by_note_date_and_content(saved: SavedAnalysis, results: Path) -> None:
    write_note(str(results), saved.id, "pilot")
    app = open_page("directions")
    (label,) = app.selectbox(key="analysis").options
    assert label.startswith("pilot, ")
    assert label.endswith(f"2 models ({saved.id[:4]})")
    assert app.query_params["analysis"] in (saved.id, [saved.id])


def test_a_selected_prompt_is_ringed_and_followed_to_other_views(saved: SavedAnalysis) -> None:
    app = open_page("distances", model="gpt2", view="prompts", layer="1")
    assert "selected prompt" not in str(figure(app)["data"])
    app.session_state["marked-prompt"] = ("anger", "anger-1")
    app.run()
    assert "selected prompt" in str(figure(app)["data"])
    assert "anger-1" in words(app)


def test_controls_are_offered_at_a_cost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOACT_RESULTS", str(world.results))
    config = world.config(world.model())
    launch.start(config)
    assert world.wait(config.run_id).state == "finished"
    app = open_page("directions")
    assert "short prompts" not in words(app)
    assert not app.checkbox(key="analyse-controls").value
    app.checkbox(key="analyse-controls").check().run()
    # Of each unit, seven distinct tokens and twenty orders of three prompts.
    assert f"{2 * (7 + 20 * 3)} short prompts" in words(app)
    assert not app.button(key="analyse").disabled
    app.checkbox(key="analyse-controls").uncheck().run()
    assert "short prompts" not in words(app)


def test_a_model_that_is_not_here_is_named_and_nothing_can_be_started(results: Path) -> None:
    plant_scenarios(results, "smollm2-135m")
    app = open_page("directions")
    assert not app.button(key="analyse").disabled
    app.checkbox(key="analyse-controls").check().run()
    assert "smollm2-135m is not installed here" in app.error[0].value.replace("\\", "")
    assert app.button(key="analyse").disabled


def test_separation_without_controls_names_the_command_that_extracts_them(results: Path) -> None:
    plant_scenarios(results)
    saved = plant_analysis(results)
    assert f"{saved.command} --controls" in words(open_page("directions", view="separation"))
    assert "--controls" not in words(open_page("directions", view="strength"))
