import pytest

from emoact.measures import Measure
from emoact.stats.catalogue import labelled, measure
from emoact.views import pairs, separation, stability, strength
from tests.unit.views.conftest import Tables, draw, lines

RELATIVE = measure("strength", "cv_relative")


@pytest.fixture
def tables(tables: Tables) -> Tables:
    """The rows of one of the models."""
    return {
        name: table[table["model"] == "gpt2"] if "model" in table else table
        for name, table in tables.items()
    }


@pytest.mark.parametrize("measure", labelled("strength"), ids=lambda each: each.name)
def test_every_strength_is_drawn_at_its_value(tables: Tables, measure: Measure) -> None:
    table = tables["strength"]
    drawn = draw(strength.chart(strength.table(table, measure), measure))
    for site, emotion, trace in zip(
        ["resid_pre"] * 2 + ["mlp_out"] * 2, ["gratitude", "anger"] * 2, lines(drawn), strict=True
    ):
        rows = table[(table["site"] == site) & (table["emotion"] == emotion)]
        assert list(trace.y) == pytest.approx(rows[measure.name].tolist(), nan_ok=True)
        filled = [not symbol.endswith("-open") for symbol in trace.marker.symbol]
        assert filled == rows["significant"].tolist()


def test_the_null_band_of_the_relative_strength_is_in_its_unit(tables: Tables) -> None:
    table = tables["strength"].reset_index(drop=True)
    drawn = strength.table(table, RELATIVE)
    expected = (table["null_high"] / table["scale"]).tolist()
    assert drawn["null_high"].tolist() == pytest.approx(expected)
    assert drawn["value"].tolist() == pytest.approx((table["cv"] / table["scale"]).tolist())
    assert strength.table(table, measure("strength", "l2"))["null_high"].isna().all()


def test_stability_draws_three_cosines_in_every_panel(tables: Tables) -> None:
    table = tables["stability"]
    drawn = draw(stability.chart(table))
    rows = table[(table["emotion"] == "gratitude") & (table["site"] == "resid_pre")]
    for name, column in (
        ("split half", "split_half"),
        ("one scenario left out", "leave_one_out"),
        ("within-scenario differences", "pairwise"),
    ):
        found = [t for t in drawn.data if t.name == name and t.x[0] is not None]
        assert len(found) == 4
        assert list(found[0].y) == pytest.approx(rows[column].tolist())


def test_separation_shows_every_baseline_of_the_table(tables: Tables) -> None:
    table = separation.table(
        tables["probes"],
        tables["baselines"],
        tables["headline"],
        evaluation="cross_validated",
        probe="logistic",
    )
    dots = [t for t in draw(separation.chart(table)).data if t.error_x.array is not None]
    own = tables["baselines"]
    own = own[own["evaluation"] == "cross_validated"]
    headline = tables["headline"]
    for emotion in ("gratitude", "anger"):
        shown = {y: x for t in dots if t.name == emotion for y, x in zip(t.y, t.x, strict=True)}
        rows = own[own["emotion"] == emotion].set_index("baseline")["balanced_accuracy"]
        assert {separation.BASELINES[n]: rows[n] for n in rows.index}.items() <= shown.items()
        best = headline[
            (headline["emotion"] == emotion) & (headline["evaluation"] == "cross_validated")
        ].set_index("site")["balanced_accuracy"]
        assert shown["probe, residual stream"] == best["resid_pre"]
        assert shown["probe, MLP output"] == best["mlp_out"]


def test_every_two_emotions_are_drawn_with_their_interval(tables: Tables) -> None:
    table = pairs.table(tables["pairs"], "cross_validated")
    dots = [t for t in draw(pairs.chart(table)).data if t.error_x.array is not None]
    assert len(dots) == len(table) == 2
    for dot, row in zip(dots, table.itertuples(), strict=True):
        assert list(dot.y) == [f"{row.emotion_a} – {row.emotion_b}"]
        assert list(dot.x) == [row.balanced_accuracy]
