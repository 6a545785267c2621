from pathlib import Path

from emoact.jobs.config import RunConfig
from emoact.ui.folders import make_folder
from tests.support.pages import open_page, words
from tests.support.planted import EMOTIONS, plant_grid, plant_unit
from tests.support.planted_runs import plant_run


def test_an_empty_folder_offers_the_main_job(results: Path, started: list[RunConfig]) -> None:
    app = open_page("home")
    assert "There are no activations" in app.markdown[0].value
    assert "`smollm2-135m` takes about" in app.markdown[0].value
    assert app.button(key="first-run").label == "Extract 200 prompts with smollm2-135m"
    app.button(key="first-run").click().run()
    (config,) = started
    assert [model.asked for model in config.models] == ["smollm2-135m"]
    assert config.emotions == EMOTIONS
    assert Path(config.results) == results
    assert app.title[0].value == "Extract"
    assert app.query_params["run"] == config.run_id


def test_an_empty_folder_offers_both_embedded_models_with_their_costs(results: Path) -> None:
    app = open_page("home")
    said = app.markdown[0].value.replace("\\", "")
    for model, size in (("smollm2-135m", "92.9 MB"), ("gemma-3-270m", "238 MB")):
        assert f"`{model}` takes about" in said
        assert f"its installation ({size} to download) included" in said
    # The terms of Gemma are agreed to on the form.
    app.button(key="first-run-embedded").click().run()
    assert app.title[0].value == "Extract"
    assert app.multiselect(key="models").value == ["smollm2-135m", "gemma-3-270m"]
    assert [box for box in app.checkbox if "Gemma Terms of Use" in box.label]


def test_the_grid_has_a_row_for_each_model_and_a_column_for_each_emotion(results: Path) -> None:
    plant_grid(results, ["gpt2", "pythia-160m"], ["anger", "neutral"], n_samples=7)
    plant_unit(results, "gpt2", "joy", n_samples=3)
    app = open_page("home")
    grid = app.dataframe[0].value.set_index("model")
    assert list(grid.columns[:3]) == ["anger", "joy", "neutral"]
    assert grid.loc["gpt2", ["anger", "joy", "neutral"]].tolist() == ["7", "3", "7"]
    assert grid.loc["pythia-160m", "joy"] == "–"
    assert grid.loc["gpt2", "configuration"] == "raw, float32, BOS prepended"
    assert "problems" not in grid.columns
    assert "5 files of 2 models on disk" in app.markdown[0].value


def test_problems_stand_in_the_grid(results: Path) -> None:
    plant_unit(results, "gpt2", "anger", provenance={"random_weights": True})
    plant_unit(results, "gpt2", "neutral", provenance={"dtype": "bfloat16"})
    (results / "activations/gpt2/activations_joy.pkl").write_bytes(b"\x80\x04N.")
    app = open_page("home")
    grid = app.dataframe[0].value.set_index("model")
    assert grid.loc["gpt2", "joy"] == "unreadable"
    assert grid.loc["gpt2", "configuration"] == "mixed"
    assert "joy:" in grid.loc["gpt2", "problems"]
    assert "random weights" in grid.loc["gpt2", "problems"]
    assert "1 file cannot be read" in app.markdown[0].value


def test_a_run_at_work_is_shown_and_is_the_next_step(results: Path) -> None:
    lock = plant_run(results, "20260131-150000-run1", "running", done=1)
    assert lock is not None
    app = open_page("home")
    assert "1 run at work or waiting" in app.markdown[0].value
    assert "66 of 200" in app.get("progress")[0].text
    assert not [button for button in app.button if button.key == "first-run"]
    app.button[0].click().run()
    assert app.title[0].value == "Extract"
    assert app.query_params["run"] == "20260131-150000-run1"
    lock.close()


def test_a_results_folder_that_was_made_is_offered_to_every_visitor(results: Path) -> None:
    plant_grid(results, ["gpt2"])
    app = open_page("home")
    assert [box.label for box in app.sidebar.selectbox] == []
    assert "Make and open" in [button.label for button in app.sidebar.button]
    made = make_folder(str(results), "no-bos")
    picker = open_page("home").selectbox(key="results")
    assert picker.options == [str(results), made]
    # A link to it keeps its meaning.
    app = open_page("home", results=made)
    assert app.selectbox(key="results").value == made
    assert "There are no activations in" in words(app)
