"""Two configurations of one model: beside each other in views, and their analyses compared."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoact.analysis.saved import SavedAnalysis
from emoact.numbers import significant
from emoact.store.reading import read
from tests.support.pages import figure, open_page, words
from tests.support.planted_analysis import plant_analysis
from tests.support.planted_scenarios import FAST, plant_scenarios

PLAIN, OTHER = "gpt2", "gpt2~~no-bos"
SHOWN = "GPT-2 · no BOS"
NO_BOS = {
    "model_name": PLAIN,
    "bos": {"policy": "none", "prepended": False, "token": None, "token_id": None},
}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both configurations, analysed together and each alone."""
    folder = tmp_path_factory.mktemp("both") / "results"
    plant_scenarios(folder, PLAIN)
    plant_scenarios(folder, OTHER, provenance=NO_BOS)
    plant_analysis(folder, models=(PLAIN,))
    plant_analysis(folder, dataclasses.replace(FAST, seed=1), models=(OTHER,))
    plant_analysis(folder, dataclasses.replace(FAST, allow_mixed=True))
    return folder


@pytest.fixture(autouse=True)
def _copied(both: Path, results: Path) -> None:
    shutil.copytree(both, results, dirs_exist_ok=True)


def analysis_of(results: Path, *models: str) -> SavedAnalysis:
    found = [SavedAnalysis.open(path) for path in (results / "analysis").iterdir()]
    return next(each for each in found if each.models == models)


@pytest.mark.parametrize("view", ["separation", "strength", "stability"])
def test_a_second_configuration_is_drawn_beside_the_first(results: Path, view: str) -> None:
    saved = analysis_of(results, PLAIN, OTHER)
    alone = open_page("directions", view=view, analysis=saved.id, model=PLAIN)
    app = open_page("directions", view=view, analysis=saved.id, model=PLAIN, beside=OTHER)
    drawn = {"separation": "balanced_accuracy", "strength": "value", "stability": "split_half"}
    table = app.dataframe[0].value
    assert set(table["model"]) == {PLAIN, OTHER}
    own = table[(table["model"] == OTHER) & table["layer"].notna()]
    part = own[(own["emotion"] == "anger") & (own["site"] == "resid_pre")]
    values = part[drawn[view]].to_numpy(dtype=float)
    lines = [
        np.array(trace["y"], dtype=float)
        for trace in figure(app)["data"]
        if trace.get("name") == SHOWN and len(trace["x"]) == len(values)
    ]
    assert any(np.allclose(line, values, equal_nan=True) for line in lines)
    if view == "separation":
        # Below, every emotion has the probes of its own.
        points = [t["x"] for t in figure(app)["data"] if "error_x" in t and t["name"] == SHOWN]
        whole = table[(table["model"] == OTHER) & table["classifier"].str.startswith("probe ")]
        by_emotion = whole.groupby("emotion")["balanced_accuracy"].agg(sorted)
        assert len(set(map(tuple, by_emotion))) > 1
        assert sorted(map(sorted, points)) == sorted(by_emotion)
    # The panels of the first model keep their marks.
    assert len(figure(alone)["data"]) < len(figure(app)["data"])
    assert f"**{SHOWN}:**" in words(app)


@pytest.mark.parametrize(
    ("page", "view", "choice"),
    [
        ("distances", "cosines", {"measure": "top_share"}),
        ("directions", "pairs", {}),
        ("distances", "matrix", {}),
        ("distances", "prompts", {}),
    ],
)
def test_distances_of_a_second_configuration_are_drawn_with_those_of_the_first(
    results: Path, page: str, view: str, choice: dict[str, str]
) -> None:
    asked = {"view": view, "analysis": analysis_of(results, PLAIN, OTHER).id, **choice}
    alone = figure(open_page(page, **asked, model=OTHER))
    app = open_page(page, **asked, model=PLAIN, beside=OTHER)
    assert set(app.dataframe[0].value["model"]) == {PLAIN, OTHER}
    assert SHOWN in words(app)
    values = {"cosines": "y", "pairs": "x", "matrix": "z", "prompts": "x"}[view]

    def drawn(chart: dict[str, Any]) -> list[list[float]]:
        found = [np.ravel(t[values]) for t in chart["data"] if t.get("hovertemplate")]
        return [np.array(each, dtype=float).tolist() for each in found if len(each) > 2]

    both = drawn(figure(app))
    for line in drawn(alone):
        assert any(np.array_equal(line, other, equal_nan=True) for other in both)


def test_an_analysis_of_one_model_asks_for_no_second(results: Path) -> None:
    app = open_page("directions", view="separation", analysis=analysis_of(results, PLAIN).id)
    assert "Beside" not in [box.label for box in app.selectbox]


def test_two_analyses_are_compared_in_settings_verdicts_and_layers(results: Path) -> None:
    one, other = analysis_of(results, PLAIN), analysis_of(results, OTHER)
    app = open_page("runs", compare=[one.id, other.id])
    rows = app.dataframe[-1].value
    settings = rows[(rows["about"] == "setting") & (rows["compared"] == "differs")]
    assert settings[["what", "first", "second"]].to_numpy().tolist() == [["seed", "0", "1"]]
    # The models have other names, and are what is compared.
    assert set(rows["model"]) == {"", "GPT-2"}
    files = rows[rows["about"] == "file"]
    assert files["first"].tolist() == [each.sha256[:12] for each in one.inputs]
    assert set(files["compared"]) == {"differs"}
    strength = one.table("strength")
    own = strength[(strength["emotion"] == "anger") & (strength["site"] == "resid_pre")]
    able = own[own["significant"].astype(bool) & (own["layer"] > 0)]
    best = able.loc[able["auroc"].idxmax()]
    cell = rows[
        (rows["about"] == "best layer")
        & (rows["emotion"] == "anger")
        & (rows["site"] == "residual stream")
    ]
    assert cell["first"].tolist() == [f"{best['layer']} (AUROC {best['auroc']:.2f})"]
    assert "Different are 1 of" in words(app)
    assert app.query_params["compare"] == [one.id, other.id]
    same = open_page("runs", compare=[one.id, "nonsense"])
    assert "Different are" not in words(same)
    assert "`compare=nonsense` in the address was ignored" in words(same)


def test_tokens_of_a_prompt_lie_along_a_direction_made_without_its_scenario(results: Path) -> None:
    app = open_page(
        "activations",
        view="direction",
        model=[PLAIN],
        site=["resid_pre"],
        emotion="anger",
        prompt="anger-3",
        towards="gratitude",
        layer="2",
    )
    files = {
        label: read(results / f"activations/{PLAIN}/activations_{label}.pkl")
        for label in ("anger", "gratitude", "neutral")
    }

    def mean(label: str, sample: int) -> np.ndarray:
        rows = files[label].residual_stream[2][sample]
        found: np.ndarray = np.asarray(rows[1:], dtype=np.float64).mean(axis=0)
        return found

    others = [at for at in range(12) if at != 3]
    origin = np.mean([mean("neutral", at) for at in others], axis=0)
    direction = np.mean([mean("gratitude", at) for at in others], axis=0) - origin
    direction /= np.linalg.norm(direction)
    tokens = np.asarray(files["anger"].residual_stream[2][3][1:], dtype=np.float64)
    table = app.dataframe[0].value
    assert table["token"].tolist() == ["a", "b"]
    assert table["projection"].tolist() == pytest.approx(((tokens - origin) @ direction).tolist())
    own = (mean("anger", 3) - origin) @ direction
    share = np.mean([(mean("neutral", at) - origin) @ direction <= own for at in others])
    said = words(app)
    assert f"{100 * share:.2g} % of 11 prompts of neutral" in said
    spread = np.std([(mean("neutral", at) - origin) @ direction for at in others], ddof=1)
    assert f"projects {significant(own)} model units" in said
    assert f"({significant(own / spread)} standard deviations of the neutral prompts)" in said
