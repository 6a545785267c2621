import math
from typing import Any

import pandas as pd
import pytest

from emoact.stats.across.geometry import HEADLINE
from emoact.stats.settings import AnalysisSettings
from emoact.views import by_layer, layer_map
from emoact.views.across_answer import geometry_sentences, matchings, prompts_sentence
from emoact.views.chart import beyond_sentence
from tests.unit.views.conftest import Tables, draw, lines


@pytest.mark.parametrize("measure", list(by_layer.measures()))
def test_models_are_compared_at_the_values_of_the_table(tables: Tables, measure: str) -> None:
    across, similarity = (
        t[t["site"] == "resid_pre"] for t in (tables["across"], tables["similarity"])
    )
    drawn = by_layer.table(across, similarity, measure)
    picture = draw(by_layer.chart(drawn, measure))
    of_emotion = measure not in by_layer.WHOLE
    rows = (
        across[across["emotion"] == "gratitude"][measure]
        if of_emotion
        else similarity[similarity["measure"] == measure]["value"]
    )
    curves = lines(picture)
    assert len(curves) == (2 if of_emotion else 1)
    # No line goes beyond 1; values that do are crosses.
    assert list(curves[0].y) == pytest.approx(rows.clip(-1, 1).tolist(), nan_ok=True)
    assert drawn["null_low"].notna().any()


def test_the_null_of_a_score_correlation_is_that_of_the_re_paired_prompts(tables: Tables) -> None:
    across = tables["across"][tables["across"]["site"] == "resid_pre"]
    drawn = by_layer.table(across, tables["similarity"], "score_corr")
    middle = (drawn["null_low"] + drawn["null_high"]) / 2
    assert middle.tolist() == pytest.approx(across["score_corr_null"].tolist())
    assert (drawn["null_high"] >= drawn["null_low"]).all()


def test_a_correlation_over_the_ceiling_flattens_nothing(tables: Tables) -> None:
    across = tables["across"][tables["across"]["site"] == "resid_pre"].copy()
    across["score_corr"] = across["score_corr_raw"]
    across.loc[across.index[1], "score_corr"] = 9.0
    drawn = by_layer.table(across, tables["similarity"], "score_corr")
    assert drawn["value"].max() == 9.0
    picture = draw(by_layer.chart(drawn, "score_corr"))
    assert picture.layout.yaxis.range[1] < 2
    assert by_layer.beyond(drawn).sum() == 1
    cells = tables["maps"][tables["maps"]["measure"] == "rsa"].head(12).copy()
    cells.loc[cells.index[0], "value"] = 9.0
    cells.loc[cells.index[1], "value"] = math.nan
    picture = draw(layer_map.chart(cells, "score_corr", tables["similarity"].head(0)))
    assert (picture.layout.coloraxis.cmin, picture.layout.coloraxis.cmax) == (-1, 1)
    # A cell without a value is not the colour of 0.
    missing = picture.data[0]
    assert {trace.name for trace in picture.data} >= {"no value", "best match"}
    assert [v for row in missing.z for v in row].count(1) == 1
    assert missing.colorscale[0][1].startswith("rgba(90")
    assert not missing.showscale


@pytest.mark.parametrize("measure", ["score_corr", HEADLINE])
def test_a_correlation_above_one_is_a_cross_at_one_and_said(tables: Tables, measure: str) -> None:
    across = tables["across"][tables["across"]["site"] == "resid_pre"].copy()
    across[measure] = 0.5
    across.loc[across.index[1], measure] = 1.2
    drawn = by_layer.table(across, tables["similarity"], measure)
    assert drawn["value"].max() == 1.2
    picture = draw(by_layer.chart(drawn, measure))
    heights = [y for trace in picture.data for y in trace.y if y is not None]
    assert max(y for y in heights if math.isfinite(y)) == 1.0
    (cross,) = (
        t
        for t in picture.data
        if t.mode == "markers" and t.marker.symbol == "x" and t.x[0] is not None
    )
    assert (list(cross.y), cross.customdata[0][0]) == ([1.0], 1.2)
    assert "1 estimate lies beyond 1" in beyond_sentence(drawn["value"])
    assert beyond_sentence(drawn["value"].iloc[:1]) == ""


def test_a_map_has_the_first_model_along_x(tables: Tables) -> None:
    maps = tables["maps"]
    cells = maps[(maps["measure"] == "rsa") & (maps["site"] == "mlp_out")]
    picture = draw(layer_map.chart(cells, "rsa", tables["similarity"].head(0)))
    trace = picture.data[0]
    assert (list(trace.x), list(trace.y)) == ([0, 1, 2], [0, 1, 2, 3])
    cell = cells[(cells["layer_a"] == 1) & (cells["layer_b"] == 3)]["value"].item()
    assert trace.z[3][1] == pytest.approx(cell)


def test_a_map_marks_the_cells_that_no_correlation_can_have(tables: Tables) -> None:
    maps = tables["maps"]
    cells = maps[(maps["measure"] == "score_corr") & (maps["site"] == "mlp_out")].copy()
    cells = cells[cells["emotion"] == "anger"].assign(value=0.4)
    cells.loc[cells.index[1], "value"] = 1.3
    picture = draw(layer_map.chart(cells, "score_corr", tables["similarity"].head(0)))
    (cross,) = (
        t for t in picture.data if t.name == "estimate beyond 1, drawn at 1" and t.x[0] is not None
    )
    far = cells.iloc[1]
    assert (list(cross.x), list(cross.y)) == ([far["layer_a"]], [far["layer_b"]])
    assert cross.customdata[0][0] == 1.3


def test_a_map_greys_what_chance_gives_and_marks_matched_layers_and_best_matches() -> None:
    pair = {"model_a": "gpt2", "model_b": "pythia-160m", "site": "resid_pre", "measure": "cka"}
    values = [[0.5, 0.02], [0.3, 0.4], [-0.01, 0.9]]
    cells = pd.DataFrame(
        {**pair, "emotion": "", "layer_a": a, "layer_b": b, "value": values[b][a]}
        for a in range(2)
        for b in range(3)
    )
    # Chance reaches 0.01 + 1.96 * 0.01 at one matched layer, and less at the other.
    similarity = pd.DataFrame(
        {**pair, "layer_a": [0, 1], "layer_b": [0, 2], "null_mean": [0.0, 0.01], "null_sd": 0.01}
    )
    picture = draw(layer_map.chart(cells, "cka", similarity))
    drawn = {trace.name: trace for trace in picture.data}
    assert list(map(list, drawn["no value"].z)) == [[None, 1], [None, None], [1, None]]
    matched, best = drawn["same relative depth"], drawn["best match"]
    assert (list(matched.x), list(matched.y)) == ([0, 1], [0, 2])
    assert (list(best.x), list(best.y)) == ([0, 1], [0, 2])
    assert (picture.layout.coloraxis.cmin, picture.layout.coloraxis.cmax) == (0, 0.9)


def shared(**columns: Any) -> pd.DataFrame:
    """Three layers of one emotion that both models show at the last two."""
    known = {
        "model_a": "gpt2",
        "model_b": "pythia-160m",
        "site": "resid_pre",
        "emotion": "anger",
        "layer_a": [0, 1, 2],
        "layer_b": [0, 1, 3],
        HEADLINE: [math.nan, 0.9, 1.0],
        f"{HEADLINE}_low": [math.nan, 0.8, 0.9],
        f"{HEADLINE}_high": [math.nan, 1.0, 1.1],
        f"{HEADLINE}_p_max": [math.nan, 0.01, 0.01],
        f"{HEADLINE}_other": [math.nan, 0.7, 0.7],
        f"{HEADLINE}_rank": [math.nan, 1 / 24, 1 / 24],
        f"{HEADLINE}_p_match": 1 / 24,
        f"{HEADLINE}_words_a": [math.nan, 0.5, 0.5],
        f"{HEADLINE}_words_b": math.nan,
        f"{HEADLINE}_partial": [math.nan, 0.6, 0.6],
        f"{HEADLINE}_partial_p_max": [math.nan, 0.02, 0.3],
    }
    return pd.DataFrame({**known, **{f"{HEADLINE}{name}": each for name, each in columns.items()}})


def sentences(across: pd.DataFrame, *, n_classes: int = 4, n_pairs: int = 1) -> list[str]:
    tried = matchings(across, alpha=0.05, n_classes=n_classes, n_pairs=n_pairs)
    return geometry_sentences(across, tried)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({}, "**anger** (beyond chance at 2 of 2): Agreement **0.95** [0.85, 1.05]"),
        ({}, "Corrected p ≤ 0.05 at 2 of 2 layers where both models show it, smallest 0.010."),
        ({}, "of the 24 matchings the true one agrees better than chance (p = 0.042"),
        ({"_p_match": 0.25}, "it is not shown that the same classes lie near one another"),
        ({"_p_max": 0.4}, "**anger** (not beyond chance): Agreement **0.95** [0.85, 1.05]"),
        ({"": math.nan}, "at 2 of them the agreement is too noisy for a value"),
        ({"_p_max": math.nan}, "no emotion is significant in both models"),
        ({}, "random words for the first model 0.50"),
        ({}, "1 of 2 figures stay beyond relabelled data (median agreement 0.60)"),
        ({"_partial_p_max": 0.3}, "no emotion is shown to be shared beyond words"),
    ],
)
def test_the_answer_says_what_is_shared_and_what_is_not(columns: dict[str, Any], said: str) -> None:
    assert said in " ".join(sentences(shared(**columns)))


def test_two_classes_have_no_figure_about_emotion() -> None:
    (said,) = sentences(shared(), n_classes=2)
    assert "a geometry needs three classes" in said


def test_four_classes_of_three_models_cannot_show_that_the_same_classes_lie_alike() -> None:
    said = sentences(shared(_p_match=3 / 24), n_pairs=3)
    assert "cannot be shown with 4 classes and 3 pairs of models: the smallest p is 3/24" in said[2]


@pytest.mark.parametrize(
    ("score_corr", "said"),
    [
        ([0.2, 0.4, 0.6], "score correlation 0.40 (anger)"),
        ([1.7, 1.8, 1.9], "score correlation without a value, its reliability is near 0 (anger)"),
        ([math.nan] * 3, "score correlation – (anger)"),
    ],
)
def test_a_correction_by_almost_nothing_is_no_figure(score_corr: list[float], said: str) -> None:
    whole = pd.DataFrame({"measure": ["cka", "cka_within", "rsa"], "value": [0.8, 0.7, 0.6]})
    sentence = prompts_sentence(shared().assign(score_corr=score_corr), whole)
    assert said in sentence
    assert "need not be about emotion" in sentence


def test_controls_are_drawn_beside_the_headline(tables: Tables) -> None:
    drawn = by_layer.table(shared(), tables["similarity"], HEADLINE)
    assert drawn["partial"].tolist() == pytest.approx([math.nan, 0.6, 0.6], nan_ok=True)
    names = {trace.name for trace in draw(by_layer.chart(drawn, HEADLINE)).data}
    assert {"classes matched wrongly", "without words and length"} <= names
    assert "second model and random words" not in names


@pytest.mark.parametrize(
    ("measure", "said"),
    [
        (HEADLINE, "500 relabellings"),
        ("raw_cos", "500 relabellings"),
        ("score_corr", "prompts re-paired 200 times"),
        ("procrustes", "prompts re-paired 100 times"),
    ],
)
def test_a_caption_has_the_draws_of_the_null_that_is_drawn(measure: str, said: str) -> None:
    assert by_layer.draws_words(AnalysisSettings(), {"measure": measure}) == said
