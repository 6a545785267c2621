"""Components, tokens and texts of one direction, in the process that has the model."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from emoact.causes.components import check_sum, collect_terms
from emoact.causes.contributions import Contributions, check_width, contributions, rows_of
from emoact.causes.direction import Extremes, Passage, SavedDirection, direction_of, pooled_at
from emoact.causes.heads import N_LARGEST, HeadsRequest, name_of
from emoact.causes.lens import Ends, found_of
from emoact.causes.loaded import AGAIN, SAME, Loaded, design_of_units, saved_prompts, unit_prompts
from emoact.causes.project import ProjectRequest, passages_of
from emoact.decode import encode
from emoact.errors import EmoactError, RequestError
from emoact.extraction.bridge_engine import BridgeEngine
from emoact.extraction.engine import Engine
from emoact.sites import SiteName
from emoact.store.unit import Unit

_PASS_SHARE = 0.8
_MOST_PROMPTS = 2000
_LARGEST = 4_000_000
"""Most logits in memory at once."""
_TOGETHER = 64
"""Passages that are tokenised and sorted into passes together."""


def found_heads(asked: Loaded) -> dict[str, Any]:
    """Contributions of every component to the direction that is asked for.

    Raises:
        CancelledError: The reporter was asked to stop.
        EmoactError: The model is not that of the files.
        RequestError: Contributions of this model cannot be given; says why.
    """
    units, request, reporter = asked.units, asked.request, asked.reporter
    prompts = [prompt for unit in units for prompt in saved_prompts(unit)]

    def on_part(part: float) -> None:
        reporter.step(
            "extract",
            model=request.model,
            detail="heads, MLPs and embedding",
            done=round(part * len(prompts)),
            total=len(prompts),
            share=_PASS_SHARE * part,
        )

    terms = collect_terms(asked.engine, prompts, request.target, on_part)
    reporter.step("analyze", model="", detail="relabelling", share=_PASS_SHARE)
    found = contributions(terms, design_of_units(units), request.emotion, request.settings)
    check_sum(found.gap, asked.dtype)
    _check_direction(units, request, found)
    return {
        "emotion": request.emotion,
        "neutral": request.settings.neutral,
        "target": encode(request.target),
        "n_prompts": len(prompts),
        "direction_norm": found.direction_norm,
        "total": found.total,
        "gap": found.gap,
        "n_permutations": request.settings.n_permutations,
        "components": rows_of(found.table),
        "by_layer": rows_of(found.by_layer),
        "by_prompt": _by_prompt(units, found),
    }


def _by_prompt(units: Sequence[Unit], found: Contributions) -> dict[str, Any]:
    """Contributions of the largest components to each prompt, and the sum of all, in columns.

    Of many prompts some, evenly spaced.
    """
    owners = [(unit.emotion, name) for unit in units for name in unit_prompts(unit)]
    kept = slice(None, None, math.ceil(len(owners) / _MOST_PROMPTS) or 1)
    sizes = found.table["contrast"].abs()
    largest = sizes.sort_values(ascending=False, kind="stable").index[:N_LARGEST]
    return {
        "emotion": [emotion for emotion, _ in owners[kept]],
        "prompt": [name for _, name in owners[kept]],
        "projection": found.values[kept].sum(axis=1).tolist(),
        "contributions": {
            name_of(found.table.loc[at].to_dict()): found.values[kept, at].tolist()
            for at in largest
        },
    }


def _check_direction(units: Sequence[Unit], request: HeadsRequest, found: Contributions) -> None:
    place = (request.target.site, request.target.pooling)
    if any(place not in unit.pooled for unit in units if unit.pooled):
        return
    if any(place[0] not in unit.sites for unit in units):
        return
    pooled = [pooled_at(unit, request.target) for unit in units]
    means = [each.mean(axis=0, dtype=np.float64) for each in pooled]
    saved = means[0] - means[1]
    apart = float(np.linalg.norm(saved - found.direction) / np.linalg.norm(saved))
    if not apart <= SAME:
        raise EmoactError(
            f"the direction of {request.emotion} in the files and that of the installed model "
            f"differ by {apart:.2g} of its norm",
            remedy=AGAIN,
        )


def found_lens(asked: Loaded) -> dict[str, Any]:
    """The tokens of the direction that is asked for; `RequestError` if there is no direction."""
    request, settings = asked.request, asked.request.settings
    direction = direction_of(asked.units[0], asked.units[1], request.target)
    asked.reporter.step("analyze", model="", detail="unembedding", share=0.5)
    every = np.vstack([direction.vector, direction.random(settings.n_random, settings.seed)])
    ends = ends_of(asked.engine, every, settings.n_tokens)
    return {
        "emotion": request.emotion,
        "neutral": settings.neutral,
        "target": encode(request.target),
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
    check_width(vectors, d_model)
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
        found = (most.values, least.values, most.indices, least.indices)
        parts.append(tuple(each.cpu().numpy() for each in found))
    return Ends(*(np.concatenate(each) for each in zip(*parts, strict=True)))


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


def found_projections(asked: Loaded) -> dict[str, Any]:
    """Tokens and passages of a text that project most and least.

    Raises:
        CancelledError: The reporter was asked to stop.
        RequestError: The text is gone, is another one, is not UTF-8, or has no tokens.
    """
    request, reporter = asked.request, asked.reporter
    direction = direction_of(asked.units[0], asked.units[1], request.target)
    try:
        size = max(1, Path(request.file).stat().st_size)
    except OSError as error:
        raise RequestError(f"{request.file} cannot be read: {error.strerror}") from error

    def on_read(n_bytes: int, extremes: Extremes) -> None:
        reporter.check_cancelled()
        reporter.step(
            "extract",
            model=request.model,
            detail=f"{extremes.n_tokens:,} tokens",
            done=min(n_bytes, size),
            total=size,
            share=min(1.0, n_bytes / size),
        )

    return {
        "emotion": request.emotion,
        "neutral": request.neutral,
        "target": encode(request.target),
        "file": request.file,
        "direction_norm": direction.norm,
        **project_file(asked.engine, direction, request, on_read),
    }


def project_file(
    engine: Engine,
    direction: SavedDirection,
    request: ProjectRequest,
    on_read: Callable[[int, Extremes], None] = lambda _n_bytes, _extremes: None,
) -> dict[str, Any]:
    """`Extremes.found` of a text, and the number of passages that were cut to the context.

    Raises:
        RequestError: The text is another one, is not UTF-8, or has no tokens.
    """
    extremes, n_cut = Extremes(request.n_top, request.target.pooling), 0
    passages = passages_of(Path(request.file), request.sha256)
    while group := list(itertools.islice(passages, _TOGETHER)):
        prompts = engine.tokenise([text for _, text, _ in group])
        kept = [at for at, each in enumerate(prompts) if each.content[0] < each.content[1]]
        n_cut += sum(prompts[at].is_truncated for at in kept)
        along: dict[int, np.ndarray] = {}

        def put(
            _site: SiteName,
            layer: int,
            sample: int,
            rows: np.ndarray,
            along: dict[int, np.ndarray] = along,
        ) -> None:
            if layer == request.target.layer:
                along[sample] = direction.project(rows)

        engine.forward([prompts[at] for at in kept], put=put)
        for place, at in enumerate(kept):
            passage = Passage(
                name=group[at][0], strings=prompts[at].strings, content=prompts[at].content
            )
            extremes.add(passage, along[place])
        on_read(group[-1][2], extremes)
    if not extremes.n_tokens:
        raise RequestError(f"{request.file} has no tokens")
    return {**extremes.found, "n_cut": n_cut}
