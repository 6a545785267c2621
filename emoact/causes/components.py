"""Terms of the residual stream, read in one pass through the model; imports torch.

What leaves a head is mapped by the output projection. Where a norm follows (Gemma 2 and 3, OLMo 2),
its scale is held at the value of this pass, which makes it a linear map of each position: the
terms of the heads then sum exactly to what attention adds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32

from emoact.causes.contributions import Target, Terms
from emoact.errors import RequestError
from emoact.extraction.bridge_engine import BridgeEngine
from emoact.extraction.engine import Tokenised, counted
from emoact.extraction.self_check import ADDITIVITY
from emoact.positions import pool_sample
from emoact.sites import SiteName

EXACT = 1e-5
"""Largest gap of a sum of float32 terms, as a share of the largest term."""

_LARGE = 100.0
"""Input of a norm beside which the constant under its root is nothing."""

_CHECKED = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class _Output:
    """The map from the heads of a layer to what its attention adds.

    Attributes:
        weight: Output projection, times the gain of a norm behind it.
        bias: Its bias, likewise.
        is_normed: A norm follows, so that each position has a scale of its own.
        factor: Scale of every position where none follows.
    """

    weight: Float32[np.ndarray, "head_d_head d_model"]
    bias: Float32[np.ndarray, " d_model"]
    is_normed: bool
    factor: float = 1.0

    def scale(self, z: np.ndarray, added: np.ndarray) -> Float[np.ndarray, " pos"]:
        """Scale of each position."""
        if not self.is_normed:
            return np.full(len(z), self.factor)
        mapped = self.mapped(z)
        square = np.einsum("pd,pd->p", mapped, mapped)
        return np.asarray(np.einsum("pd,pd->p", mapped, added) / np.where(square > 0, square, 1.0))

    def mapped(self, z: np.ndarray) -> Float[np.ndarray, "pos d_model"]:
        """Output of the heads before the scale."""
        return np.asarray(z.reshape(len(z), -1) @ self.weight + self.bias, dtype=np.float64)


def collect_terms(
    engine: BridgeEngine,
    prompts: Sequence[Tokenised],
    target: Target,
    on_part: Callable[[float], None] = lambda _: None,
    *,
    by_token: bool = False,
) -> Terms:
    """Pooled terms of every prompt, from one pass; the engine must read `target.sites`.

    `on_part` is called with the share that is done. With `by_token`, of a single prompt, the terms
    are those of each position in place of pooled ones.

    Raises:
        RequestError: The model has no such layer or no separate heads, or its heads do not sum to
            what its attention adds.
    """
    target.check(engine.facts.n_layers)
    outputs = _outputs(engine, target.n_attention)
    outputs = _checked(engine, prompts[:_CHECKED], outputs)
    n = len(prompts[0].ids) if by_token else len(prompts)
    d_model = engine.facts.d_model
    n_heads = int(engine.bridge.cfg.n_heads)
    heads = [
        np.empty((n, n_heads, len(output.weight) // n_heads), np.float32) for output in outputs
    ]
    bias = [np.empty(n, np.float32) for _ in outputs]
    mlp = [np.empty((n, d_model), np.float32) for _ in range(target.n_mlp)]
    embedding, stream = np.empty((2, n, d_model), np.float32)
    waiting: dict[tuple[int, int], np.ndarray] = {}

    def put(site: SiteName, layer: int, sample: int, rows: np.ndarray) -> None:
        place = slice(None) if by_token else sample

        def pooled(values: np.ndarray) -> np.ndarray:
            if by_token:
                return values
            prompt = prompts[sample]
            return pool_sample(
                values, pooling=target.pooling, content=prompt.content, response=prompt.response
            )

        if site == "resid_pre" and layer == 0:
            embedding[place] = pooled(rows)
        if site == target.site and layer == target.layer:
            stream[place] = pooled(rows)
        elif site == "mlp_out" and layer < target.n_mlp:
            mlp[layer][place] = pooled(rows)
        elif site == "z" and layer < target.n_attention:
            waiting[layer, sample] = rows
        elif site == "attn_out" and layer < target.n_attention:
            z = waiting.pop((layer, sample))
            scale = outputs[layer].scale(z, rows)
            scaled = z.reshape(len(z), n_heads, -1) * scale[:, None, None]
            heads[layer][place] = pooled(scaled).reshape(heads[layer][place].shape)
            bias[layer][place] = pooled(scale[:, None])[..., 0]

    engine.forward(prompts, put=put, on_pass=counted(lambda done: on_part(done / len(prompts))))
    groups = int(getattr(engine.bridge.cfg, "n_key_value_heads", None) or n_heads)
    return Terms(
        embedding=embedding,
        heads=heads,
        bias=bias,
        mlp=mlp,
        target=stream,
        output=[output.weight for output in outputs],
        output_bias=[output.bias for output in outputs],
        kv_group=np.arange(n_heads) // max(n_heads // groups, 1),
    )


def check_sum(gap: float, dtype: str) -> None:
    """Raise `RequestError`, with the gap, for terms that do not sum to the stream."""
    allowed = EXACT if dtype == "float32" else ADDITIVITY[dtype]
    if not gap <= allowed:
        raise RequestError(
            f"embedding, heads, MLPs and biases do not sum to the stream: {gap:.2g} of the largest "
            f"term is left over ({allowed:g} is allowed), so that no contribution would be exact",
            remedy="Contributions of this model cannot be given.",
        )


@torch.no_grad()
def _outputs(engine: BridgeEngine, n_layers: int) -> list[_Output]:
    bridge, found = engine.bridge, []
    for layer in range(n_layers):
        block = bridge.blocks[layer]
        projection = getattr(getattr(block, "attn", None), "o", None)
        if projection is None:
            raise RequestError(
                f"layer {layer} has no output projection of attention, so that its heads are not "
                "separate"
            )
        width, gain = _width(engine, projection), np.ones(1, np.float32)
        parameter = next(bridge.original_model.parameters())
        bias = _numbers(projection(parameter.new_zeros((1, 1, width))))[0]
        one_each = torch.eye(width, dtype=parameter.dtype, device=parameter.device)
        weight = _numbers(projection(one_each[None])) - bias
        norm = getattr(block, "ln1_post", None)
        if norm is not None:
            d_model = parameter.new_full((1, 1, engine.facts.d_model), _LARGE)
            gain = _numbers(norm(d_model))[0]
        found.append(_Output(weight=weight * gain, bias=bias * gain, is_normed=norm is not None))
    return found


def _width(engine: BridgeEngine, projection: Any) -> int:
    """Numbers that enter an output projection."""
    config = engine.bridge.cfg
    module = getattr(projection, "original_component", projection)
    return int(getattr(module, "in_features", int(config.n_heads) * int(config.d_head)))


def _numbers(rows: Any) -> np.ndarray:
    values: np.ndarray = rows[0].detach().to(device="cpu", dtype=torch.float32).numpy()
    return values


def _checked(
    engine: BridgeEngine, prompts: Sequence[Tokenised], outputs: Sequence[_Output]
) -> list[_Output]:
    """The maps with their factors, after a comparison with what attention adds."""
    z: dict[tuple[int, int], np.ndarray] = {}
    pairs: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}

    def put(site: SiteName, layer: int, sample: int, rows: np.ndarray) -> None:
        if site == "z":
            z[layer, sample] = rows.copy()
        elif site == "attn_out":
            pairs.setdefault(layer, []).append((z.pop((layer, sample)), rows.copy()))

    engine.forward(prompts, put=put)
    found = []
    dtype = str(next(engine.bridge.original_model.parameters()).dtype).removeprefix("torch.")
    for layer, output in enumerate(outputs):
        before, added = (np.concatenate(each) for each in zip(*pairs[layer], strict=True))
        mapped = output.mapped(before)
        if not output.is_normed:
            square = float(np.vdot(mapped, mapped))
            factor = float(np.vdot(mapped, added)) / square if square > 0 else 1.0
            # A multiplier of the stream, or 1 but for rounding.
            is_one = abs(factor - 1) < ADDITIVITY[dtype]
            output = dataclasses.replace(output, factor=1.0 if is_one else factor)
        left = np.linalg.norm(mapped * output.scale(before, added)[:, None] - added, axis=1)
        size = np.linalg.norm(added, axis=1)
        gap = float(np.max(left / np.where(size > 0, size, 1.0)))
        if not gap <= ADDITIVITY[dtype]:
            raise RequestError(
                f"the heads of layer {layer} do not sum to what its attention adds: {gap:.2g} of "
                f"it is left over ({ADDITIVITY[dtype]:g} is allowed)",
                remedy="Contributions of heads cannot be given for this model.",
            )
        found.append(output)
    return found
