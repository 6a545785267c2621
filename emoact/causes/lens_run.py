"""Logit lens of a direction, in the process that has the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from emoact.causes.direction import direction_of
from emoact.causes.lens import Ends, found_of
from emoact.causes.loaded import Loaded
from emoact.decode import encode
from emoact.errors import RequestError
from emoact.extraction.bridge_engine import BridgeEngine

_LARGEST = 4_000_000
"""Most logits in memory at once."""


def found_lens(asked: Loaded) -> dict[str, Any]:
    """The tokens of the direction that is asked for.

    Raises:
        RequestError: There is no direction.
    """
    work, settings = asked.work, asked.work.settings
    direction = direction_of(asked.units[0], asked.units[1], work.target)
    asked.reporter.step("analyze", model="", detail="unembedding", share=0.5)
    every = np.vstack([direction.vector, direction.random(settings.n_random, settings.seed)])
    ends = ends_of(asked.engine, every, settings.n_tokens)
    return {
        "emotion": work.emotion,
        "neutral": settings.neutral,
        "target": encode(work.target),
        "direction_norm": direction.norm,
        "n_random": settings.n_random,
        **found_of(ends, token_strings(asked.engine, ends)),
    }


@torch.inference_mode()
def ends_of(
    engine: BridgeEngine, vectors: Float[np.ndarray, "direction d_model"], n_tokens: int
) -> Ends:
    """Largest and smallest logits of each direction, at a root mean square of 1.

    Logits are unembedding(norm(v)) − unembedding(norm(0)), so that biases are left out, less their
    mean over the vocabulary.

    Raises:
        RequestError: The vectors have another width than the stream of the model.
    """
    d_model = engine.facts.d_model
    if vectors.shape[1] != d_model:
        raise RequestError(
            f"the direction has {vectors.shape[1]} numbers and the stream of this model {d_model}",
            remedy="Choose a direction of this model.",
        )
    weight = next(engine.bridge.original_model.parameters())
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled = np.asarray(vectors / lengths * np.sqrt(d_model), dtype=np.float32)
    nothing = logits_of(engine, weight.new_zeros((1, d_model)))
    n_tokens = min(n_tokens, nothing.shape[1])
    together = max(1, _LARGEST // nothing.shape[1])
    parts: list[tuple[np.ndarray, ...]] = []
    for start in range(0, len(scaled), together):
        part = torch.from_numpy(scaled[start : start + together]).to(weight)
        logits = logits_of(engine, part) - nothing
        logits -= logits.mean(dim=1, keepdim=True)
        most, least = logits.topk(n_tokens), logits.topk(n_tokens, largest=False)
        parts.append(
            tuple(
                each.cpu().numpy()
                for each in (most.values, least.values, most.indices, least.indices)
            )
        )
    raised, lowered, raised_ids, lowered_ids = (
        np.concatenate(each) for each in zip(*parts, strict=True)
    )
    return Ends(raised=raised, lowered=lowered, raised_ids=raised_ids, lowered_ids=lowered_ids)


def logits_of(engine: BridgeEngine, rows: torch.Tensor) -> torch.Tensor:
    """The final norm and the unembedding of some vectors, in float32."""
    bridge: Any = engine.bridge
    norm = getattr(bridge, "ln_final", None)
    normed = rows[None] if norm is None else norm(rows[None])
    logits: torch.Tensor = bridge.unembed(normed)[0].float()
    return logits


def token_strings(engine: BridgeEngine, ends: Ends) -> dict[int, str]:
    """The text of every token that the first direction names."""
    named = np.concatenate([ends.raised_ids[0], ends.lowered_ids[0]])
    tokenizer = engine.bridge.tokenizer
    return {int(each): str(tokenizer.decode([int(each)])) for each in np.unique(named)}
