"""Terms of a residual stream without a difference between classes, for `calibrate_analysis.py`."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from emoact.causes.contributions import ContrastSettings, Terms, contributions
from emoact.stats.design import design_of

Kind = Literal["independent", "shared by scenario", "one massive head", "rogue dimension"]
KINDS: tuple[Kind, ...] = get_args(Kind)
DESIGNS = ("matched", "unmatched")

N_LAYERS, N_HEADS, D_HEAD, D_MODEL, N_SCENARIOS = 4, 4, 4, 24, 20
PERMUTATIONS = 199
_MASSIVE = 20.0


def false_alarm(design: str, kind: Kind, seed: tuple[int, ...]) -> bool:
    """True where any component of a direction of noise has p ≤ .05.

    Args:
        design: `matched` has a prompt of both classes in every scenario, `unmatched` has scenarios
            of one class each.
        kind: What prompts differ in apart from their class.
        seed: Of the data set.
    """
    rng = np.random.default_rng(seed)
    names = [f"s{at}" for at in range(N_SCENARIOS)]
    if design == "unmatched":
        scenarios = [f"{label}{name}" for label in "jn" for name in names]
    else:
        scenarios = names * 2
    labels = ["joy"] * N_SCENARIOS + ["neutral"] * N_SCENARIOS
    found = contributions(
        _terms(rng, kind),
        design_of(labels, scenarios),
        "joy",
        ContrastSettings(n_permutations=PERMUTATIONS, n_bootstrap=1, seed=seed[-1]),
    )
    return bool(found.table["p"].min() <= 0.05)


def _terms(rng: np.random.Generator, kind: Kind) -> Terms:
    n = 2 * N_SCENARIOS

    def normal(*shape: int) -> np.ndarray:
        values = rng.normal(size=shape)
        if kind == "shared by scenario":
            common = rng.normal(size=(N_SCENARIOS, *shape[1:]))
            values = values + 2 * np.concatenate([common, common])
        return values.astype(np.float32)

    heads = [normal(n, N_HEADS, D_HEAD) for _ in range(N_LAYERS)]
    if kind == "one massive head":
        heads[1][:, 2] *= _MASSIVE
    embedding, mlp = normal(n, D_MODEL), [normal(n, D_MODEL) for _ in range(N_LAYERS)]
    if kind == "rogue dimension":
        for each in (embedding, *mlp):
            each[:, 0] *= _MASSIVE
    output = [
        rng.normal(size=(N_HEADS * D_HEAD, D_MODEL)).astype(np.float32) / 4 for _ in range(N_LAYERS)
    ]
    written = [each.reshape(n, -1) @ weight for each, weight in zip(heads, output, strict=True)]
    return Terms(
        embedding=embedding,
        heads=heads,
        bias=[np.ones(n, np.float32)] * N_LAYERS,
        mlp=mlp,
        target=np.asarray(embedding + sum(mlp) + sum(written), dtype=np.float32),
        output=output,
        output_bias=[np.zeros(D_MODEL, np.float32)] * N_LAYERS,
        kv_group=np.arange(N_HEADS) // 2,
    )
