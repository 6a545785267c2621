"""Logit lens of a direction, in the process that has the model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from emoact.causes.direction import direction_of
from emoact.causes.heads_run import saved_model
from emoact.causes.lens import KIND, Ends, LensWork, found_of, rests_on
from emoact.causes.saved import save_once
from emoact.decode import decode, encode
from emoact.errors import RequestError
from emoact.extraction.bridge_engine import BridgeEngine
from emoact.extraction.engine import EngineFor
from emoact.jobs.causes import CausesRequest
from emoact.jobs.reporter import RunReporter
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read_named

_LARGEST = 4_000_000
"""Most logits in memory at once."""


def run_lens(
    root: ResultsRoot, request: CausesRequest, reporter: RunReporter, engine_for: EngineFor
) -> None:
    """Compute and save what is asked for, unless it is on disk.

    Raises:
        CancelledError: The reporter was asked to stop.
        EmoactError: The model is not that of the files, or the disk failed.
    """
    work = decode(LensWork, request.asked, where="the request for a logit lens")
    units = [read_named(root, work.folder, name) for name in work.units]
    basis = rests_on(units, work)

    def found() -> dict[str, Any]:
        engine = saved_model(units, request, reporter, engine_for)
        direction = direction_of(units[0], units[1], work.target)
        settings = work.settings
        reporter.step("analyze", model="", detail="unembedding", share=0.5)
        every = np.vstack([direction.vector, direction.random(settings.n_random, settings.seed)])
        ends = ends_of(engine, every, settings.n_tokens)
        ends_found = found_of(ends, token_strings(engine, ends))
        return {
            "model": work.folder,
            "emotion": work.emotion,
            "neutral": settings.neutral,
            "target": encode(work.target),
            "random_weights": engine.facts.random_weights,
            "direction_norm": direction.norm,
            "n_random": settings.n_random,
            **ends_found,
        }

    save_once(root, KIND, basis, reporter, found)


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
