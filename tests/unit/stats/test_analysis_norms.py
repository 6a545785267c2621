from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from emoact.errors import RequestError
from emoact.positions import NORM_KINDS, NormKind, position_norms
from emoact.stats.norms import norms


@dataclass(frozen=True, kw_only=True)
class FakeUnit:
    layers: Sequence[Sequence[np.ndarray]]
    content_start: int = 1
    model_name: str = "gpt2"
    emotion: str = "anger"

    @property
    def n_layers(self) -> int:
        return len(self.layers)

    def site(self, site: str) -> Sequence[Sequence[np.ndarray]]:
        return self.layers


def make_unit(content_start: int = 1, n_prompts: int = 7, n_layers: int = 3) -> FakeUnit:
    rng = np.random.default_rng(0)
    lengths = rng.integers(2, 9, n_prompts)
    layers = [
        [rng.normal(size=(length, 16)).astype(np.float32) for length in lengths]
        for _ in range(n_layers)
    ]
    return FakeUnit(layers=layers, content_start=content_start)


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


@pytest.mark.parametrize("content_start", [0, 1])
@pytest.mark.parametrize("kind", NORM_KINDS)
def test_rows_agree_with_numpy(content_start: int, kind: NormKind) -> None:
    unit = make_unit(content_start)
    rows = norms.layer_norms(unit, "mlp_out", kind)
    assert [(row.layer, row.position) for row in rows] == [
        (layer, position) for layer in range(3) for position in ("first", "content")
    ]
    for row in rows:
        samples = unit.layers[row.layer]
        order = 1 if kind == "l1" else 2
        scale = 1 / math.sqrt(16) if kind == "rms" else 1.0
        start, stop = (0, 1) if row.position == "first" else (content_start, None)
        values = np.array(
            [
                np.linalg.norm(s.astype(np.float64)[start:stop], ord=order, axis=1).mean() * scale
                for s in samples
            ]
        )
        assert (row.model, row.emotion, row.site, row.norm) == ("gpt2", "anger", "mlp_out", kind)
        assert row.mean == pytest.approx(values.mean(), rel=1e-12)
        assert row.median == pytest.approx(np.median(values), rel=1e-12)
        assert row.q25 == pytest.approx(np.percentile(values, 25), rel=1e-12)
        assert row.q75 == pytest.approx(np.percentile(values, 75), rel=1e-12)
        assert (row.n, row.n_nonfinite) == (7, 0)


def test_row_has_the_columns_of_the_command_line() -> None:
    row = norms.layer_norms(make_unit())[0].to_row()
    columns = "model emotion site layer norm position mean median q25 q75 n"
    assert list(row)[:11] == columns.split()
    assert all(isinstance(value, str | int | float) for value in row.values())


def test_table_holds_every_unit_and_site() -> None:
    rows = norms.norm_table([make_unit(), make_unit()])
    assert len(rows) == 2 * 2 * 3 * 2
    assert {row.site for row in rows} == {"resid_pre", "mlp_out"}


def test_nan_reaches_the_statistics_and_is_counted() -> None:
    unit = make_unit()
    unit.layers[1][2][1, 0] = np.nan
    rows = {(row.layer, row.position): row for row in norms.layer_norms(unit)}
    assert math.isnan(rows[1, "content"].mean)
    assert math.isnan(rows[1, "content"].median)
    assert rows[1, "content"].n_nonfinite == 1
    assert rows[1, "content"].n == 7
    assert rows[1, "first"].n_nonfinite == 0
    assert math.isfinite(rows[0, "content"].mean)


def test_infinity_is_counted_without_a_crash() -> None:
    unit = make_unit()
    for sample in unit.layers[0][:2]:
        sample[1, 0] = -np.inf
    row = norms.layer_norms(unit)[1]
    assert row.mean == math.inf
    assert row.n_nonfinite == 2


def test_prompt_without_content_is_left_out_of_n() -> None:
    unit = FakeUnit(layers=[[np.ones((1, 4), np.float32), np.ones((3, 4), np.float32)]])
    first, content = norms.layer_norms(unit)
    assert (first.n, content.n) == (2, 1)
    assert content.mean == pytest.approx(2.0)
    values = norms.prompt_norms(unit.layers[0], 1)
    assert math.isnan(values[0])
    assert values[1] == pytest.approx(2.0)


def test_unit_without_prompts_gives_nan_rows() -> None:
    rows = norms.layer_norms(FakeUnit(layers=[[]]))
    assert [row.n for row in rows] == [0, 0]
    assert all(math.isnan(row.mean) for row in rows)


def test_include_first_takes_the_sink_in() -> None:
    sample = np.array([[100.0, 0.0], [1.0, 0.0], [3.0, 0.0]], dtype=np.float32)
    assert norms.prompt_norms([sample], 1)[0] == pytest.approx(2.0)
    assert norms.prompt_norms([sample], 1, include_first=True)[0] == pytest.approx(104 / 3)


@pytest.mark.parametrize("content_start", [0, 1])
def test_first_token_ratio_is_the_median_over_prompts(content_start: int) -> None:
    def sample(first: float, rest: Sequence[float]) -> np.ndarray:
        return np.array([[first, 0.0], *([value, 0.0] for value in rest)], dtype=np.float32)

    unit = FakeUnit(
        layers=[[sample(100, [1, 2, 9]), sample(30, [1, 1, 1]), sample(8, [2, 2])]],
        content_start=content_start,
    )
    (row,) = norms.first_token_ratios(unit)
    assert row.ratio == pytest.approx(np.median([50, 30, 4]))
    assert row.n == 3


def test_first_token_ratio_of_zeros_is_nan() -> None:
    (row,) = norms.first_token_ratios(FakeUnit(layers=[[np.zeros((3, 2), np.float32)]]))
    assert math.isnan(row.ratio)


def test_samples_stay_unchanged() -> None:
    unit = make_unit()
    before = [sample.copy() for layer in unit.layers for sample in layer]
    for sample in (sample for layer in unit.layers for sample in layer):
        sample.flags.writeable = False
    norms.norm_table([unit])
    after = [sample for layer in unit.layers for sample in layer]
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_attention_patterns_are_refused() -> None:
    with pytest.raises(RequestError, match="no norms"):
        norms.layer_norms(make_unit(), "pattern")


def test_unknown_norm_is_refused_by_name() -> None:
    with pytest.raises((RequestError, TypeError), match="l3"):
        position_norms(np.ones((1, 2)), "l3")  # type: ignore[arg-type]
