"""`emoact norms` in all its tables, beside numpy on the unpickled file."""

import csv
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoact.cli import main
from tests.support.planted import plant_unit
from tests.support.typed import Typed

COLUMNS = {
    "layer": "model emotion site layer norm position mean median q25 q75 n n_nonfinite",
    "position": "model emotion site layer norm position median q25 q75 n",
    "prompt": "model emotion site layer norm prompt mean tokens",
    "token": "model emotion site layer norm prompt position token value top1 top2 top3",
    "growth": "model emotion layer growth_median growth_q25 growth_q75 mlp_share_median "
    "mlp_share_q25 mlp_share_q75 n",
    "dimension": "model emotion site layer dimension typical ratio mean sd",
}


def table(results: Path, *words: str) -> list[dict[str, str]]:
    path = results / "norms.csv"
    assert main(["norms", "--results", str(results), "--csv", str(path), *words]) == 0
    return list(csv.DictReader(path.read_text().splitlines()))


@pytest.mark.parametrize(("kind", "start"), [("l2", 1), ("l1", 0), ("rms", 1)])
def test_norms_agree_with_numpy_on_the_pickle(tmp_path: Path, kind: str, start: int) -> None:
    with plant_unit(tmp_path, "gpt2", "anger", n_samples=9, bos=start == 1).open("rb") as file:
        unit = pickle.load(file)

    def norm(rows: Any) -> Any:
        order = 1 if kind == "l1" else 2
        scale = 1 / np.sqrt(rows.shape[1]) if kind == "rms" else 1.0
        return np.linalg.norm(rows.astype(np.float64), ord=order, axis=1) * scale

    keys = {"resid_pre": "residual_stream", "mlp_out": "mlp_output"}
    rows = table(tmp_path, "--norm", kind)
    assert len(rows) == 2 * 4 * 2
    for row in rows:
        samples = unit[keys[row["site"]]][int(row["layer"])]
        first = row["position"] == "first"
        values = [norm(s)[0] if first else norm(s)[start:].mean() for s in samples]
        assert float(row["mean"]) == pytest.approx(np.mean(values), rel=1e-6)
        found = [float(row[name]) for name in ("q25", "median", "q75")]
        assert found == pytest.approx(np.quantile(values, [0.25, 0.5, 0.75]).tolist(), rel=1e-6)
        assert (int(row["n"]), int(row["n_nonfinite"])) == (9, 0)
    for row in table(tmp_path, "--norm", kind, "--by", "token"):
        samples = unit[keys[row["site"]]][int(row["layer"])]
        sample = samples[int(row["prompt"].removeprefix("p"))]
        expected = norm(sample)[int(row["position"])]
        assert float(row["value"]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("by", COLUMNS)
def test_every_table_has_its_columns_and_speaks_json(tmp_path: Path, by: str, typed: Typed) -> None:
    plant_unit(tmp_path, "gpt2", "anger")
    rows = table(tmp_path, "--by", by)
    assert list(rows[0]) == COLUMNS[by].split()
    asked = ["norms", "--results", tmp_path, "--by", by]
    assert len(typed(*asked, "--json").json["rows"]) == len(rows)
    assert typed(*asked).out == (tmp_path / "norms.csv").read_text()
    os.mkfifo(tmp_path / "pipe")
    assert "is no regular file" in typed(*asked, "--csv", tmp_path / "pipe", code=2).err
    assert "/proc" in typed(*asked, "--csv", "/proc/norms.csv", code=1).err
