"""Terms of a small residual stream that sum to it exactly, of noise or with a planted head."""

import dataclasses

import numpy as np

from emoact.causes.contributions import Terms
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
