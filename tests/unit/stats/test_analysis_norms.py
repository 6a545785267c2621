import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from emoact.errors import RequestError
from emoact.positions import NormKind, position_norms
from emoact.stats.norms import tables
from emoact.stats.norms.difference import difference_table
from emoact.stats.norms.tables import layer_table, sink_table
from emoact.store.summaries.measures import UnitMeasures
from tests.support.measured import Arrays, gaussian_unit, measured_unit


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


def unit_with_arrays() -> tuple[UnitMeasures, Arrays]:
    kept: list[Arrays] = []
    unit = gaussian_unit(plant=kept.append, n_samples=7, d_model=9)
    return unit, kept[0]


@pytest.mark.parametrize("kind", ["l2", "l1", "rms"])
def test_rows_by_position_prompt_and_token_agree_with_numpy(kind: NormKind) -> None:
    unit, arrays = unit_with_arrays()
    order, scale = (1, 1.0) if kind == "l1" else (2, 1 / 3 if kind == "rms" else 1.0)

    def norms(sample: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.norm(sample.astype(np.float64), ord=order, axis=1) * scale)

    samples = arrays["mlp_out"][2]
    found = tables.position_table(unit, "mlp_out", kind)
    rows = found[found["layer"] == 2]
    for _, row in rows.iterrows():
        at = row["position"]
        values = [norms(sample)[at] for sample in samples if len(sample) > at]
        assert row["n"] == len(values)
        assert row["median"] == pytest.approx(np.median(values), rel=1e-9)
        assert row["q75"] == pytest.approx(np.quantile(values, 0.75), rel=1e-9)
    assert rows["position"].tolist() == list(range(max(map(len, samples))))

    rows = tables.prompt_table(unit, "mlp_out", kind, layer=2)
    assert rows["mean"].tolist() == pytest.approx(
        [norms(sample)[1:].mean() for sample in samples], rel=1e-9
    )
    assert rows["tokens"].tolist() == [len(sample) - 1 for sample in samples]

    rows = tables.token_table(unit, "mlp_out", kind, prompt="anger-3", layer=2)
    assert rows["value"].tolist() == pytest.approx(norms(samples[3]).tolist(), rel=1e-9)
    largest = int(np.abs(samples[3][4]).argmax())
    assert rows["top1"][4].startswith(f"{largest}: ")


def test_growth_agrees_with_numpy() -> None:
    unit, arrays = unit_with_arrays()
    row = tables.growth_table(unit).iloc[1]
    resid, mlp = arrays["resid_pre"], arrays["mlp_out"]
    factors, shares = [], []
    for before, after, part in zip(resid[1], resid[2], mlp[1], strict=True):
        sizes = [np.linalg.norm(x[1:].astype(float), axis=1).mean() for x in (before, after)]
        factors.append(sizes[1] / sizes[0])
        step = (after.astype(float) - before)[1:]
        shares.append(np.median((part[1:] * step).sum(axis=1) / (step**2).sum(axis=1)))
    assert row["growth_median"] == pytest.approx(np.median(factors), rel=1e-6)
    assert row["mlp_share_median"] == pytest.approx(np.median(shares), rel=1e-6)
    assert len(tables.growth_table(unit)) == 3


def test_dimensions_agree_with_numpy() -> None:
    unit, arrays = unit_with_arrays()
    rows = tables.dimension_table(unit, "resid_pre", 1)
    content = np.concatenate([sample[1:] for sample in arrays["resid_pre"][1]]).astype(float)
    typical = np.median(np.abs(content), axis=0)
    assert rows["typical"].tolist() == pytest.approx(typical.tolist(), rel=1e-6)
    assert rows["ratio"].tolist() == pytest.approx(
        (typical / np.median(typical)).tolist(), rel=1e-6
    )
    assert rows["sd"][3] == pytest.approx(content[:, 3].std(), rel=1e-6)


def test_joined_units_have_the_prompts_of_all() -> None:
    units = [gaussian_unit(emotion) for emotion in ("anger", "neutral")]
    joined = tables.joined(units, "every emotion")
    rows = tables.prompt_table(joined, "resid_pre", "l2", layer=0)
    apart = pd.concat([tables.prompt_table(unit, "resid_pre", "l2", layer=0) for unit in units])
    assert rows["mean"].tolist() == apart["mean"].tolist()


def unit(emotion: str, norms: np.ndarray, scenarios: list[str | None]) -> UnitMeasures:
    """Prompts of one token, with these norms `[layer, prompt]`."""
    arrays: Arrays = {
        "resid_pre": [[np.array([[norm]], dtype=np.float32) for norm in layer] for layer in norms]
    }
    found = measured_unit(arrays, emotion=emotion, content_start=0)
    return dataclasses.replace(found, prompts=tuple({"scenario_id": each} for each in scenarios))


def test_the_difference_is_the_paired_one_of_scipy_over_scenarios() -> None:
    rng = np.random.default_rng(0)
    base = np.exp(rng.normal(3, 0.5, (3, 20)))
    other = base * 1.1 * np.exp(rng.normal(0, 0.05, (3, 20)))
    names: list[str | None] = [f"s{n}" for n in range(20)]
    order = rng.permutation(20)
    shuffled = unit("neutral", base[:, order], [names[n] for n in order])
    found = difference_table([unit("anger", other, names), shuffled], "resid_pre")
    test = stats.ttest_rel(np.log(other), np.log(base), axis=1)
    mean = (np.log(other) - np.log(base)).mean(axis=1)
    assert found["percent"].tolist() == pytest.approx(100 * np.expm1(mean), abs=1e-4)
    low, high = test.confidence_interval()
    assert found["low"].tolist() == pytest.approx(100 * np.expm1(low), abs=1e-4)
    assert found["high"].tolist() == pytest.approx(100 * np.expm1(high), abs=1e-4)
    assert set(found["n"]) == {20}


def test_without_scenarios_the_interval_is_that_of_welch() -> None:
    rng = np.random.default_rng(1)
    a, b = np.exp(rng.normal(1, 0.2, (2, 12))), np.exp(rng.normal(1, 0.4, (2, 30)))
    found = difference_table(
        [unit("anger", a, [None] * 12), unit("neutral", b, [None] * 30)], "resid_pre"
    )
    test = stats.ttest_ind(np.log(a), np.log(b), axis=1, equal_var=False)
    high = 100 * np.expm1(test.confidence_interval().high)
    assert found["high"].tolist() == pytest.approx(high)
    # Copies within a scenario add nothing.
    pairs: list[list[str | None]] = [
        [f"{side}{n // 2}" for n in range(2 * size)] for side, size in (("a", 12), ("b", 30))
    ]
    twice = [
        unit(name, x.repeat(2, axis=1), own)
        for name, x, own in zip(("anger", "neutral"), (a, b), pairs, strict=True)
    ]
    assert difference_table(twice, "resid_pre")["high"].tolist() == pytest.approx(high)


def test_five_percent_of_few_scenarios_without_a_difference_leave_out_zero() -> None:
    norms = np.exp(np.random.default_rng(2).normal(1, 0.2, (2, 400, 4)))
    names: list[str | None] = [f"s{n}" for n in range(4)]
    found = difference_table(
        [unit(name, x, names) for name, x in zip(("anger", "neutral"), norms, strict=True)],
        "resid_pre",
    )
    assert 0.02 < ((found["low"] > 0) | (found["high"] < 0)).mean() < 0.08


def test_a_prompt_without_a_finite_norm_is_left_out_and_no_neutral_gives_no_row() -> None:
    norms = np.full((2, 6), 3.0)
    names: list[str | None] = [f"s{n}" for n in range(6)]
    broken = norms * 1.5
    broken[1, 2] = np.nan
    found = difference_table(
        [unit("joy", broken, names), unit("neutral", norms, names)], "resid_pre"
    )
    assert found["percent"].tolist() == pytest.approx([50.0, 50.0])
    assert set(found["n"]) == {5}
    assert not len(difference_table([unit("joy", norms, names)], "resid_pre"))
