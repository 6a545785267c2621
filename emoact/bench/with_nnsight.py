"""The same job through nnsight, where it is installed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from typing import Any

import torch

from emoact.bench.bare import blocks_of
from emoact.bench.ways import Prompts, Way
from emoact.extraction.engine import Put


def nnsight_is_installed() -> bool:
    """Whether it can be compared with."""
    return importlib.util.find_spec("nnsight") is not None


def through_nnsight(model: Any, tokenizer: Any) -> Way:
    """One prompt at a time through nnsight."""
    nnsight: Any = importlib.import_module("nnsight")
    traced = nnsight.LanguageModel(model, tokenizer=tokenizer)
    blocks = list(blocks_of(_Envoy(traced)))

    @torch.no_grad()
    def run(groups: Sequence[Prompts], put: Put) -> None:
        prompts = [prompt for group in groups for prompt in group]
        for sample, prompt in enumerate(prompts):
            tokens = torch.from_numpy(prompt.ids)[None]
            before, after = _trace(traced, blocks, tokens)
            for layer, (entering, leaving) in enumerate(zip(before, after, strict=True)):
                put("resid_pre", layer, sample, entering[0].numpy().copy())
                put("mlp_out", layer, sample, leaving[0].numpy().copy())

    return Way(
        name="nnsight",
        about="one prompt at a time, nnsight",
        single=True,
        run=run,
        computed=lambda groups: sum(len(prompt.ids) for group in groups for prompt in group),
    )


class _Envoy:
    """nnsight's view of the base model, under the name that plain models give it."""

    def __init__(self, traced: Any) -> None:
        self.base_model = getattr(traced, traced._module.base_model_prefix)  # noqa: SLF001


def _trace(traced: Any, blocks: Sequence[Any], tokens: torch.Tensor) -> tuple[list[Any], list[Any]]:
    # nnsight reads the source of this block and runs it inside the model.
    with traced.trace(tokens):
        before: Any = list().save()  # type: ignore[attr-defined]  # noqa: C408
        after: Any = list().save()  # type: ignore[attr-defined]  # noqa: C408
        for block in blocks:
            before.append(block.input)
            after.append(block.mlp.output)
    return before, after
