"""Raw cosine of two models' directions, a negative control, with its null distribution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64

from emoact.stats.cosine import plain_cosine


@dataclass(frozen=True, kw_only=True, eq=False)
class RawCosine:
    """Cosine of two directions that have no basis in common.

    Attributes:
        band: 2.5 % and 97.5 % quantiles when both models' labels are shuffled within scenarios.
        isotropic: 1.96 / sqrt(d_model), the band of isotropic noise; real activations have steeper
            spectra, and a wider band.
    """

    value: Float64[np.ndarray, " layer"]
    band: Float64[np.ndarray, "2 layer"]
    isotropic: float


def relabelled_directions(
    features: Float[np.ndarray, "prompt layer d_model"],
    draws: Bool[np.ndarray, "draw prompt"],
    pool: Bool[np.ndarray, " prompt"],
) -> Float64[np.ndarray, "draw layer d_model"]:
    """The plain direction under each of the draws of `permutation.relabellings`."""
    emotion = draws[:, pool].astype(np.float64)
    reference = 1 - emotion
    weights = emotion / emotion.sum(axis=1, keepdims=True) - reference / reference.sum(
        axis=1, keepdims=True
    )
    return np.asarray(np.tensordot(weights, features[pool].astype(np.float64), axes=1))


def compare_raw(
    first: Float[np.ndarray, "layer d_model"],
    second: Float[np.ndarray, "layer d_model"],
    first_null: Float[np.ndarray, "draw layer d_model"],
    second_null: Float[np.ndarray, "draw layer d_model"],
) -> RawCosine:
    """The cosine of two models' directions and its band under shuffled labels.

    The two nulls should come from relabellings of different seeds.
    """
    return RawCosine(
        value=plain_cosine(first, second),
        band=np.quantile(plain_cosine(first_null, second_null), (0.025, 0.975), axis=0),
        isotropic=1.96 / float(np.sqrt(first.shape[-1])),
    )
