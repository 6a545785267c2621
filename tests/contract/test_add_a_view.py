"""A view that is defined here, in one record, appears everywhere without another changed file."""

import io
import shlex
from pathlib import Path

import pandas as pd
import pytest

from emoact.analysis.saved import SavedAnalysis
from emoact.cli import main
from emoact.report.making import make_report
from emoact.views import catalogue
from emoact.views.analysed import MODEL, Analysed
from emoact.views.chart import Axis, Chart, Line, Panel, of_emotion
from emoact.views.view import Choice, Control, Shown, View
from tests.support.pages import ROOT, figure, open_page, words
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_scenarios import plant_scenarios
from tests.support.typed import Typed


def show(source: Analysed, choice: Choice) -> Shown:
    """Median norm of the layers of one site."""
    rows = source.rows("strength", model=choice["model"], site="resid_pre")
    table = rows[rows["emotion"] == choice["of"]][["layer", "scale"]].reset_index(drop=True)
    line = Line(x=table["layer"], y=table["scale"], colour=of_emotion(choice["of"]))
    panel = Panel(marks=[line], x=Axis(title="layer", scale="layer"), y=Axis(title="norm"))
    return Shown(
        table=table,
        chart=Chart(rows=[[panel]]),
        caption=f"Median norm by layer; {choice['model']}.",
        name="scale",
    )


SCALE = View[Analysed](
    name="scale",
    page="directions",
    title="Scale of the layers",
    question="How large are the vectors of each layer?",
    controls=(
        MODEL,
        Control(
            name="of", label="Emotion", kind="one", options=lambda source, _: source.saved.emotions
        ),
    ),
    show=show,
    answer=lambda _source, _choice, shown: [f"The largest median is {shown.table['scale'].max()}."],
    terms={"scale": "median norm of the pooled vectors"},
    in_report=lambda source: [{"model": source.saved.models[0], "of": "anger"}],
)


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SavedAnalysis:
    """A planted analysis, and a catalogue with one view more."""
    monkeypatch.setenv("EMOACT_RESULTS", str(tmp_path))
    monkeypatch.setattr(catalogue, "VIEWS", (*catalogue.VIEWS, SCALE))
    monkeypatch.chdir(ROOT)
    plant_scenarios(tmp_path)
    return plant_analysis(tmp_path)


def expected(saved: SavedAnalysis, emotion: str) -> pd.DataFrame:
    rows = saved.table("strength")
    rows = rows[(rows["site"] == "resid_pre") & (rows["emotion"] == emotion)]
    return rows[["layer", "scale"]].reset_index(drop=True)


def test_it_is_a_tab_with_controls_answer_chart_and_table(saved: SavedAnalysis) -> None:
    app = open_page("directions", view="scale", of="gratitude")
    wanted = expected(saved, "gratitude")
    pd.testing.assert_frame_equal(app.dataframe[0].value, wanted)
    spec = figure(app)
    assert spec["data"][0]["y"] == wanted["scale"].tolist()
    assert "Median norm by layer; gpt2." in spec["layout"]["annotations"][-1]["text"]
    said = words(app)
    assert f"The largest median is {wanted['scale'].max()}." in said
    assert "How large are the vectors of each layer?" in said
    assert "median norm of the pooled vectors" in said
    assert "CSV" in {button.proto.label for button in app.get("download_button")}
    assert "`of=nobody` in the address was ignored" in words(
        open_page("directions", view="scale", of="nobody")
    )


def test_its_shell_command_writes_the_table_of_the_page(
    saved: SavedAnalysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_page("directions", view="scale", of="gratitude")
    (line,) = (each.value for each in app.caption if "emoact view scale" in each.value)
    _, _, program, *typed = shlex.split(line.split("`")[1])
    monkeypatch.chdir(tmp_path)
    assert (program, main(typed)) == ("emoact", 0)
    # The last column says that the planted texts nearly repeat one another.
    written = pd.read_csv("scale.csv").drop(columns="badges")
    pd.testing.assert_frame_equal(written, app.dataframe[0].value, check_exact=True)


def test_the_command_lists_it_and_refuses_odd_values(saved: SavedAnalysis, typed: Typed) -> None:
    views = {each["view"]: each for each in typed("view", "--json").json["views"]}
    assert views["scale"]["choices"] == "model of"
    results = str(saved.path.parents[1])
    said = typed("view", "scale", "--choice", "of=joy", "--results", results, code=2)
    assert "of is 'joy'; allowed are" in said.err
    written = pd.read_csv(
        io.StringIO(typed("view", "scale", "--choice", "of=anger", "--results", results).out)
    ).drop(columns="badges")
    pd.testing.assert_frame_equal(written, expected(saved, "anger"), check_exact=True)


def test_it_is_in_the_table_of_the_documents(saved: SavedAnalysis) -> None:
    line = "| directions | `scale` | How large are the vectors of each layer? | `model`, `of` |"
    assert line in catalogue.views_markdown()


def test_the_report_has_its_section_with_its_figure(saved: SavedAnalysis, tmp_path: Path) -> None:
    made = make_report(str(saved.path.parents[1]), out=str(tmp_path / "report.html"))
    text = made.path.read_text(encoding="utf-8")
    assert SCALE.question in text
    assert "Median norm by layer; gpt2." in text
    largest = expected(saved, "anger")["scale"].max()
    assert f"The largest median is {largest}." in text
