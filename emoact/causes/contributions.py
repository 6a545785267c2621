"""Contributions of embedding, heads, MLPs and biases to a direction; numpy in, a frame out.

The residual stream is a sum: embedding, and what each head, MLP and bias before it has added. Each
term projected on a direction is a contribution, and they sum to the projection of the stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Float32, Float64, Int

from emoact.causes.asked import Checked, option
from emoact.data.controls import MOST_DRAWS
from emoact.errors import RequestError
from emoact.positions import Pooling
from emoact.sites import SiteName
from emoact.stats.design import Design, class_weights, contrast_against, contrast_prompt_weights
from emoact.stats.null.permutation import max_statistic_test
from emoact.stats.null.relabelling import relabellings
from emoact.stats.null.uncertainty import (
    bootstrap_counts,
    fewest_scenarios,
    small_sample_interval,
)

if TYPE_CHECKING:
    import pandas as pd

TERM_SITES: tuple[SiteName, ...] = ("resid_pre", "z", "attn_out", "mlp_out")
"""Sites that are read for the terms."""

TARGETS: tuple[SiteName, ...] = ("resid_pre", "resid_mid", "resid_post")
"""Streams whose direction can be taken apart."""

_ROUNDING = 1e-9
"""Norm of a direction that counts as none, as a share of the largest activation."""

_NUMBERED = ("layer", "head", "kv_group")
_CHUNK = 256
"""Relabellings whose sums are held in memory at once."""


@dataclass(frozen=True, kw_only=True)
class Target(Checked):
    """The stream whose direction is taken apart. `site`: one of `TARGETS`."""

    site: SiteName = option("--site", "resid_pre", choices=TARGETS)
    layer: int = option("--layer")
    pooling: Pooling = option("--pooling", "mean_content")

    @property
    def n_attention(self) -> int:
        """Attention layers before it."""
        return self.layer + (self.site != "resid_pre")

    @property
    def n_mlp(self) -> int:
        """MLP layers before it."""
        return self.layer + (self.site == "resid_post")

    @property
    def sites(self) -> tuple[SiteName, ...]:
        """Sites that a pass reads."""
        return tuple(dict.fromkeys((*TERM_SITES, self.site)))

    def check(self, n_layers: int) -> None:
        """Raise `RequestError` for a layer that the model does not have."""
        check_layer(self.layer, n_layers)
        if self.site == "resid_post" and self.layer < n_layers - 1:
            raise RequestError(
                f"resid_post is read at the last layer, {n_layers - 1}, and not at {self.layer}",
                remedy=f"Take resid_pre of layer {self.layer + 1}, which is the same.",
            )


def check_layer(layer: int, n_layers: int) -> None:
    """Raise `RequestError` for a layer that the model does not have."""
    if not 0 <= layer < n_layers:
        raise RequestError(f"layer is {layer}; the model has the layers 0 to {n_layers - 1}")


def check_width(vectors: np.ndarray, d_model: int) -> None:
    """Raise `RequestError` for directions of another width than the stream of the model."""
    if vectors.shape[-1] != d_model:
        raise RequestError(
            f"the direction has {vectors.shape[-1]} numbers and the stream of this model {d_model}",
            remedy="Choose a direction of this model.",
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Terms:
    """Pooled terms of the residual stream of some prompts, before any projection.

    A head has d_head numbers and no d_model of them: `output` maps them when a direction is there.

    Attributes:
        embedding: Input of the first layer.
        heads: What enters the output projection, layer by layer; where a norm follows it, times the
            scale of that norm in this pass.
        bias: The pooled scale of the bias of the output projection.
        mlp: What each MLP adds, layer by layer.
        target: The stream that they sum to.
        output: The output projection of each layer, with the gain of the norm behind it.
        output_bias: Its bias, likewise.
        kv_group: Group of keys and values that each head reads.
    """

    embedding: Float32[np.ndarray, "prompt d_model"]
    heads: Sequence[Float32[np.ndarray, "prompt head d_head"]]
    bias: Sequence[Float32[np.ndarray, " prompt"]]
    mlp: Sequence[Float32[np.ndarray, "prompt d_model"]]
    target: Float32[np.ndarray, "prompt d_model"]
    output: Sequence[Float32[np.ndarray, "head_d_head d_model"]]
    output_bias: Sequence[Float32[np.ndarray, " d_model"]]
    kv_group: Int[np.ndarray, " head"]

    @property
    def components(self) -> pd.DataFrame:
        """One row for each term: `component`, `layer`, `head`, `kv_group`; -1 where there is none.

        Embedding first, then layer by layer the heads, the bias where there is one, and the MLP.
        """
        import pandas as pd

        rows = [("embedding", -1, -1, -1)]
        for layer in range(max(len(self.heads), len(self.mlp))):
            if layer < len(self.heads):
                rows += [("head", layer, h, int(g)) for h, g in enumerate(self.kv_group)]
                rows += [("bias", layer, -1, -1)] if self.output_bias[layer].any() else []
            rows += [("mlp", layer, -1, -1)] if layer < len(self.mlp) else []
        return pd.DataFrame(rows, columns=["component", "layer", "head", "kv_group"])


@dataclass(frozen=True, kw_only=True)
class ContrastSettings(Checked):
    """Settings of the table of contributions."""

    neutral: str = option("--neutral", "neutral")
    n_permutations: int = option("--permutations", 2000, least=1, most=MOST_DRAWS)
    n_bootstrap: int = option("", 1000, least=1, most=MOST_DRAWS)
    seed: int = option("--seed", 0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Contributions:
    """Contributions to the direction of one emotion at one place of a model.

    Attributes:
        table: `Terms.components` with `contrast`, `low`, `high`, `chance` (its mean over
            relabellings) and `p`.
        by_layer: `component`, `layer`, `sum`, `low`, `high`: the heads, the MLP and the bias of
            each layer together.
        direction: Mean over the emotion's prompts minus mean over neutral ones.
        gap: Largest difference over prompts between the sum of the contributions and the projection
            of the stream, as a share of the largest contribution of a prompt.
        values: What every component contributes to every prompt, on the unit direction.
    """

    table: pd.DataFrame
    by_layer: pd.DataFrame
    direction: Float64[np.ndarray, " d_model"]
    gap: float
    values: Float64[np.ndarray, "prompt component"]

    @property
    def direction_norm(self) -> float:
        """Norm of the direction."""
        return float(np.linalg.norm(self.direction))

    @property
    def total(self) -> float:
        """Sum of the contrasts: the norm of the direction, but for rounding."""
        return float(self.table["contrast"].sum())


def project(
    terms: Terms, direction: Float[np.ndarray, " d_model"]
) -> Float64[np.ndarray, "prompt component"]:
    """The contribution of every term to a direction, in the order of `Terms.components`."""
    weights = np.eye(len(terms.target))
    directions = np.broadcast_to(direction, (len(weights), len(direction)))
    return _projected(terms, weights, directions)


def contributions(
    terms: Terms, design: Design, emotion: str, settings: ContrastSettings
) -> Contributions:
    """Contrasts of the contributions of one emotion, with intervals and p-values.

    The contrast of a term is its mean over the emotion's prompts minus that over neutral ones,
    projected on the unit direction, which is the same difference of the stream. The interval
    resamples scenarios with the direction held, and is as wide as few of them need. The null
    relabels prompts within scenarios and makes the direction anew under each relabelling, since a
    direction always finds some of the noise that it was made from. p compares the distance of a
    contrast from its mean over relabellings, in standard deviations, with the largest such distance
    over all terms.

    Raises:
        RequestError: A class is missing, or the direction is zero.
    """
    contrast = contrast_against(design, emotion, settings.neutral)
    weights = contrast_prompt_weights(class_weights(design), contrast)
    direction = weights @ terms.target.astype(np.float64)
    norm = float(np.linalg.norm(direction))
    if not norm > _ROUNDING * float(np.abs(terms.target).max()):
        raise RequestError(f"{emotion} and {settings.neutral} have the same mean: no direction")
    values = project(terms, direction / norm)
    gap = np.abs(values.sum(axis=1) - terms.target.astype(np.float64) @ direction / norm).max()
    keep = bootstrap_counts(design, settings.n_bootstrap, seed=settings.seed)
    drawn = bootstrap_weights(design, keep, contrast) @ values
    few = fewest_scenarios(design, contrast)
    low, high = small_sample_interval(drawn, few)
    labels = relabellings(
        design, emotion, (settings.neutral,), settings.n_permutations, seed=settings.seed
    )
    used = contrast[design.label_of] != 0
    null = _relabelled(terms, _sides(labels[:], used))
    test = max_statistic_test(np.abs(null - null.mean(axis=0)))
    table = terms.components.assign(
        contrast=weights @ values, low=low, high=high, chance=null[1:].mean(axis=0), p=test.p_max
    )
    return Contributions(
        table=table,
        by_layer=_by_layer(table, drawn, few),
        direction=direction,
        gap=float(gap / np.abs(values).max()),
        values=values,
    )


def _by_layer(
    table: pd.DataFrame, drawn: Float64[np.ndarray, "draw component"], n_scenarios: int
) -> pd.DataFrame:
    """Sums over the components of a kind at each layer, with the intervals of these sums."""
    groups = table.groupby(["component", "layer"])
    sums = groups["contrast"].sum().rename("sum").reset_index()
    places = [drawn[:, rows].sum(axis=1) for rows in groups.indices.values()]
    low, high = small_sample_interval(np.stack(places, axis=1), n_scenarios)
    return sums.assign(low=low, high=high)


def _sides(labels: np.ndarray, used: np.ndarray) -> Float64[np.ndarray, "draw prompt"]:
    """Weights whose product with vectors is the difference of both means, for each relabelling."""
    emotion = labels & used
    neutral = ~labels & used
    plus = emotion / emotion.sum(axis=1, keepdims=True)
    return np.asarray(plus - neutral / neutral.sum(axis=1, keepdims=True), dtype=np.float64)


def bootstrap_weights(
    design: Design, counts: Int[np.ndarray, "draw scenario"], contrast: np.ndarray
) -> Float64[np.ndarray, "draw prompt"]:
    """Weights that give a contrast of class means in each draw of scenarios.

    NaN where a draw lacks one of the classes.
    """
    often = counts[:, design.scenario_of].astype(np.float64)
    weights = np.zeros_like(often)
    for label in np.flatnonzero(contrast):
        own = often * design.members[label]
        total = own.sum(axis=1, keepdims=True)
        weights += contrast[label] * own / np.where(total > 0, total, np.nan)
    return weights


def _relabelled(
    terms: Terms, weights: Float64[np.ndarray, "draw prompt"]
) -> Float64[np.ndarray, "draw component"]:
    """Contrast of every term on the unit direction of the same relabelling."""
    found = []
    for start in range(0, len(weights), _CHUNK):
        part = weights[start : start + _CHUNK]
        directions = part @ terms.target.astype(np.float64)
        norms = np.linalg.norm(directions, axis=1, keepdims=True)
        found.append(_projected(terms, part, directions / np.where(norms > 0, norms, 1.0)))
    return np.concatenate(found)


def _projected(
    terms: Terms,
    weights: Float64[np.ndarray, "draw prompt"],
    directions: Float64[np.ndarray, "draw d_model"],
) -> Float64[np.ndarray, "draw component"]:
    """Weighted sums over prompts of every term, each projected on the direction of its row."""

    def whole(vectors: np.ndarray) -> np.ndarray:
        summed = weights @ vectors.astype(np.float64)
        projected: np.ndarray = np.einsum("bd,bd->b", summed, directions)[:, None]
        return projected

    columns = [whole(terms.embedding)]
    for layer in range(max(len(terms.heads), len(terms.mlp))):
        if layer < len(terms.heads):
            heads = terms.heads[layer]
            shape = (len(weights), *heads.shape[1:])
            summed = weights @ heads.reshape(len(heads), -1).astype(np.float64)
            read = directions @ terms.output[layer].T.astype(np.float64)
            columns.append((summed * read).reshape(shape).sum(axis=2))
            if terms.output_bias[layer].any():
                scale = weights @ terms.bias[layer].astype(np.float64)
                columns.append((scale * (directions @ terms.output_bias[layer]))[:, None])
        if layer < len(terms.mlp):
            columns.append(whole(terms.mlp[layer]))
    return np.concatenate(columns, axis=1)


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The table in plain JSON: None in place of a layer, head or group that a term has not."""
    return [
        {name: None if value == -1 and name in _NUMBERED else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]
