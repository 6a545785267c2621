"""Size and speed of every store on units that are on disk."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from emoact.schema import Precision
from emoact.store.convert import UnitArrays, write_as
from emoact.store.protocol import STORES, PooledStore, Store, unit_file_name
from emoact.store.unit import Unit

T = TypeVar("T")

ROUNDS = 3
"""How often a unit is written and read in each way."""


@dataclass(frozen=True, kw_only=True)
class StoreResult:
    """One store and precision on some units.

    Attributes:
        n_bytes: Bytes of all files.
        ratio: Bytes of float32 activations for each byte of the files.
        write_mb_per_s: Megabytes of float32 written in a second, durably; median of all rounds.
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

    Every unit is measured in all ways before the next one, so that what slows the machine for a
    while slows all of them.

    Raises:
        EmoactError: The disk is full, or a file cannot be read back.
    """
    measured = [
        _Measured(store=store, precision=precision)
        for store in STORES
        if not isinstance(store, PooledStore)
        for precision in store.precisions
    ]
    for unit in units:
        for _ in range(ROUNDS):
            for one in measured:
                one.add(unit)
    return [one.result() for one in measured]


@dataclass(kw_only=True)
class _Measured:
    store: Store
    precision: Precision
    sizes: list[int] = field(default_factory=list)
    floats: list[int] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, unit: Unit) -> None:
        size, error = _measure(self.store, self.precision, unit, self.seconds)
        self.sizes.append(size)
        self.floats.append(UnitArrays(unit).layout.n_bytes)
        self.errors.append(error)

    def result(self) -> StoreResult:
        mb_per_s = {
            name: statistics.median(
                n / each / 1e6 for n, each in zip(self.floats, own, strict=True)
            )
            for name, own in self.seconds.items()
        }
        return StoreResult(
            store=self.store.name,
            precision=self.precision,
            n_bytes=sum(self.sizes) // ROUNDS,
            ratio=sum(self.floats) / sum(self.sizes),
            write_mb_per_s=mb_per_s["write"],
            read_mb_per_s=mb_per_s["read"],
            open_ms=1e3 * statistics.median(self.seconds["open"]),
            one_ms=1e3 * statistics.median(self.seconds["one"]),
            relative_error=max(self.errors),
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
