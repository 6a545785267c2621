"""Principal axes of the prompts: coordinates and explained variance."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

from emoact.measures import Measure
from emoact.schema import Site
from emoact.stats.features import ModelFeatures
from emoact.stats.gram import centre


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

    @property
    def basis(self) -> str:
        """Value of the column `basis`."""
        return "fixed" if self.fixed_basis else "per_layer"


def project_fixed(
    features: Float[np.ndarray, "prompt layer d_model"], n_axes: int = 3
) -> Projection:
    """Every layer on the principal axes of all layers together.

    Each layer is centred and scaled to the same total variance before the axes are fitted, so that
    late layers with large norms do not choose them alone. The coordinates are in the scaled units:
    distances are shares of the layer's own spread.
    """
    n_prompts, n_layers, d_model = features.shape
    scaled = np.empty((n_layers, n_prompts, d_model))
    for layer in range(n_layers):
        centred = centre(features[:, layer])
        spread = np.sqrt((centred**2).sum() / n_prompts)
        scaled[layer] = centred / spread if spread > 0 else centred
    flat = scaled.reshape(-1, d_model)
    if len(flat) > d_model:
        _, vectors = np.linalg.eigh(flat.T @ flat)
        axes = vectors[:, ::-1].T[:n_axes]
    else:
        axes = np.linalg.svd(flat, full_matrices=False)[2][:n_axes]
    axes = _signed(axes)
    coordinates = scaled @ axes.T
    return Projection(
        coordinates=coordinates,
        explained=_shares(coordinates, (scaled**2).sum(axis=(1, 2))),
        fixed_basis=True,
    )


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
        axes = np.linalg.svd(centred, full_matrices=False)[2][:n_axes]
        coordinates[layer] = centred @ _signed(axes).T
        total[layer] = (centred**2).sum()
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


@dataclass(frozen=True, kw_only=True, eq=False)
class PointCell:
    """All prompts at all layers on one set of axes: a cell of the table `points`."""

    model: ModelFeatures
    site: Site
    projection: Projection

    @property
    def ids(self) -> dict[str, Any]:
        """Identifier columns, one row per (layer, prompt)."""
        design, n_layers = self.model.design, len(self.projection.coordinates)
        return {
            "model": self.model.model,
            "site": self.site,
            "layer": np.repeat(np.arange(n_layers), design.n_prompts),
            "emotion": np.tile(np.array(design.labels, dtype=object)[design.label_of], n_layers),
            "prompt_id": [prompt.id for prompt in self.model.prompts] * n_layers,
            "basis": self.projection.basis,
        }

    def axis(self, number: int) -> Float64[np.ndarray, " row"]:
        """Coordinates on one axis; NaN where there are fewer axes."""
        coordinates = self.projection.coordinates
        if number >= coordinates.shape[2]:
            return np.full(coordinates.shape[0] * coordinates.shape[1], np.nan)
        return coordinates[..., number].ravel()


@dataclass(frozen=True, kw_only=True, eq=False)
class AxisCell:
    """Every axis of every layer: a cell of the table `axes`."""

    model: ModelFeatures
    site: Site
    projection: Projection

    @property
    def ids(self) -> dict[str, Any]:
        """Identifier columns, one row per (layer, axis)."""
        n_layers, n_axes = self.projection.explained.shape
        return {
            "model": self.model.model,
            "site": self.site,
            "layer": np.repeat(np.arange(n_layers), n_axes),
            "basis": self.projection.basis,
            "axis": np.tile(np.arange(n_axes), n_layers),
        }


MEASURES = (
    *(
        Measure(
            name=f"pc{number + 1}",
            table="points",
            definition=f"Coordinate on principal axis {number + 1}, about the mean of the layer",
            unit="model units (per_layer), or shares of the layer's spread (fixed)",
            compute=operator.methodcaller("axis", number),
        )
        for number in range(3)
    ),
    Measure(
        name="explained",
        table="axes",
        definition="Share of the layer's variance along the axis",
        compute=lambda cell: cell.projection.explained.ravel(),
    ),
)
