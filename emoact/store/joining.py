"""Parts of an emotion as one unit; arrays stay in their files until they are asked for."""

from __future__ import annotations

import bisect
import fnmatch
import functools
import glob
import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emoact.errors import FileRefusedError
from emoact.files import is_there, names_in
from emoact.positions import Pooling
from emoact.sites import SiteName
from emoact.store.parts import Part, absent
from emoact.store.protocol import STORES, split_unit_file_name, unit_file_name
from emoact.store.unit import OF_PROMPTS, Samples, Unit

_TOGETHER = ("model_name", "n_layers", "d_model", "sites", "configuration")


def part_files(path: Path) -> tuple[Path, ...]:
    """Files of the parts of a unit, in order, where the unit's own file is not there.

    Raises:
        FileRefusedError: Parts are missing, or are of two divisions.
    """
    named = split_unit_file_name(path.name)
    if named is None or Part.of(named[0]).count > 1 or is_there(path):
        return ()
    emotion, found = named[0], dict[Part, Path]()
    for store in reversed(STORES):
        pattern = unit_file_name(f"{glob.escape(emotion)}.part-*", store.suffix)
        for name in fnmatch.filter(names_in(path.parent), pattern):
            split = split_unit_file_name(name)
            part = Part.of(split[0]) if split is not None and split[1] is store else None
            if part is not None and part.emotion == emotion and part.count > 1:
                found[part] = path.with_name(name)
    counts = sorted({part.count for part in found})
    if len(counts) > 1:
        raise FileRefusedError(
            f"there are parts of {' and of '.join(map(str, counts))} of this unit",
            path=str(path),
            remedy="Remove the files of the division that is not wanted.",
        )
    if len(found) < sum(counts):
        shown = absent({part.number for part in found}, counts[0])
        raise FileRefusedError(
            f"{counts[0] - len(found)} of {counts[0]} parts are missing: {shown}",
            path=str(path),
            remedy="Wait for the run that writes them, resume it, or extract the unit again.",
        )
    return tuple(found[part] for part in sorted(found))


def check_alike(path: Path, units: Iterable[Unit]) -> None:
    """Check that parts were made alike; none is kept.

    Raises:
        FileRefusedError: They are not of one model, or were not made alike.
    """
    first, facts = "", dict[str, Any]()
    for unit in units:
        own = {name: getattr(unit, name) for name in _TOGETHER}
        differing = [name for name in facts if own[name] != facts[name]]
        if differing:
            raise FileRefusedError(
                f"{unit.path.name} and {first} differ in {differing[0]}",
                path=str(path),
                remedy="The parts were not extracted together; extract the unit again.",
            )
        first, facts = first or unit.path.name, facts or own


def join_parts(path: Path, units: Sequence[Unit]) -> Unit:
    """The unit that the parts make together.

    `path` is the one that the unit has by the name of the contract.

    Raises:
        FileRefusedError: They are not of one model, or were not made alike.
    """
    check_alike(path, units)
    first = units[0]
    return Unit(
        path=path,
        by_site={
            site: tuple(
                Samples(_Joined([unit.by_site[site][layer] for unit in units]))
                for layer in range(len(layers))
            )
            for site, layers in first.by_site.items()
        },
        tokens=tuple(itertools.chain.from_iterable(unit.tokens for unit in units)),
        token_strings=tuple(itertools.chain.from_iterable(unit.token_strings for unit in units)),
        labels=tuple(itertools.chain.from_iterable(unit.labels for unit in units)),
        metadata=_metadata(units),
        notes=tuple(dict.fromkeys(note for unit in units for note in unit.notes)),
        pooled={key: functools.partial(_pooled, units, key) for key in first.pooled},
        parts=tuple(units),
    )


class _Joined(Sequence[Any]):
    """Samples of all parts, one after the other."""

    def __init__(self, parts: Sequence[Samples]) -> None:
        self._parts = parts
        self._ends = list(itertools.accumulate(map(len, parts)))

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, sample: int | slice) -> Any:
        if isinstance(sample, slice):
            return [self[each] for each in range(*sample.indices(len(self)))]
        at = sample + len(self) if sample < 0 else sample
        if not 0 <= at < len(self):
            raise IndexError(sample)
        part = bisect.bisect_right(self._ends, at)
        return self._parts[part][at - (self._ends[part - 1] if part else 0)]


def _pooled(
    units: Sequence[Unit], key: tuple[SiteName, Pooling], only: int | None = None
) -> np.ndarray:
    return np.concatenate([unit.pooled[key](only) for unit in units])


def _metadata(units: Sequence[Unit]) -> dict[str, Any]:
    """The metadata of the first part, with the facts of all where they are facts of prompts."""
    joined = dict(units[0].metadata)
    joined["n_samples"] = sum(unit.n_samples for unit in units)
    for name in OF_PROMPTS:
        lists = [unit.metadata.get(name) for unit in units]
        joined.pop(name, None)
        known = [each for each in lists if isinstance(each, list | tuple)]
        if len(known) == len(units):
            joined[name] = list(itertools.chain.from_iterable(known))
    starts = {unit.content_start for unit in units}
    if len(starts) > 1 and "content_spans" not in joined:
        joined["content_spans"] = [list(span) for unit in units for span in unit.content]
    provenance = [unit.provenance for unit in units]
    stated = [each for each in provenance if each is not None]
    if len(stated) == len(units):
        joined["provenance"] = _provenance(stated)
    return joined


def _provenance(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    joined = dict(parts[0])
    joined["truncated"] = [row for part in parts for row in part.get("truncated", ())]
    joined["ended_at"] = parts[-1].get("ended_at")
    rates = [part.get("throughput") for part in parts]
    if all(isinstance(rate, Mapping) for rate in rates):
        totals = {
            name: sum(rate.get(name) or 0 for rate in rates if isinstance(rate, Mapping))
            for name in ("seconds", "n_tokens", "n_distinct_prefixes")
        }
        joined["throughput"] = totals
    keys = [str(part.get("unit_key")) for part in parts]
    joined["unit_key"] = hashlib.sha256("\n".join(keys).encode()).hexdigest()
    return joined
