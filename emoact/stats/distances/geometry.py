"""Principal axes of the prompts: coordinates and explained variance."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from emoact.measures import Cell, Columns
from emoact.sites import SiteName
from emoact.stats.across.shared import sampled_rows
from emoact.stats.directions.directions import principal_axes_of
from emoact.stats.features import ModelFeatures
from emoact.stats.vectors import about_mean, centre

MAX_POINTS = 2000
"""Most prompts whose coordinates are kept; the axes are those of all."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """Prompts of every layer on a few principal axes.

    Attributes:
        coordinates: Position of each prompt, about the mean of its layer.
        explained: Share of the layer's variance that each axis holds.
        fixed_basis: True where all layers share their axes, so that a slider over layers moves the
            points and not the axes; False where each layer has its own.
    """

    coordinates: Float64[np.ndarray, "layer prompt axis"]
    explained: Float64[np.ndarray, "layer axis"]
    fixed_basis: bool


def project_fixed(
    features: Float[np.ndarray, "prompt layer d_model"],
    n_axes: int = 3,
    *,
    kept: Sequence[int] | None = None,
) -> Projection:
    """Every layer on the principal axes of all layers together.

    Each layer is centred and scaled to the same total variance before the axes are fitted, so that
    late layers with large norms do not choose them alone. The coordinates are in the scaled units:
    distances are shares of the layer's own spread.
    """
    n_prompts, n_layers, d_model = features.shape
    layers = [features[:, layer] for layer in range(n_layers)]
    squares = [sum(np.vdot(rows, rows) for _, rows in about_mean(each)) for each in layers]
    spreads = [np.sqrt(square / n_prompts) or 1.0 for square in squares]
    if n_layers * n_prompts > d_model:
        covariance = np.zeros((d_model, d_model))
        for layer, spread in zip(layers, spreads, strict=True):
            covariance += sum(rows.T @ rows for _, rows in about_mean(layer)) / spread**2
        axes = np.linalg.eigh(covariance)[1][:, ::-1].T[:n_axes]
    else:
        flat = [centre(layer) / spread for layer, spread in zip(layers, spreads, strict=True)]
        axes = np.linalg.svd(np.concatenate(flat), full_matrices=False)[2][:n_axes]
    scaled = [_signed(axes) / spread for spread in spreads]
    return _projection(layers, scaled, spreads, kept=kept, fixed_basis=True)


def project_per_layer(
    features: Float[np.ndarray, "prompt layer d_model"],
    n_axes: int = 3,
    *,
    kept: Sequence[int] | None = None,
) -> Projection:
    """Every layer on its own principal axes, in the model's own units."""
    n_prompts, n_layers, d_model = features.shape
    n_axes = min(n_axes, n_prompts, d_model)
    layers = [features[:, layer] for layer in range(n_layers)]
    axes = [_signed(principal_axes_of(each, n_axes)[0][:n_axes]) for each in layers]
    return _projection(layers, axes, [1.0] * n_layers, kept=kept, fixed_basis=False)


def _projection(
    layers: Sequence[Float[np.ndarray, "prompt d_model"]],
    axes: Sequence[Float64[np.ndarray, "axis d_model"]],
    spreads: Sequence[float],
    *,
    kept: Sequence[int] | None,
    fixed_basis: bool,
) -> Projection:
    """Coordinates of the prompts that are kept, and the shares of all of them."""
    n_prompts, n_axes = len(layers[0]), len(axes[0])
    chosen = np.arange(n_prompts) if kept is None else np.asarray(kept)
    coordinates, held = (
        np.empty((len(layers), len(chosen), n_axes)),
        np.zeros((len(layers), n_axes)),
    )
    totals = np.zeros(len(layers))
    for number, (layer, own, spread) in enumerate(zip(layers, axes, spreads, strict=True)):
        for at, rows in about_mean(layer):
            found = rows @ own.T
            held[number] += (found**2).sum(axis=0)
            totals[number] += np.vdot(rows, rows) / spread**2
            here = (chosen >= at.start) & (chosen < at.stop)
            coordinates[number, here] = found[chosen[here] - at.start]
    explained = held / np.where(totals > 0, totals, np.nan)[:, None]
    return Projection(coordinates=coordinates, explained=explained, fixed_basis=fixed_basis)


def _signed(axes: Float64[np.ndarray, "axis d_model"]) -> Float64[np.ndarray, "axis d_model"]:
    """Axes whose largest loading is positive, so that the picture does not flip between runs."""
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    return np.asarray(axes * np.where(largest < 0, -1.0, 1.0))


def projection_cells(model: ModelFeatures, site: SiteName) -> Iterator[Cell]:
    """Cells of the tables `points` and `axes`, on one basis for all layers and layer by layer."""
    kept = sampled_rows(model.design, most=MAX_POINTS)
    every = model.keys
    keys = [every[row] for row in kept]
    for project in (project_fixed, project_per_layer):
        projection = project(model.sites[site], kept=kept)
        n_layers, n_prompts, n_axes = projection.coordinates.shape
        place = {
            "model": model.model,
            "site": site,
            "basis": "fixed" if projection.fixed_basis else "per_layer",
        }
        points = {
            "layer": np.repeat(np.arange(n_layers), n_prompts),
            "emotion": [label for label, _ in keys] * n_layers,
            "prompt_id": [prompt_id for _, prompt_id in keys] * n_layers,
        }
        axes = {
            "layer": np.repeat(np.arange(n_layers), n_axes),
            "axis": np.tile(np.arange(n_axes), n_layers),
        }
        yield Cell(table="points", ids={**place, **points}, source=projection)
        yield Cell(table="axes", ids={**place, **axes}, source=projection)


def _coordinate(projection: Projection, axis: int) -> Float64[np.ndarray, " row"]:
    """Coordinates on one axis, prompt by prompt at each layer; NaN where there are fewer axes."""
    n_layers, n_prompts, n_axes = projection.coordinates.shape
    if axis >= n_axes:
        return np.full(n_layers * n_prompts, np.nan)
    return projection.coordinates[..., axis].ravel()


_axes = Columns("axes")
_points = Columns("points")

MEASURES = (
    *(
        _points(
            f"pc{number + 1}",
            f"Coordinate on principal axis {number + 1}, about the mean of the layer",
            functools.partial(_coordinate, axis=number),
            unit="model units (per_layer), or shares of the layer's spread (fixed)",
        )
        for number in range(3)
    ),
    _axes(
        "explained",
        "Share of the layer's variance along the axis",
        lambda projection: projection.explained.ravel(),
    ),
)
