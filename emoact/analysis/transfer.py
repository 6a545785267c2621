"""Directions and probes of one results folder, tested on another folder of the same model."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

from emoact.analysis.room import DiskRoom
from emoact.errors import RequestError
from emoact.positions import Pooling
from emoact.sites import SiteName
from emoact.stats import catalogue
from emoact.stats.across.transfer import check_configurations, mapped_labels, transfer_cells
from emoact.stats.comparable import Configuration
from emoact.stats.features import ModelFeatures, UnitFeatures, features_of, join_units, let_go
from emoact.stats.finite import finite_units
from emoact.store.reading import Grid, read_all
from emoact.store.unit import Unit

if TYPE_CHECKING:
    import pandas as pd

_Version = tuple[tuple[str, int], ...]


@dataclass(frozen=True, kw_only=True)
class TransferRequest:
    """Data sets, labels and options of a transfer.

    Attributes:
        source: Results folder for training.
        target: Results folder for tests.
        labels: Label of the target by label of the source; others match where they are the same.
        model: Folder of the model; the one that both have when None.
        neutral: Label of the source that directions are measured from.
        seed: Of folds and bootstrap draws.
    """

    source: str
    target: str
    labels: tuple[tuple[str, str], ...] = ()
    model: str | None = None
    sites: tuple[SiteName, ...] = ("resid_pre",)
    pooling: Pooling = "mean_content"
    neutral: str = "neutral"
    seed: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Transferred:
    """Figures of a transfer.

    Attributes:
        request: What was asked for, with the model that was found.
        left_out: Labels of the source without a counterpart.
        n_repeated: Prompts of the target that the source has too; they are not tested.
        n_shared_scenarios: Others whose scenario the source has; they are not tested either,
            because the training saw what the versions of a scenario have in common.
        tables: `transfer` and `transfer_layers`.
    """

    request: TransferRequest
    labels: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    n_repeated: int = 0
    n_shared_scenarios: int = 0
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)


def compute_transfer(request: TransferRequest) -> Transferred:
    """Train on one folder and test on the other; the result is kept while no file changes.

    Raises:
        RequestError: A folder has no activations, no model or no label is in both, or the files
            were made differently; the message names the field.
    """
    versions = tuple(
        tuple(
            (os.fspath(path), path.stat().st_mtime_ns)
            for unit in _grid(folder).units
            for path in unit.files
        )
        for folder in (request.source, request.target)
    )
    return _computed(request, versions)


@functools.lru_cache(maxsize=4)
def _computed(request: TransferRequest, versions: tuple[_Version, ...]) -> Transferred:
    del versions  # part of the key: changed files are read again
    grids = [_grid(folder) for folder in (request.source, request.target)]
    model = _model(request, grids)
    chosen = [[unit for unit in grid.units if unit.folder == model] for grid in grids]
    check_configurations(*(_configurations(units, request) for units in chosen))
    known = [[unit.emotion for unit in units] for units in chosen]
    labels = mapped_labels(known[0], known[1], dict(request.labels), request.neutral)
    wanted = [set(labels), set(labels.values())]
    # An analysis of very many prompts has its files in the results folder too.
    places = (request.source, request.target, tempfile.gettempdir())
    room = DiskRoom(next(Path(place) for place in places if os.access(place, os.W_OK)))
    sides = [
        [unit for unit in units if unit.emotion in names]
        for units, names in zip(chosen, wanted, strict=True)
    ]
    # Strings and tokens of very many prompts take more memory than their vectors.
    del grids, chosen
    first, second = (_features(units, model, request, room) for units in sides)
    shapes = [
        {site: vectors.shape[1:] for site, vectors in side.sites.items()}
        for side in (first, second)
    ]
    if shapes[0] != shapes[1]:
        raise RequestError(
            f"{model} has other layers or dimensions in the second folder than in the first",
            remedy="Extract the prompts of both folders with the same model.",
        )
    repeated, shared = _known_rows(first, second, labels)
    if (repeated | shared).any():
        second = second.rows(np.flatnonzero(~(repeated | shared)).tolist(), room)
    cells = list(
        transfer_cells(
            first,
            second,
            labels,
            neutral=request.neutral,
            sites=request.sites,
            seed=request.seed,
            room=room,
        )
    )
    return Transferred(
        request=request,
        labels=labels,
        left_out=tuple(label for label in known[0] if label not in labels),
        n_repeated=int(repeated.sum()),
        n_shared_scenarios=int((shared & ~repeated).sum()),
        tables={
            name: catalogue.frame(name, [catalogue.computed(c) for c in cells if c.table == name])
            for name in ("transfer", "transfer_layers")
        },
    )


def _known_rows(
    first: ModelFeatures, second: ModelFeatures, labels: Mapping[str, str]
) -> tuple[Bool[np.ndarray, " prompt"], Bool[np.ndarray, " prompt"]]:
    """Prompts of the target whose text the source has, and those whose scenario it has."""
    texts = {text.strip() for text in first.texts} - {""}
    scenarios = {prompt.scenario_id for prompt in first.prompts} - {None}
    repeated = np.array([text.strip() in texts for text in second.texts], dtype=bool)
    shared = np.array([prompt.scenario_id in scenarios for prompt in second.prompts], dtype=bool)
    for known, what, remedy in (
        (repeated, "is in the first as well", "Test on other prompts than those of the training."),
        (
            repeated | shared,
            "has a scenario of the first",
            "Test on other scenarios than those of the training. Scenarios are the same where "
            "their scenario_id is; rename those that have a name in common only.",
        ),
    ):
        there = {second.design.labels[label] for label in second.design.label_of[~known]}
        missing = [label for label in dict.fromkeys(labels.values()) if label not in there]
        if missing:
            raise RequestError(
                f"every prompt of {', '.join(missing)} in the second folder {what}", remedy=remedy
            )
    return repeated, shared


def _grid(folder: str) -> Grid:
    grid = read_all(folder)
    if not grid.units:
        raise RequestError(
            f"there are no activations in {folder}", remedy="`emoact extract` makes some."
        )
    return grid


def _model(request: TransferRequest, grids: list[Grid]) -> str:
    shared = [folder for folder in grids[0].folders if folder in grids[1].folders]
    there = "; ".join(
        f"{folder} has {', '.join(grid.folders)}"
        for folder, grid in zip((request.source, request.target), grids, strict=True)
    )
    if request.model is not None and request.model not in shared:
        raise RequestError(f"model {request.model!r} is not in both folders: {there}")
    if not shared:
        raise RequestError(
            f"the field model differs: {there}", remedy="Extract both with the same model."
        )
    if request.model is None and len(shared) > 1:
        raise RequestError(
            f"both folders have {', '.join(shared)}", remedy=f"Choose one: --model {shared[0]}."
        )
    return request.model or shared[0]


def _configurations(units: list[Unit], request: TransferRequest) -> dict[str, Configuration]:
    return {
        unit.emotion: Configuration.of(unit, model=unit.model_name, pooling=request.pooling)
        for unit in units
    }


def _features(
    units: list[Unit], model: str, request: TransferRequest, room: DiskRoom
) -> ModelFeatures:
    for unit in units:
        missing = [site for site in request.sites if site not in unit.sites]
        if missing:
            raise RequestError(f"{unit.path} has no {missing[0]}; it has {', '.join(unit.sites)}")
    pooled = list[UnitFeatures]()
    for unit in let_go(units):
        pooled.append(
            features_of(unit, sites=request.sites, pooling=request.pooling, model=model, room=room)
        )
        room.rest()
    kept = finite_units(pooled)[0]
    del pooled
    return join_units(let_go(kept), room)
