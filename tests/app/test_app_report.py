import os
import shutil
from pathlib import Path

import pytest

from emoact.jobs.progress import list_runs
from emoact.report.making import make_report
from tests.app.conftest import ended
from tests.support.pages import open_page, words
from tests.support.planted_runs import JOB, plant_job


def test_an_empty_folder_has_nothing_to_report_on() -> None:
    app = open_page("report")
    assert "There are no activations in" in app.markdown[0].value
    assert app.button(key="make").disabled


def test_the_button_makes_a_report_in_a_run_of_its_own(planted: Path) -> None:
    earlier = make_report(planted, out=planted / "reports" / "zzz-earlier.html").path
    app = open_page("report", lang="ja")
    assert app.selectbox(key="report").value == earlier.name
    assert "4 files of `gpt2`" in app.markdown[0].value
    app.button(key="make").click().run()
    ended(planted)
    (run,) = list_runs(planted)
    assert (run.kind, run.state) == ("report", "finished")
    app.run()
    (report,) = (path for path in (planted / "reports").iterdir() if path != earlier)
    # The new one is opened, whatever was open before.
    assert app.selectbox(key="report").value == report.name
    assert '<html lang="ja">' in report.read_text()
    assert len(app.get("download_button")) == 1
    assert len(app.get("iframe")) == 1


def test_an_odd_language_in_the_address_is_ignored_with_a_note() -> None:
    app = open_page("report", lang="fr")
    assert "`lang=fr` in the address was ignored; allowed are en, ja" in words(app)


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


def test_a_file_among_the_reports_is_shown_in_a_frame_that_may_do_nothing(planted: Path) -> None:
    foreign = planted / "reports" / "foreign.html"
    foreign.parent.mkdir()
    foreign.write_text('</iframe><script>parent.hacked = 1</script>"><b>')
    shown = open_page("report").get("iframe")[0].proto.srcdoc
    assert shown.count("<iframe") == 1
    assert '<iframe sandbox="" ' in shown
    assert "default-src 'none'" in shown
    # Must not happen: a tag of the file outside the value of the attribute.
    assert "<script" not in shown
    assert "<b>" not in shown


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
