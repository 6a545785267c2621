"""Principal axes of the prompts: coordinates and explained variance."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from emoact.measures import Cell, Columns
from emoact.sites import SiteName
from emoact.stats.across.shared import sampled_rows
from emoact.stats.directions.directions import principal_axes
from emoact.stats.features import ModelFeatures
from emoact.stats.products import centre

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
    features: Float[np.ndarray, "prompt layer d_model"], n_axes: int = 3
) -> Projection:
    """Every layer on the principal axes of all layers together.

    Each layer is centred and scaled to the same total variance before the axes are fitted, so that
    late layers with large norms do not choose them alone. The coordinates are in the scaled units:
    distances are shares of the layer's own spread.
    """
    n_prompts, n_layers, d_model = features.shape
    layers = range(n_layers)
    if n_layers * n_prompts > d_model:
        covariance = np.zeros((d_model, d_model))
        for layer in layers:
            scaled = _scaled(features[:, layer])
            covariance += scaled.T @ scaled
        axes = np.linalg.eigh(covariance)[1][:, ::-1].T[:n_axes]
    else:
        flat = np.concatenate([_scaled(features[:, layer]) for layer in layers])
        axes = np.linalg.svd(flat, full_matrices=False)[2][:n_axes]
    axes = _signed(axes)
    coordinates, totals = np.empty((n_layers, n_prompts, len(axes))), np.empty(n_layers)
    for layer in layers:
        scaled = _scaled(features[:, layer])
        coordinates[layer] = scaled @ axes.T
        totals[layer] = np.vdot(scaled, scaled)
    return Projection(
        coordinates=coordinates, explained=_shares(coordinates, totals), fixed_basis=True
    )


def _scaled(features: Float[np.ndarray, "prompt d_model"]) -> Float64[np.ndarray, "prompt d_model"]:
    """The vectors about their mean, with a mean square of 1 where they vary."""
    centred = centre(features)
    spread = np.sqrt(np.vdot(centred, centred) / len(centred))
    if spread > 0:
        centred /= spread
    return centred


def project_per_layer(
    features: Float[np.ndarray, "prompt layer d_model"], n_axes: int = 3
) -> Projection:
    """Every layer on its own principal axes, in the model's own units."""
    n_prompts, n_layers, d_model = features.shape
    n_axes = min(n_axes, n_prompts, d_model)
    coordinates = np.empty((n_layers, n_prompts, n_axes))
    total = np.empty(n_layers)
    for layer in range(n_layers):
        centred = centre(features[:, layer])
        axes = principal_axes(centred, n_axes)[0][:n_axes]
        coordinates[layer] = centred @ _signed(axes).T
        total[layer] = np.vdot(centred, centred)
    return Projection(
        coordinates=coordinates, explained=_shares(coordinates, total), fixed_basis=False
    )


def _signed(axes: Float64[np.ndarray, "axis d_model"]) -> Float64[np.ndarray, "axis d_model"]:
    """Axes whose largest loading is positive, so that the picture does not flip between runs."""
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    return np.asarray(axes * np.where(largest < 0, -1.0, 1.0))


def _shares(
    coordinates: Float64[np.ndarray, "layer prompt axis"], total: Float64[np.ndarray, " layer"]
) -> Float64[np.ndarray, "layer axis"]:
    held = (coordinates**2).sum(axis=1)
    return np.asarray(held / np.where(total > 0, total, np.nan)[:, None])


def projection_cells(model: ModelFeatures, site: SiteName) -> Iterator[Cell]:
    """Cells of the tables `points` and `axes`, on one basis for all layers and layer by layer."""
    kept = sampled_rows(model.design, most=MAX_POINTS)
    every = model.keys
    keys = [every[row] for row in kept]
    for whole in (project_fixed(model.sites[site]), project_per_layer(model.sites[site])):
        projection = dataclasses.replace(whole, coordinates=whole.coordinates[:, kept])
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
