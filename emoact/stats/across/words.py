"""Models that know words only: random word vectors, and activations without words and length."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64, Int

from emoact.stats.vectors import centre, divide_by_sd

WIDTH = 256
_PENALTIES = np.geomspace(1.0, 1e5, 6)
_LENGTH_SCALE = 16.0
"""Factor of the length among the predictors, so that the penalty leaves its slope alone."""


def word_vectors(
    texts: Sequence[str], *, seed: int = 0
) -> Float64[np.ndarray, "prompt word_dimension"] | None:
    """Mean of a random vector for each word of a prompt; None where a prompt has no words.

    A model of two hundred and fifty-six dimensions that knows which words, numbers and marks occur,
    and nothing of what they mean or of their order.
    """
    words = [re.findall(r"\w+|[^\w\s]", text.lower()) for text in texts]
    if not all(words):
        return None
    known = {word: row for row, word in enumerate(sorted({w for own in words for w in own}))}
    vectors = np.random.default_rng([seed, 6]).normal(size=(len(known), WIDTH))
    return np.stack([vectors[[known[word] for word in own]].mean(axis=0) for own in words])


def word_predictors(
    vectors: Float[np.ndarray, "prompt word_dimension"], n_tokens: Int[np.ndarray, " prompt"]
) -> Float64[np.ndarray, "prompt predictor"]:
    """Random word vectors and the length of each prompt, standardised."""
    length = divide_by_sd(centre(n_tokens.astype(np.float64)[:, None]))
    return np.hstack([divide_by_sd(centre(vectors)), _LENGTH_SCALE * length])


def without_words(
    features: Float[np.ndarray, "prompt d_model"],
    predictors: Float[np.ndarray, "prompt predictor"],
    folds: Int[np.ndarray, " prompt"],
) -> Float64[np.ndarray, "prompt d_model"]:
    """Residuals of a ridge regression of other scenarios on words and length.

    Labels take no part, so that a test that exchanges them stays exact. Of six penalties the one
    with the smallest held-out error is taken.
    """
    residuals = np.repeat(features[None].astype(np.float64), len(_PENALTIES), axis=0)
    for fold in np.unique(folds):
        test = folds == fold
        train, mean = predictors[~test], features[~test].mean(axis=0)
        values, axes = np.linalg.eigh(train.T @ train)
        scores = axes.T @ (train.T @ (features[~test] - mean))
        for row, penalty in enumerate(_PENALTIES):
            slopes = scores / (np.maximum(values, 0) + penalty)[:, None]
            residuals[row, test] -= mean + (predictors[test] @ axes) @ slopes
    errors = np.einsum("rpd,rpd->r", residuals, residuals)
    return np.asarray(residuals[int(errors.argmin())])
