"""Runs that extract nothing, on the pages that show runs."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from emoact.jobs.snapshot import Made, StepProgress
from tests.support.pages import open_page, words
from tests.support.planted_runs import JOB, plant_job, plant_run

EXTRACTION = "20260131-140500-aaaa"


def buttons(app: AppTest) -> dict[str, bool]:
    return {button.label: button.disabled for button in app.button}


def test_an_analysis_stands_among_the_extractions(results: Path) -> None:
    plant_run(results, EXTRACTION)
    plant_job(results, "finished")
    table = open_page("runs").dataframe[0].value
    assert table["id"].tolist() == [JOB, EXTRACTION]
    assert table["kind"].tolist() == ["analysis", "extraction"]
    assert table["models"].tolist()[0] == "gpt2, pythia-160m"
    assert table["emotions"].tolist()[0] == "anger, neutral"
    assert table["progress"].tolist()[0] == 100
    assert table["samples/s"].isna().tolist() == [True, False]
    found = open_page("runs", find="analysis").dataframe[0].value
    assert found["id"].tolist() == [JOB]


def test_a_running_analysis_shows_its_step_and_can_be_cancelled(results: Path) -> None:
    step = StepProgress(
        name="analyze", folder="", detail="probes of gpt2 mlp_out anger", done=5.0, total=40.0
    )
    lock = plant_job(results, "running", step=step, share=0.25)
    app = open_page("runs", run=[JOB])
    assert "Analysis of `gpt2` and `pythia-160m`, 25 % done" in words(app)
    assert "probes of gpt2 mlp_out anger" in words(app)
    assert {metric.label: metric.value for metric in app.metric} == {
        "Elapsed": "20 s",
        "Remaining": "1 m 00 s",
    }
    assert buttons(app)["Cancel run"] is False
    assert "Samples/s" not in [metric.label for metric in app.metric]
    # Home counts it; the extraction page does not take it for an extraction.
    assert "1 run at work" in words(open_page("home"))
    assert JOB not in words(open_page("extract"))
    assert lock is not None
    lock.close()


def test_a_finished_analysis_shows_what_it_left_and_runs_again(results: Path) -> None:
    folder = results / "analysis" / "abc"
    plant_job(results, "finished", made=(Made(path=str(folder), size=2_000_000),))
    app = open_page("runs", run=[JOB])
    assert "Analysis of `gpt2` and `pythia-160m` in 20 s" in words(app)
    saved = next(frame.value for frame in app.dataframe if "saved" in frame.value.columns)
    assert saved["saved"].tolist() == ["analysis/abc"]
    assert saved["size"].tolist() == ["2.00 MB"]
    assert {"Run again", "Look at the directions"} <= set(buttons(app))
    assert "Run again with these settings" not in buttons(app)
    app = open_page("runs", run=[JOB], part="Config")
    config = next(frame.value for frame in app.dataframe if "setting" in frame.value.columns)
    settings = dict(zip(config["setting"], config["value"], strict=True))
    assert settings["request.settings.pooling"] == "last"
    assert "python -m emoact analyze --pooling last" in [code.value for code in app.code]


@pytest.mark.parametrize("made", ["{results}", "{results}/..", "/etc", "/" + "a" * 5000])
def test_what_a_run_claims_outside_of_its_folder_is_not_taken(results: Path, made: str) -> None:
    plant_job(results, "finished", made=(Made(path=made.format(results=results), size=1),))
    app = open_page("directions", run=[JOB])
    assert ("Close this run" in buttons(app)) == (made != "{results}")
