"""Size and speed of every store on units that are on disk."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from emoact.schema import Precision
from emoact.store.convert import UnitArrays, write_as
from emoact.store.protocol import STORES, PooledStore, Store, unit_file_name
from emoact.store.unit import Unit

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class StoreResult:
    """One store and precision on some units.

    Attributes:
        n_bytes: Bytes of all files.
        ratio: Bytes of float32 activations for each byte of the files.
        write_mb_per_s: Megabytes of float32 written in a second, durably; median over the units.
        read_mb_per_s: The same for reading every array.
        open_ms: Opening a file.
        one_ms: One (layer, sample) of a file that was just opened.
        relative_error: Largest error of a value, relative to itself.
    """

    store: str
    precision: Precision
    n_bytes: int
    ratio: float
    write_mb_per_s: float
    read_mb_per_s: float
    open_ms: float
    one_ms: float
    relative_error: float


def bench_stores(units: Sequence[Unit]) -> list[StoreResult]:
    """Write and read lossless units in every store and precision, in a folder of its own.

    Raises:
        EmoactError: The disk is full, or a file cannot be read back.
    """
    return [
        _bench(store, precision, units)
        for store in STORES
        if not isinstance(store, PooledStore)
        for precision in store.precisions
    ]


def _bench(store: Store, precision: Precision, units: Sequence[Unit]) -> StoreResult:
    sizes, floats, errors = [], [], []
    seconds: dict[str, list[float]] = {"write": [], "open": [], "one": [], "read": []}
    for unit in units:
        size, error = _measure(store, precision, unit, seconds)
        sizes.append(size)
        floats.append(UnitArrays(unit).layout.n_bytes)
        errors.append(error)
    rates = {
        name: statistics.median(size / each / 1e6 for size, each in zip(floats, own, strict=True))
        for name, own in seconds.items()
    }
    return StoreResult(
        store=store.name,
        precision=precision,
        n_bytes=sum(sizes),
        ratio=sum(floats) / sum(sizes),
        write_mb_per_s=rates["write"],
        read_mb_per_s=rates["read"],
        open_ms=1e3 * statistics.median(seconds["open"]),
        one_ms=1e3 * statistics.median(seconds["one"]),
        relative_error=max(errors),
    )


def _measure(
    store: Store, precision: Precision, unit: Unit, seconds: dict[str, list[float]]
) -> tuple[int, float]:
    """Bytes and largest relative error of one unit; adds the seconds of each step."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / unit_file_name(unit.emotion, store.suffix)
        size = _timed(seconds["write"], lambda: write_as(store, path, unit, precision).size)
        found = _timed(seconds["open"], lambda: store.read(path))
        layers = found.site(found.sites[0])
        middle = layers[len(layers) // 2]
        _timed(seconds["one"], lambda: float(middle[found.n_samples // 2].sum()))
        again = store.read(path)
        _timed(seconds["read"], lambda: _read(again))
        return size, _error(unit, again)


def _timed(seconds: list[float], work: Callable[[], T]) -> T:
    began = time.perf_counter()
    found = work()
    seconds.append(time.perf_counter() - began)
    return found


def _read(unit: Unit) -> float:
    """A sum over all values, so that each of them is read."""
    arrays = (array for site in unit.sites for layer in unit.site(site) for array in layer)
    return float(sum(array.sum(dtype=np.float64) for array in arrays))


def _error(exact: Unit, unit: Unit) -> float:
    worst = 0.0
    for site in exact.sites:
        for layer, own in zip(exact.site(site), unit.site(site), strict=True):
            for before, after in zip(layer, own, strict=True):
                normal = np.isfinite(before) & (before != 0)
                change = np.abs(after[normal].astype(np.float64) - before[normal])
                relative = change / np.abs(before[normal].astype(np.float64))
                worst = max(worst, float(relative.max(initial=0.0)))
    return worst
