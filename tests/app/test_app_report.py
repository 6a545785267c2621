import os
import shutil
from pathlib import Path

import pytest

from emoact.report.making import make_report
from tests.support.pages import open_page, words
from tests.support.planted_runs import JOB, plant_job


def test_an_empty_folder_has_nothing_to_report_on() -> None:
    app = open_page("report")
    assert "There are no activations in" in app.markdown[0].value
    assert app.button(key="make").disabled


def test_a_markdown_report_is_offered_with_its_figures(planted: Path) -> None:
    made = make_report(planted, form="md")
    app = open_page("report")
    assert app.selectbox(key="report").value == made.path.name
    assert app.get("download_button")[0].proto.label == "Download with its figures"


def test_a_report_in_the_making_is_found_again_after_a_refresh(planted: Path) -> None:
    lock = plant_job(planted, "running", kind="report")
    assert lock is not None
    app = open_page("report")
    assert app.query_params["run"] == JOB
    lock.close()
    app = open_page("report", run="never")
    assert "`run=never` in the address was ignored: there is no such report run" in words(app)


@pytest.mark.parametrize("odd", ["link", "folder of links", "pipe", "name"])
def test_a_figure_outside_of_the_results_is_left(planted: Path, tmp_path: Path, odd: str) -> None:
    made = make_report(planted, form="md")
    secret = tmp_path / "private" / "secret.svg"
    secret.parent.mkdir()
    secret.write_text("a private file")
    figure = made.files[0]
    if odd == "name":
        figure.rename(os.fsdecode(os.fsencode(figure.parent) + b"/\xff.svg"))
    elif odd == "folder of links":
        shutil.rmtree(figure.parent)
        figure.parent.symlink_to(secret.parent)
    else:
        figure.unlink()
        os.mkfifo(figure) if odd == "pipe" else figure.symlink_to(secret)
    app = open_page("report")
    boxes = [error.value for error in app.error]
    if odd == "folder of links":
        assert boxes == []
    else:
        said = {"link": "symbolic link", "pipe": "named pipe", "name": "no name of a figure"}[odd]
        assert any(said in box for box in boxes), boxes
        assert not app.get("download_button")


@pytest.mark.parametrize("name", ["report.html", "report.md"])
def test_a_very_long_report_is_offered_and_not_shown(planted: Path, name: str) -> None:
    (planted / "reports").mkdir()
    with (planted / "reports" / name).open("wb") as file:
        file.truncate(10_000_000)
    app = open_page("report")
    assert app.get("download_button")
    assert "more than 8.00 MB are not shown" in words(app)
    assert not [*app.get("code"), *app.get("iframe")]


@pytest.mark.parametrize("name", ["report.html", "report.md"])
def test_a_pipe_in_place_of_a_report_is_not_listed(planted: Path, name: str) -> None:
    (planted / "reports").mkdir()
    os.mkfifo(planted / "reports" / name)
    app = open_page("report")
    assert not app.selectbox
