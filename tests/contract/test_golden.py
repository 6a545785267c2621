"""Every number and sentence about a planted folder is the one that was recorded.

The folder, the commands and how the files are written again: `tests/support/golden.py`. Columns and
tables that were added since are no difference; missing ones are.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.golden import ANALYSES, FILES, NORMS, TABLES, Record, plant, record

PARQUET = sorted(path.stem for path in FILES.glob("*.parquet"))
TOLERANCE = 1e-10
FLOAT32 = 2.0**-23
"""Directions are stored in float32: the last bit may round the other way."""

WORDS: dict[str, Any] = json.loads((FILES / "words.json").read_text(encoding="utf-8"))
_AXES = ("pc1", "pc2", "pc3")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Record:
    results = tmp_path_factory.mktemp("golden") / "results"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMOACT_CACHE", str(results.parent / "cache"))
        patch.delenv("EMOACT_WORKERS", raising=False)
        patch.delenv("EMOACT_RESULTS", raising=False)
        plant(results)
        return record(results)


@pytest.mark.parametrize("name", PARQUET)
def test_a_table_holds_the_recorded_numbers(made: Record, name: str) -> None:
    recorded, found = pd.read_parquet(FILES / f"{name}.parquet"), made.tables[name]
    assert [column for column in recorded if column not in found] == []
    assert found.groupby("case").size().to_dict() == recorded.groupby("case").size().to_dict()
    if name == "points":
        found = turned(found, recorded)
    tolerance = FLOAT32 if name == "directions" else TOLERANCE
    for column in recorded:
        same = equal(recorded[column], found[column], tolerance)
        both = recorded.assign(found=found[column])
        assert same.all(), f"{name}.{column}:\n{both[~same].head(20).to_string()}"


def test_the_files_cover_every_table_that_is_recorded() -> None:
    assert {*PARQUET} == {*TABLES, "directions", *(f"norms_{by}" for by in NORMS)}
    assert set(WORDS) == {*ANALYSES, "audit", "report"}


@pytest.mark.parametrize("part", sorted(WORDS))
def test_the_sentences_are_those_recorded(made: Record, part: str) -> None:
    assert list(differences(WORDS[part], made.words[part], part)) == []


def equal(recorded: pd.Series[Any], found: pd.Series[Any], tolerance: float) -> np.ndarray:
    """Where two columns agree; empty and missing words are the same, and so are NaN and NaN."""
    if recorded.dtype.kind == "f":
        left, right = (column.to_numpy(dtype=np.float64) for column in (recorded, found))
        return np.asarray(np.isclose(right, left, rtol=tolerance, atol=TOLERANCE, equal_nan=True))
    left, right = (column.astype("object") for column in (recorded, found))
    return np.asarray(left.where(left.notna(), "") == right.where(right.notna(), ""))


def turned(found: pd.DataFrame, recorded: pd.DataFrame) -> pd.DataFrame:
    """The points with each axis of each layer pointing as the recorded one does."""
    place = [recorded[name] for name in ("case", "model", "site", "layer", "basis")]
    signs = {axis: (found[axis] * recorded[axis]).groupby(place).transform("sum") for axis in _AXES}
    return found.assign(
        **{axis: found[axis].where(sign >= 0, -found[axis]) for axis, sign in signs.items()}
    )


def differences(recorded: Any, found: Any, where: str) -> Any:
    """Places at which two documents differ, beyond the keys that were added."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        for key in recorded:
            if key not in found:
                yield f"{where}.{key} is missing"
            else:
                yield from differences(recorded[key], found[key], f"{where}.{key}")
    elif isinstance(recorded, list) and isinstance(found, list) and len(recorded) == len(found):
        for number, (left, right) in enumerate(zip(recorded, found, strict=True)):
            yield from differences(left, right, f"{where}[{number}]")
    elif isinstance(recorded, float) and isinstance(found, int | float):
        if not np.isclose(found, recorded, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True):
            yield f"{where}: {found!r} and no longer {recorded!r}"
    elif recorded != found:
        yield f"{where}: {found!r} and no longer {recorded!r}"
