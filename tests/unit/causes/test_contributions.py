"""Contributions of planted heads and of noise."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from emoact.causes.contributions import ContrastSettings, Target, Terms, contributions
from emoact.errors import RequestError
from emoact.stats.design import Design, design_of

N_LAYERS, N_HEADS, D_HEAD, D_MODEL = 2, 4, 3, 12


def matched_design(n_scenarios: int = 12) -> Design:
    """One prompt of the emotion and one neutral one in every scenario, the emotion first."""
    names = [f"s{number}" for number in range(n_scenarios)]
    return design_of(["joy"] * n_scenarios + ["neutral"] * n_scenarios, names * 2)


def noise(n_prompts: int, seed: int) -> Terms:
    """Terms without any difference between the classes."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    terms = Terms(
        embedding=normal(n_prompts, D_MODEL),
        heads=[normal(n_prompts, N_HEADS, D_HEAD) for _ in range(N_LAYERS)],
        bias=[1 + normal(n_prompts) / 10 for _ in range(N_LAYERS)],
        mlp=[normal(n_prompts, D_MODEL) for _ in range(N_LAYERS)],
        target=np.zeros((n_prompts, D_MODEL), np.float32),
        output=[normal(N_HEADS * D_HEAD, D_MODEL) for _ in range(N_LAYERS)],
        output_bias=[normal(D_MODEL), np.zeros(D_MODEL, np.float32)],
        kv_group=np.arange(N_HEADS) // 2,
    )
    return summed(terms)


def planted(n_scenarios: int, *, seed: int, layer: int, head: int, size: float) -> Terms:
    """The same, where one head alone writes the class along the first dimension."""
    terms = noise(2 * n_scenarios, seed)
    heads = [each.copy() for each in terms.heads]
    output = [each.copy() for each in terms.output]
    heads[layer][:, head, 0] += size * (np.arange(2 * n_scenarios) < n_scenarios)
    output[layer][head * D_HEAD] = np.eye(D_MODEL)[0]
    return summed(dataclasses.replace(terms, heads=heads, output=output))


def summed(terms: Terms) -> Terms:
    """The terms with the stream that they sum to."""
    total = terms.embedding.astype(np.float64) + sum(terms.mlp)
    for layer, heads in enumerate(terms.heads):
        total = total + heads.reshape(len(heads), -1) @ terms.output[layer]
        total = total + np.outer(terms.bias[layer], terms.output_bias[layer])
    return dataclasses.replace(terms, target=total.astype(np.float32))


FAST = ContrastSettings(n_permutations=199, n_bootstrap=100)
QUIET = ContrastSettings(n_permutations=1, n_bootstrap=1000)


def test_dead_heads_contribute_nothing_and_leave_their_layer_to_the_last_one() -> None:
    terms = planted(12, seed=4, layer=0, head=0, size=10.0)
    output = [each.copy() for each in terms.output]
    output[1][: (N_HEADS - 1) * D_HEAD] = 0.0
    terms = summed(dataclasses.replace(terms, output=output))

    found = contributions(terms, matched_design(), "joy", FAST)
    own = found.table[(found.table["component"] == "head") & (found.table["layer"] == 1)]
    dead, alive = own[own["head"] < N_HEADS - 1], own[own["head"] == N_HEADS - 1]

    assert not dead[["contrast", "low", "high"]].to_numpy().any()
    assert set(dead["p"]) == {1.0}
    sums = found.by_layer[(found.by_layer["component"] == "head") & (found.by_layer["layer"] == 1)]
    np.testing.assert_allclose(
        sums[["sum", "low", "high"]], alive[["contrast", "low", "high"]], rtol=1e-12
    )


def test_intervals_of_few_scenarios_cover_the_contrast_along_the_direction() -> None:
    """Of a direction that all data sets share, so that the truth is 0 for every other term."""
    n, covered = 12, []
    for seed in range(60):
        terms = planted(n, seed=seed, layer=0, head=0, size=400.0)
        found = contributions(terms, matched_design(n), "joy", QUIET).table
        noisy = found[found["layer"] > 0]
        covered += ((noisy["low"] <= 0) & (noisy["high"] >= 0)).tolist()
    assert 0.93 < np.mean(covered) < 0.97


def test_noise_has_no_significant_component_more_often_than_stated() -> None:
    design = matched_design()
    settings = dataclasses.replace(FAST, n_permutations=99, n_bootstrap=2)
    alarms = [
        contributions(noise(24, 100 + seed), design, "joy", settings).table["p"].min() <= 0.05
        for seed in range(40)
    ]
    assert sum(alarms) <= 5


def test_classes_without_a_difference_have_no_direction() -> None:
    terms = noise(24, 0)
    alike = dataclasses.replace(terms, target=np.ones_like(terms.target))
    with pytest.raises(RequestError, match="the same mean"):
        contributions(alike, matched_design(), "joy", FAST)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"site": "mlp_out", "layer": 1}, "site is 'mlp_out'; allowed are resid_pre"),
        ({"layer": 4}, "layer is 4; the model has the layers 0 to 3"),
        ({"layer": -1}, "layer is -1"),
        ({"site": "resid_post", "layer": 1}, "read at the last layer, 3"),
    ],
)
def test_a_place_that_does_not_exist_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Target(**fields).check(4)
