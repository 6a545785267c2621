import math
from collections.abc import Sequence

import numpy as np
import pytest

from emoact.errors import RequestError
from emoact.positions import NormKind, position_norms
from emoact.stats.norms.tables import layer_table, sink_table
from emoact.store.summaries.measures import UnitMeasures
from tests.support.measured import measured_unit


def samples(n_prompts: int = 7, n_layers: int = 3) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 9, n_prompts)
    return [
        [rng.normal(size=(length, 16)).astype(np.float32) for length in lengths]
        for _ in range(n_layers)
    ]


def unit_of(layers: list[list[np.ndarray]], content_start: int = 1) -> UnitMeasures:
    return measured_unit({"resid_pre": layers}, content_start=content_start)


@pytest.mark.parametrize(
    ("kind", "order", "scale"), [("l2", 2, 1.0), ("l1", 1, 1.0), ("rms", 2, 1 / math.sqrt(16))]
)
def test_position_norms_agree_with_linalg(kind: NormKind, order: int, scale: float) -> None:
    sample = np.random.default_rng(1).normal(size=(1300, 16)).astype(np.float32)
    expected = np.linalg.norm(sample.astype(np.float64), ord=order, axis=1) * scale
    np.testing.assert_allclose(position_norms(sample, kind), expected, rtol=1e-13)


def test_sums_are_kept_in_float64_where_float32_would_overflow() -> None:
    sample = np.full((1, 4), 3e38, dtype=np.float32)
    assert position_norms(sample)[0] == pytest.approx(6e38, rel=1e-6)


def test_nan_and_infinity_reach_the_statistics_and_are_counted() -> None:
    layers = samples()
    layers[1][2][1, 0] = np.nan
    for sample in layers[2][:2]:
        sample[1, 0] = -np.inf
    rows = layer_table(unit_of(layers), "resid_pre").set_index(["layer", "position"])
    assert math.isnan(rows.loc[(1, "content"), "mean"])
    assert math.isnan(rows.loc[(1, "content"), "median"])
    assert rows.loc[(1, "content"), ["n", "n_nonfinite"]].tolist() == [7, 1]
    assert rows.loc[(1, "first"), "n_nonfinite"] == 0
    assert math.isfinite(rows.loc[(0, "content"), "mean"])
    assert rows.loc[(2, "content"), ["mean", "n_nonfinite"]].tolist() == [math.inf, 2]


def test_prompt_without_content_is_left_out_of_n() -> None:
    rows = layer_table(
        unit_of([[np.ones((1, 4), np.float32), np.ones((3, 4), np.float32)]]), "resid_pre"
    )
    assert rows["n"].tolist() == [2, 1]
    assert rows["mean"][1] == pytest.approx(2.0)


def test_unit_without_prompts_gives_nan_rows() -> None:
    rows = layer_table(unit_of([[]]), "resid_pre")
    assert rows["n"].tolist() == [0, 0]
    assert rows["mean"].isna().all()


@pytest.mark.parametrize("content_start", [0, 1])
def test_first_token_ratio_is_the_median_over_prompts(content_start: int) -> None:
    def sample(first: float, rest: Sequence[float]) -> np.ndarray:
        return np.array([[first, 0.0], *([value, 0.0] for value in rest)], dtype=np.float32)

    layers = [[sample(100, [1, 2, 9]), sample(30, [1, 1, 1]), sample(8, [2, 2])]]
    row = sink_table(unit_of(layers, content_start), "resid_pre").iloc[0]
    assert row["ratio"] == pytest.approx(np.median([50, 30, 4]))
    assert row["n"] == 3


def test_first_token_ratio_of_zeros_is_nan() -> None:
    assert sink_table(unit_of([[np.zeros((3, 2), np.float32)]]), "resid_pre")["ratio"].isna().all()


def test_unknown_norm_is_refused_by_name() -> None:
    with pytest.raises((RequestError, TypeError), match="l3"):
        position_norms(np.ones((1, 2)), "l3")  # type: ignore[arg-type]
