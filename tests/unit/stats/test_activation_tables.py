import numpy as np
import pandas as pd
import pytest

from emoact.positions import NormKind
from emoact.stats.norms import tables
from emoact.store.summaries.measures import UnitMeasures
from tests.support.measured import Arrays, gaussian_unit


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
