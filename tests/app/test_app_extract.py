import dataclasses
from pathlib import Path

import pytest

from emoact.jobs import launch
from emoact.jobs.config import RunConfig
from emoact.schema import ChatFormat, Generation
from emoact.store.reading import read_all
from emoact.ui.run_details import settings_of
from tests.app.conftest import ended
from tests.support.byte_tokenizer import byte_tokenizer
from tests.support.numpy_engine import stand_in_model
from tests.support.pages import boxes, click, open_page, words
from tests.support.planted import plant_grid
from tests.support.planted_runs import plant_run
from tests.support.stand_in_worker import WORKER


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    file = tmp_path / "prompts.csv"
    rows = [f"Sentence {n} of {label}.,{label}" for label in ("joy", "neutral") for n in range(3)]
    file.write_text("\n".join(["text,emotion", *rows]))
    return file


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return stand_in_model(tmp_path / "stand-in")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "WORKER", WORKER)


def test_the_button_says_what_happens_with_the_shipped_data() -> None:
    app = open_page("extract")
    assert app.button(key="start").label == "Extract 200 prompts with smollm2\\-135m"
    assert not app.button(key="start").disabled
    assert "on disk" in words(app)


def test_another_data_set_gets_its_own_folder(results: Path, prompts: Path, model: Path) -> None:
    app = open_page("extract", models=[str(model)], dataset=str(prompts))
    assert not app.warning
    # Other labels, so that no file is in the way, but none can be analysed together.
    folder = words(app).partition("to `activations/")[2].partition("`")[0]
    plant_grid(results, [folder], ["anger"])
    app = open_page("extract", models=[str(model)], dataset=str(prompts))
    assert "has files of another data set" in app.warning[0].value
    app.button(key="own-folder").click().run()
    assert app.session_state["results"] == f"{results}-prompts"
    assert not app.warning
    assert app.selectbox(key="dataset").value == str(prompts)


def test_a_chat_format_is_offered(prompts: Path, model: Path, started: list[RunConfig]) -> None:
    app = open_page("extract", models=[str(model)], dataset=str(prompts))
    assert "chat" not in {control.key for control in app.segmented_control}
    assert "the tokenizer of stand-in has no chat template" in words(app)
    # The templates of two models: one writes the text, one is refused before anything starts.
    for name, template in (("good", "<user>{{ messages[-1]['content'] }}<model>"), ("bad", "no")):
        made = stand_in_model(model.parent / name)
        (made / "chat_template.jinja").write_text(template)
        byte_tokenizer().save(str(made / "tokenizer.json"))
        app = open_page(
            "extract", models=[str(made)], dataset=str(prompts), chat="template", bos="none"
        )
        assert app.segmented_control(key="chat").value == "template"
        assert "bos" not in {control.key for control in app.segmented_control}
        if name == "good":
            app.button(key="start").click().run()
    assert "the chat template of bad cannot be used" in words(app)
    assert app.button(key="start").disabled
    (config,) = started
    assert config.options.chat == ChatFormat()
    assert "--chat template" in config.command


def test_a_run_with_responses_repeats(prompts: Path, model: Path, started: list[RunConfig]) -> None:
    app = open_page("extract", models=[str(model)], dataset=str(prompts))
    assert not any(widget.key == "temperature" for widget in app.number_input)
    app.number_input(key="generate").set_value(12).run()
    app.number_input(key="temperature").set_value(0.7).run()
    app.number_input(key="seed").set_value(3).run()
    assert app.checkbox(key="truncate").disabled
    app.button(key="start").click().run()
    (config,) = started
    assert config.options.generation == Generation(max_tokens=12, temperature=0.7, seed=3)
    assert "--generate 12 --temperature 0.7 --seed 3" in config.command
    again = open_page("extract", **settings_of(config))
    again.button(key="start").click().run()
    assert started[1].options == config.options
    chat = ChatFormat(system="Be kind.", assistant="Well,")
    options = dataclasses.replace(config.options, chat=chat)
    asked = settings_of(dataclasses.replace(config, options=options))
    assert (asked["chat"], asked["system"], asked["assistant"]) == ("template", "Be kind.", "Well,")


@pytest.mark.parametrize(
    ("page", "parameter", "value"),
    [("extract", "generate", "inf"), ("extract", "bos", ""), ("report", "lang", "")],
)
def test_odd_addresses_are_ignored(page: str, parameter: str, value: str, results: Path) -> None:
    open_page(page, **{parameter: value})


def test_choices_come_by_the_address(prompts: Path, model: Path, started: list[RunConfig]) -> None:
    app = open_page(
        "extract",
        models=[str(model)],
        dataset=str(prompts),
        emotions=["joy"],
        bos="none",
        dtype="bfloat16",
        sites=["resid_pre", "attn_out"],
        overwrite="true",
        pickles="true",
    )
    assert "pickles in the address was ignored" in words(app).replace("`", "")
    assert app.button(key="start").label.startswith("Extract 3 prompts with")
    app.button(key="start").click().run()
    (config,) = started
    assert config.emotions == ("joy",)
    assert config.options.bos == "none"
    assert config.options.dtype == "bfloat16"
    assert config.options.sites == ("resid_pre", "attn_out")
    assert config.overwrite
    # A link, or a run that another made, cannot allow what may run code.
    assert not config.allow_pickle_weights


def test_a_run_shows_its_files(results: Path, prompts: Path, model: Path, stand_in: None) -> None:
    app = open_page("extract", models=[str(model)], dataset=str(prompts))
    app.button(key="start").click().run()
    run_id = app.query_params["run"]
    assert isinstance(run_id, str)
    ended(results, run_id)
    app.run()
    assert not app.exception
    assert "finished" in words(app)
    table = app.dataframe[0].value
    assert table["emotion"].tolist() == ["joy", "neutral"]
    assert table["state"].tolist() == ["saved", "saved"]
    assert all((results / file).is_file() for file in table["file"])
    # The same again would write nothing.
    again = open_page("extract", models=[str(model)], dataset=str(prompts))
    assert "Nothing to extract" in words(again)
    assert again.button(key="start").disabled
    click(app, "Look at the activations")
    assert app.title[0].value == "Activations"
    assert app.get("plotly_chart")


@pytest.mark.parametrize(
    ("parameters", "title", "words_of_the_box"),
    [
        (
            {"dataset": "/nowhere/prompts.csv"},
            "The data set cannot be read",
            "there is no such file",
        ),
        ({"models": ["nosuch/model"]}, "This request cannot start", "hub cache"),
        ({"models": ["/nowhere/model"]}, "This request cannot start", "does not exist"),
        ({"models": ["../*_x_*.gguf"]}, "This request cannot start", "does not exist"),
    ],
)
def test_a_wrong_request_is_a_box_and_nothing_can_start(
    parameters: dict[str, str | list[str]], title: str, words_of_the_box: str
) -> None:
    app = open_page("extract", **parameters)
    assert title in boxes(app)
    assert words_of_the_box in boxes(app).replace("\\", "")
    assert "**Next step:**" in boxes(app)
    assert all(button.disabled for button in app.button if button.key == "start")


def test_a_file_in_the_way_is_refused_before_the_start(
    results: Path, prompts: Path, model: Path, stand_in: None
) -> None:
    parameters: dict[str, str | list[str]] = {"models": [str(model)], "dataset": str(prompts)}
    app = open_page("extract", **parameters)
    app.button(key="start").click().run()
    ended(results, str(app.query_params["run"]))
    app = open_page("extract", **parameters, bos="none")
    assert "This request cannot start" in boxes(app)
    assert app.button(key="start").disabled
    assert not open_page("extract", **parameters, bos="none", overwrite="true").error
    # Or both are kept: the new files get a folder of their own, named by what differs.
    app.button(key="keep-both").click().run()
    assert not app.error
    assert app.multiselect(key="models").value == [f"{model}~~no-bos"]
    app.button(key="start").click().run()
    ended(results, str(app.query_params["run"]))
    first, second = sorted(path.name for path in (results / "activations").iterdir())
    assert second == f"{first}~~no-bos"
    assert {
        unit.provenance["bos"]["policy"]
        for unit in read_all(results)
        if unit.folder == second and unit.provenance
    } == {"none"}


def test_terms_and_a_large_download_are_agreed_to_by_one_tick(started: list[RunConfig]) -> None:
    app = open_page("extract", models=["smollm2-135m", "gemma-3-270m"])
    assert not app.error
    said = words(app)
    assert "238 MB have to be downloaded" in said
    assert "Gemma Terms of Use (`https://ai.google.dev/gemma/terms" in said
    # The cost of each model is known before anything is agreed to.
    assert "smollm2-135m has to be installed first (92.9 MB)" in said.replace("`", "")
    assert "gemma-3-270m has to be installed first (238 MB)" in said.replace("`", "")
    assert said.count(": about ") == 2
    assert app.button(key="start").disabled
    (agree,) = [box for box in app.checkbox if "Gemma Terms of Use" in box.label]
    agree.check().run()
    app.button(key="start").click().run()
    (config,) = started
    assert [model.name for model in config.models] == ["smollm2-135m", "gemma-3-270m"]
    assert "--yes" in config.command


def test_without_a_model_the_page_asks_for_one() -> None:
    app = open_page("extract")
    app.multiselect(key="models").set_value([]).run()
    assert "Choose at least a model" in words(app)
    assert not [button for button in app.button if button.key == "start"]


def test_the_run_at_work_is_found_from_disk(results: Path) -> None:
    lock = plant_run(results, "20260131-150000-run1", "running", done=1)
    assert lock is not None
    app = open_page("extract")
    assert app.query_params["run"] == "20260131-150000-run1"
    assert "running" in app.markdown[0].value
    assert "66 done" in app.markdown[0].value
    assert [bar.text for bar in app.get("progress")] == [
        "gratitude 50 of 50 :gray[saved]",
        "anger 16 of 50 :gray[computing]",
        "apology 0 of 50 :gray[waiting]",
        "neutral 0 of 50 :gray[waiting]",
    ]
    assert {metric.label for metric in app.metric} == {
        "Samples/s",
        "Tokens/s",
        "Elapsed",
        "Remaining",
    }
    lock.close()


def test_a_run_that_does_not_exist_is_ignored_with_a_note() -> None:
    app = open_page("extract", run="../../etc/passwd")
    assert "there is no such extraction" in words(app)
    assert "run" not in app.query_params
    assert not app.button(key="start").disabled


def test_settings_in_the_address_open_the_form_though_a_run_is_at_work(results: Path) -> None:
    lock = plant_run(results, "20260131-150000-run1", "running")
    assert lock is not None
    app = open_page("extract", models=["gpt2", "smollm2-135m"])
    assert app.multiselect(key="models").value == ["gpt2", "smollm2-135m"]
    click(app, "Watch the run at work")
    assert app.query_params["run"] == "20260131-150000-run1"
    assert "running" in words(app)
    lock.close()
