"""Inner products of prompts: the input of every statistic of class means."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64


def centred_gram(
    features: Float[np.ndarray, "prompt layer d_model"], *, standardise: bool = False
) -> Float64[np.ndarray, "layer prompt prompt"]:
    """Inner products of the prompts' vectors at each layer, about the mean of all prompts.

    A direction is a weighted sum of prompts whose weights add to zero, so that centring changes no
    direction and keeps a large common offset out of the rounding.

    Args:
        features: One vector per prompt and layer.
        standardise: Divide each dimension by its standard deviation over all prompts first
            (dimensions that never change count as zero): the z-scored twin, in which no rogue
            dimension can dominate.
    """
    n_prompts, n_layers, _ = features.shape
    gram = np.empty((n_layers, n_prompts, n_prompts), dtype=np.float64)
    for layer in range(n_layers):
        centred = centre(features[:, layer])
        if standardise:
            centred = divide_by_sd(centred)
        gram[layer] = centred @ centred.T
    return gram


def centre(features: Float[np.ndarray, "prompt d_model"]) -> Float64[np.ndarray, "prompt d_model"]:
    """The vectors about their mean, in float64; exactly zero where all prompts agree."""
    offset = features.astype(np.float64) - features[0].astype(np.float64)
    return np.asarray(offset - offset.mean(axis=0))


def divide_by_sd(
    centred: Float64[np.ndarray, "prompt d_model"],
) -> Float64[np.ndarray, "prompt d_model"]:
    """Each dimension over its standard deviation; zero where that is rounding error only."""
    sd = centred.std(axis=0)
    return np.asarray(centred * inverse_sd(sd))


def divided_features(
    features: Float[np.ndarray, "prompt layer d_model"],
) -> Float64[np.ndarray, "prompt layer d_model"]:
    """Every layer centred and divided by its dimensions' standard deviations over all prompts."""
    return np.stack(
        [divide_by_sd(centre(features[:, layer])) for layer in range(features.shape[1])], axis=1
    )


def inverse_sd(sd: Float64[np.ndarray, " d_model"]) -> Float64[np.ndarray, " d_model"]:
    """1 / sd, and 0 for dimensions that never change."""
    alive = sd > 1e-12 * max(float(sd.max(initial=0.0)), np.finfo(np.float64).tiny)
    return np.asarray(np.divide(1.0, sd, out=np.zeros_like(sd), where=alive))
