import numpy as np
import pytest

from emoact.errors import RequestError
from emoact.positions import MASSIVE, Pooling, pool_layers, pool_sample

SAMPLE = np.array([[100, 100], [1, 2], [3, 6], [5, 1]], dtype=np.float32)


@pytest.mark.parametrize(
    ("pooling", "content", "expected"),
    [
        ("mean_content", (1, 4), [3, 3]),
        ("mean_content", (0, 4), [27.25, 27.25]),
        ("mean_content", (1, 3), [2, 4]),
        ("last", (1, 4), [5, 1]),
        ("last", (1, 3), [3, 6]),
        ("last_template", (1, 3), [5, 1]),
        ("mean_all", (1, 3), [27.25, 27.25]),
    ],
)
def test_positions_of_pooling(
    pooling: str, content: tuple[int, int], expected: list[float]
) -> None:
    pooled = pool_sample(SAMPLE, pooling=pooling, content=content)  # type: ignore[arg-type]
    np.testing.assert_allclose(pooled, expected)
    assert pooled.dtype == np.float32


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("mean_content", [1, 2]),
        ("last", [1, 2]),
        ("last_template", [3, 6]),
        ("mean_response", [5, 1]),
        ("mean_all", [27.25, 27.25]),
    ],
)
def test_a_response_enters_its_own_mean_only(pooling: Pooling, expected: list[float]) -> None:
    pooled = pool_sample(SAMPLE, pooling=pooling, content=(1, 2), response=(3, 4))
    np.testing.assert_allclose(pooled, expected)


@pytest.mark.parametrize("pooling", ["mean_content", "last", "mean_response"])
def test_prompt_without_content_or_response_pools_to_nan(pooling: Pooling) -> None:
    assert np.isnan(pool_sample(SAMPLE[:1], pooling=pooling)).all()


def test_sum_is_kept_in_float64() -> None:
    sample = np.concatenate([np.full((1, 1), 2**24), np.ones((2**10, 1))]).astype(np.float32)
    expected = (2**24 + 2**10) / (2**10 + 1)
    assert pool_sample(sample, pooling="mean_all")[0] == pytest.approx(expected, rel=1e-7)


def test_layers_agree_with_numpy() -> None:
    rng = np.random.default_rng(0)
    layers = [[rng.normal(size=(n, 3)).astype(np.float32) for n in (3, 5)] for _ in range(4)]
    pooled = pool_layers(layers)
    assert pooled.shape == (2, 4, 3)
    np.testing.assert_allclose(pooled[1, 2], layers[2][1][1:].mean(axis=0), rtol=1e-5)


def plant_massive(rng: np.random.Generator) -> list[list[np.ndarray]]:
    """Two layers of six prompts; position 3 of prompt 2 is massive at layer 1 alone."""
    layers = [[rng.uniform(1, 2, (7, 4)).astype(np.float32) for _ in range(6)] for _ in range(2)]
    for samples in layers:
        for sample in samples:
            sample[0] = 1000
    layers[1][2][3] *= 2 * MASSIVE
    return layers


def test_position_that_is_massive_at_one_layer_is_left_out_at_all_of_them() -> None:
    layers = plant_massive(np.random.default_rng(1))
    found = pool_layers(layers, pooling="mean_typical")
    plain = pool_layers(layers)
    others = [0, 1, 3, 4, 5]
    np.testing.assert_array_equal(found[others], plain[others])
    for layer in range(2):
        expected = layers[layer][2][[1, 2, 4, 5, 6]].mean(axis=0)
        np.testing.assert_allclose(found[2, layer], expected, rtol=1e-6)


def test_value_that_is_not_finite_is_not_left_out_silently() -> None:
    layers = plant_massive(np.random.default_rng(2))
    layers[0][1][2] = np.inf
    layers[0][4][5] = np.nan
    found = pool_layers(layers, pooling="mean_typical")
    assert not np.isfinite(found[[1, 4], 0]).any()


def test_no_prompt_and_of_one_its_massive_positions_cannot_be_pooled() -> None:
    with pytest.raises(RequestError, match="no sample"):
        pool_layers([[]])
    with pytest.raises(RequestError, match="mean_typical"):
        pool_sample(SAMPLE, pooling="mean_typical")
