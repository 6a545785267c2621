from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.runtime import fragment as fragments
from streamlit.testing.v1 import AppTest

from emoact.jobs.snapshot import RunError
from emoact.schema import ExtractionOptions
from tests.support.pages import click, figure, open_page, words
from tests.support.planted_runs import JOB, plant_job, plant_run

ONE = "20260131-140500-aaaa"
TWO = "20260131-130500-bbbb"


def ids(app: AppTest) -> list[str]:
    return app.dataframe[0].value["id"].tolist()  # type: ignore[no-any-return]


def test_every_run_is_a_row_newest_first(results: Path) -> None:
    plant_run(results, TWO, "cancelled")
    plant_run(results, ONE, "finished", models=("gpt2", "pythia-160m"))
    app = open_page("runs")
    table = app.dataframe[0].value
    assert table["id"].tolist() == [ONE, TWO]
    assert table["models"].tolist() == ["gpt2, pythia-160m", "smollm2-135m"]
    assert [list(state) for state in table["state"]] == [["finished"], ["cancelled"]]
    assert table["duration"].tolist() == ["40 s", "40 s"]
    assert table["size"].tolist() == ["832 MB", "208 MB"]
    assert app.markdown[0].value == "2 runs: 1 finished, 1 cancelled."


def test_runs_are_filtered_by_state_and_words(results: Path) -> None:
    plant_run(results, TWO, "cancelled")
    plant_run(results, ONE, "finished", models=("gpt2",))
    assert ids(open_page("runs", state=["cancelled"])) == [TWO]
    assert ids(open_page("runs", find="gpt2 anger")) == [ONE]
    app = open_page("runs", find="nothing like it")
    assert not app.dataframe
    assert "No run matches" in words(app)


def test_a_run_opens_from_the_address_with_settings_events_and_files(results: Path) -> None:
    plant_run(results, ONE, "finished", notes=["1 prompt was cut."])
    app = open_page("runs", run=ONE)
    assert app.header[0].value == ONE.replace("-", "\\-")
    assert "finished" in words(app)
    assert app.dataframe[1].value["emotion"].tolist() == [
        "gratitude",
        "anger",
        "apology",
        "neutral",
    ]
    settings = open_page("runs", run=ONE, part="Config").dataframe[1].value
    values = dict(zip(settings["setting"], settings["value"], strict=True))
    assert values["options.bos"] == "prepend"
    assert values["models[0].asked"] == "smollm2-135m"
    events = open_page("runs", run=ONE, part="Events").dataframe[1].value
    assert events["event"].tolist() == ["started", "turn", "note"]
    assert "1 prompt was cut." in events["details"].iloc[2]


def test_two_runs_are_compared_with_their_differences_first(results: Path) -> None:
    plant_run(results, ONE)
    plant_run(results, TWO, options=ExtractionOptions(bos="none"))
    app = open_page("runs", run=[ONE, TWO])
    table = app.dataframe[1].value
    assert table.iloc[0].tolist() == ["options.bos", "prepend", "none", "differs"]
    assert (table["compared"] == "differs").sum() == 1


def test_a_failed_run_says_why_and_can_resume(results: Path) -> None:
    error = RunError(message="the disk is full", remedy="Free some space.", exit_code=1)
    plant_run(results, ONE, "failed", error=error)
    app = open_page("runs", run=ONE)
    assert "the disk is full" in app.error[0].value
    app = click(app, "Resume run")
    # The planted data set does not exist, so the backend refuses; the page has to say so.
    assert any("was not resumed" in box.proto.title for box in app.error)


def test_a_finished_run_offers_no_resume_and_an_active_one_no_deletion(results: Path) -> None:
    plant_run(results, ONE, "finished")
    lock = plant_run(results, TWO, "running")
    assert lock is not None
    labels = [button.label for button in open_page("runs", run=ONE).button]
    assert "Resume run" not in labels
    assert "Delete run" in labels
    labels = [button.label for button in open_page("runs", run=TWO).button]
    assert "Delete run" not in labels
    assert "Cancel run" in labels
    lock.close()


def test_a_run_is_deleted_only_after_a_second_word(results: Path) -> None:
    plant_run(results, ONE, "finished")
    plant_run(results, TWO, "finished")
    app = click(open_page("runs", run=ONE), "Delete run")
    assert (results / "runs" / ONE).is_dir()
    assert "The activations it wrote stay" in words(app)
    app = click(app, "Delete the record")
    assert not (results / "runs" / ONE).exists()
    assert (results / "runs" / TWO).is_dir()
    assert ids(app) == [TWO]
    assert "run" not in app.query_params
    assert "there is no such run" not in words(app)


def test_run_again_fills_the_form_with_the_same_settings(results: Path) -> None:
    options = ExtractionOptions(bos="none", dtype="bfloat16", sites=("resid_pre", "attn_out"))
    plant_run(results, ONE, emotions=("anger", "neutral"), models=("gpt2",), options=options)
    app = click(open_page("runs", run=ONE), "Run again with these settings")
    assert app.title[0].value == "Extract"
    assert app.query_params["models"] == "gpt2"
    assert app.query_params["emotions"] == ["anger", "neutral"]
    assert app.query_params["bos"] == "none"
    assert app.query_params["sites"] == ["resid_pre", "attn_out"]
    assert "run" not in app.query_params


def test_foreign_and_torn_directories_are_rows_with_a_problem(results: Path) -> None:
    plant_run(results, ONE, "finished")
    foreign = results / "runs" / "foreign"
    foreign.mkdir()
    (foreign / "config.json").write_text("{nonsense")
    plant_run(results, TWO, "finished")
    (results / "runs" / TWO / "status.json").write_text('{"schema_version": 99}')
    app = open_page("runs")
    problems = app.dataframe[0].value.set_index("id")["problem"]
    assert problems[ONE] == ""
    assert "config.json" in problems["foreign"]
    assert "newer emoact" in problems[TWO]
    for run_id in ("foreign", TWO):
        opened = open_page("runs", run=run_id)
        assert opened.warning


def test_a_run_of_the_address_that_is_not_there_is_ignored_with_a_note(results: Path) -> None:
    plant_run(results, ONE)
    app = open_page("runs", run=["nope", ONE])
    assert "there is no such run" in words(app)
    assert app.query_params["run"] == ONE


def test_rates_of_several_runs_are_drawn_over_time_with_their_table(results: Path) -> None:
    three = "20260131-120500-cccc"
    for run_id, n_samples in ((ONE, 50), (TWO, 20), (three, 10)):
        plant_run(results, run_id, n_samples=n_samples)
    app = open_page("runs", run=[ONE, TWO, three])
    assert "3 runs compared" in [header.value for header in app.header]
    rates = app.dataframe[2].value
    assert rates["run"].tolist() == [ONE, TWO, three]
    # Four files of 2.5 s each in 40 s.
    assert rates["in files, s"].tolist() == [10.0] * 3
    assert rates["loading, checks, waiting, s"].tolist() == [30.0] * 3
    assert rates["prompts/s"].tolist() == [20.0, 8.0, 4.0]
    lines = [trace for trace in figure(app)["data"] if trace["name"] == TWO]
    assert lines[0]["y"] == [290.0, 310.0, 300.0]
    app = open_page("runs", run=[ONE, TWO], metric="prompts")
    lines = [trace for trace in figure(app)["data"] if trace["name"] == TWO]
    assert lines[0]["y"] == [0.0, 20.0, 40.0, 60.0, 80.0]
    # A run that extracts nothing was neither in files nor at anything beside them.
    plant_job(results, "finished")
    rates = open_page("runs", run=[ONE, JOB]).dataframe[2].value
    assert rates["elapsed, s"].tolist() == [40.0, 20.0]
    for column in ("prompts", "in files, s", "loading, checks, waiting, s"):
        assert rates[column].isna().tolist() == [False, True], column


def test_a_clock_never_draws_another_run(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named: list[str] = []
    make = fragments._make_fragment_identity

    def noted(function: Callable[..., object], **where: str) -> object:
        named.append(make(function, **where).fragment_id)
        return make(function, **where)

    monkeypatch.setattr(fragments, "_make_fragment_identity", noted)
    for run_id in ("20260131-140500-aaaa", "20260131-150500-bbbb"):
        plant_run(results, run_id)
        open_page("extract", run=run_id)
    # A browser may still ask for the first one's when the page has gone on to the second.
    assert len(set(named)) == 2
