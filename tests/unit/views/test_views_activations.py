import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from emoact.store.summaries.measures import UnitMeasures
from emoact.views import catalogue
from emoact.views.activations import Activations, token_label
from emoact.views.heatmap import grid_chart
from emoact.views.view import Shown
from tests.support.measured import Arrays, gaussian_unit
from tests.unit.views.conftest import draw


def source(*units: UnitMeasures) -> Activations:
    return Activations(
        results="r", units=units or (gaussian_unit("anger"), gaussian_unit("neutral"))
    )


def shown(of: Activations, name: str, **asked: str | list[str]) -> tuple[Shown, list[str]]:
    """What a view shows and says for the words of an address."""
    (view,) = (each for each in catalogue.of_page("activations") if each.name == name)
    words = {key: [value] if isinstance(value, str) else value for key, value in asked.items()}
    choice = view.choice(of, words)
    found = view.show(of, choice)
    return found, list(view.answer(of, choice, found))


def drawn_of(found: Shown) -> Any:
    assert found.chart is not None
    return draw(found.chart)


@pytest.mark.parametrize("log", [False, True])
def test_a_cell_holds_its_norm_whatever_the_scale_and_a_gap_where_there_is_none(log: bool) -> None:
    chart = grid_chart(
        np.array([[1.0, 10.0], [1000.0, math.nan]]),
        columns=["<b>", "x"],
        column_title="token",
        title="L2 norm",
        hover=["position 0, <b>", "position 1, x"],
        log=log,
    )
    drawn = draw(chart)
    missing, cells = drawn.data
    assert cells.z[1][1] is None
    assert missing.z[1][1] == 1
    assert cells.z[1][0] == (3.0 if log else 1000.0)
    assert cells.customdata[1][0][0] == 1000.0
    assert cells.customdata[0][0][1] == "position 0, &lt;b&gt;"
    assert drawn.layout.xaxis.ticktext == ("&lt;b&gt;", "x")
    assert ("log scale" in drawn.layout.coloraxis.colorbar.title.text) is log


def test_tokens_of_a_chat_template_are_seen_and_stay_outside_the_content() -> None:
    unit = gaussian_unit("anger", lengths=(6, 5))
    formatted = dataclasses.replace(
        unit,
        content_spans=((2, 4), (2, 3)),
        configuration={**(unit.configuration or {}), "chat": {"template": "a"}},
    )
    of = source(formatted)
    inside, said = shown(of, "prompt", emotion="anger", prompt="anger-0")
    assert drawn_of(inside).layout.xaxis.ticktext == ("␣t2", "␣t3")
    assert "position 2" in said[1] or "position 3" in said[1]
    every, _ = shown(of, "prompt", emotion="anger", prompt="anger-0", first="true")
    labels = ("⟨␣t0⟩", "⟨␣t1⟩", "␣t2", "␣t3", "⟨␣t4⟩", "⟨␣t5⟩")
    assert drawn_of(every).layout.xaxis.ticktext == labels
    assert every.caption.endswith("Tokens in ⟨ ⟩ are of the chat template.")
    plain, _ = shown(source(unit), "prompt", emotion="anger", prompt="anger-0", first="true")
    assert not [label for label in drawn_of(plain).layout.xaxis.ticktext if "⟨" in label]


def test_spaces_of_tokens_are_seen() -> None:
    assert token_label("Ġthe") == "␣the"
    assert token_label("▁the") == "␣the"
    assert token_label("\n") == "⏎"
    assert token_label("x" * 40) == "x" * 13 + "…"


def test_the_heatmap_holds_the_medians_by_position_of_all_prompts_together() -> None:
    of = source()
    found, (said,) = shown(of, "heatmap", site=["mlp_out"], first="true", cells="raw")
    norms = [
        unit.sites["mlp_out"].l2[2, unit.offsets[sample] + 3]
        for unit in of.units
        for sample in range(unit.n_samples)
    ]
    (cells,) = drawn_of(found).data
    assert cells.customdata[2][3][0] == pytest.approx(np.median(norms))
    assert said.startswith("The most uneven layer of `mlp_out` is ")
    (relative,) = drawn_of(shown(of, "heatmap", site=["mlp_out"], first="true")[0]).data
    raw = np.array([[cell[0] for cell in row] for row in cells.customdata], dtype=float)
    drawn = np.array([[cell[0] for cell in row] for row in relative.customdata], dtype=float)
    assert drawn == pytest.approx(raw / np.nanmedian(raw, axis=1, keepdims=True), nan_ok=True)


def test_boxes_stand_in_the_order_of_emotions_and_name_every_point() -> None:
    units = gaussian_unit("neutral", n_samples=2), gaussian_unit("<b>joy</b>", n_samples=301)
    found, (said,) = shown(source(*units), "distribution", scale="log", layer="1")
    drawn = drawn_of(found)
    assert [trace.name for trace in drawn.data] == ["&lt;b&gt;joy&lt;/b&gt;", "neutral"]
    assert list(drawn.layout.yaxis.categoryarray) == ["neutral", "&lt;b&gt;joy&lt;/b&gt;"]
    many, few = drawn.data
    assert list(few.text) == ["neutral-0", "neutral-1"]
    assert (few.boxpoints, many.boxpoints) == ("all", "outliers")
    assert drawn.layout.xaxis.type == "log"
    assert said.startswith("Medians at layer 1: ")


def test_dimensions_above_ten_times_the_median_stand_above_the_line() -> None:
    def plant(arrays: Arrays) -> None:
        for sample in arrays["resid_pre"][1]:
            sample[:, 7] += 60.0

    found, (said,) = shown(source(gaussian_unit(d_model=50, plant=plant)), "dimensions", layer="1")
    points, names, level, _ = drawn_of(found).data
    typical = found.table.set_index("dimension")["typical"]
    assert points.y[7] == typical[7]
    assert list(level.y) == pytest.approx([10 * typical.median()] * 2)
    # Only points with a name have a text, which would be an element of the page.
    assert points.text is None
    assert dict(zip(names.x, names.text, strict=True))[7] == "7"
    assert len(names.x) == 3
    assert said.startswith("1 dimension of 50 is rogue at layer 1")


def test_growth_has_a_panel_for_the_factor_and_one_for_the_share() -> None:
    found, (said,) = shown(source(), "growth")
    drawn = drawn_of(found)
    titles = [annotation.text for annotation in drawn.layout.annotations]
    assert titles == ["<b>Growth factor</b>", "<b>Share of the MLP in the step</b>"]
    lines = [t for t in drawn.data if t.name == "anger" and t.x[0] is not None and t.mode != "none"]
    rows = found.table[found.table["emotion"] == "anger"]
    factor, share = (line for line in lines if line.customdata is not None)
    assert list(factor.y) == rows["growth_median"].tolist()
    assert list(share.y) == rows["mlp_share_median"].tolist()
    assert "The stream grows most from layer 0 to 1" in said


def test_a_view_of_one_model_takes_the_first_one_chosen() -> None:
    of = source(gaussian_unit("anger"), gaussian_unit("anger", folder="pythia"))
    found, _ = shown(of, "heatmap", model=["pythia", "gpt2"])
    assert set(found.table["model"]) == {"gpt2"}


def test_files_of_another_width_are_left_out_and_named() -> None:
    of = source(gaussian_unit("anger"), gaussian_unit("neutral", d_model=16))
    found, (said, _) = shown(of, "dimensions")
    assert set(found.table["emotion"]) == {"anger"}
    assert said == "Left out, as d_model is not 32: neutral."


def test_a_sentence_stands_over_the_classes() -> None:
    from emoact.host.client import Looked

    units = (gaussian_unit("anger"), gaussian_unit("neutral"))
    norms = np.arange(12, dtype=np.float64).reshape(4, 3)
    typed = Looked(
        text="- no",
        token_strings=("<s>", "a", "b"),
        content=(1, 3),
        bos={},
        random_weights=False,
        arrays={"resid_pre.l2": norms, "resid_pre.pooled": np.ones((4, 32), dtype=np.float32)},
        seconds=1.0,
    )
    of = Activations(results="r", units=units, typed=typed)
    near, said = shown(of, "sentence", layer="2")
    assert set(near.table["class"]) == {"anger", "neutral"}
    assert "At layer 2 of `resid_pre` the sentence lies closest to" in said[0]
    beside, _ = shown(of, "sentence-layers")
    own = drawn_of(beside).data[-1]
    assert (own.name, list(own.y)) == ("your sentence", norms[:, 1:].mean(axis=1).tolist())
    tokens, _ = shown(of, "sentence-tokens")
    pd.testing.assert_series_equal(tokens.table["norm"], pd.Series(norms.ravel(), name="norm"))
    view = next(each for each in catalogue.of_page("activations") if each.name == "sentence")
    command = view.command(of, view.choice(of, {})) if view.command else []
    assert command[-2:] == ["--", "- no"]
    assert view.below(of, "norms")
