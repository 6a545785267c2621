"""Numbers of attention patterns against scipy and by hand."""

import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy

from emoact.causes.attention import entropy, means_of, previous_mass, shares_of


def patterns(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    raw = np.tril(np.random.default_rng(seed).random(shape))
    return np.asarray(raw / raw.sum(axis=-1, keepdims=True))


def test_the_entropy_is_that_of_scipy() -> None:
    pattern = patterns((3, 5, 5))
    np.testing.assert_allclose(entropy(pattern), scipy_entropy(pattern, base=2, axis=-1))
    assert entropy(pattern)[:, 0].tolist() == [0.0, 0.0, 0.0]


def test_a_head_that_reads_the_token_before_has_all_its_mass_there() -> None:
    pattern = np.eye(5, k=-1)
    pattern[0, 0] = 1.0
    assert previous_mass(pattern).tolist() == [0.0, 1.0, 1.0, 1.0, 1.0]


def test_means_take_the_queries_of_the_text() -> None:
    pattern = patterns((2, 3, 6, 6))
    table = means_of(shares_of(pattern), (1, 5))
    assert table[["layer", "head"]].to_numpy().tolist() == [
        [0, 0],
        [0, 1],
        [0, 2],
        [1, 0],
        [1, 1],
        [1, 2],
    ]
    row = table.iloc[4]
    assert row["first_mass"] == pytest.approx(pattern[1, 1, 1:5, 0].mean())
    assert row["previous_mass"] == pytest.approx(
        np.mean([pattern[1, 1, q, q - 1] for q in range(1, 5)])
    )
    assert row["entropy"] == pytest.approx(
        scipy_entropy(pattern[1, 1, 1:5], base=2, axis=-1).mean()
    )
