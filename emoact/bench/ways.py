"""Ways of getting activations that are compared side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from emoact.errors import RequestError
from emoact.extraction.engine import Put, Tokenised
from emoact.extraction.forward import HookReader
from emoact.extraction.plan import Pass, PlanName, plan_passes
from emoact.sites import SiteName, saved_sites

BATCH_TOKENS = 512

Prompts = Sequence[Tokenised]


@dataclass(frozen=True, kw_only=True)
class Way:
    """Way to get the activations.

    Attributes:
        single: True for one prompt at a time, which is slow.
        run: Function of groups of prompts, one group per unit, numbered consecutively.
        computed: Function that counts the tokens that go through the model.
    """

    name: str
    about: str
    single: bool
    run: Callable[[Sequence[Prompts], Put], None]
    computed: Callable[[Sequence[Prompts]], int]


def load_bare(path: Path, device: str) -> Any:
    """Model in float32 with Hugging Face's default attention, without TransformerLens."""
    model: Any = AutoModelForCausalLM.from_pretrained(
        path, dtype=torch.float32, local_files_only=True, trust_remote_code=False
    )
    return model.eval().requires_grad_(False).to(device)


def blocks_of(model: Any) -> Any:
    """Transformer blocks of a model, each with an `mlp`.

    Raises:
        RequestError: The model has another layout than the four known families.
    """
    body = model.base_model
    blocks = getattr(body, "h", None) or getattr(body, "layers", None)
    if blocks is None or not all(hasattr(block, "mlp") for block in blocks):
        raise RequestError(
            f"the bench does not know the layout of a {type(model).__name__}",
            remedy="Choose a GPT-2, GPT-NeoX, GPT-Neo or Llama model.",
        )
    return blocks


def through_transformer_lens(bridge: Any) -> Way:
    """TransformerLens' `run_with_cache`, one prompt at a time, unembedding included."""
    wanted = {
        f"blocks.{layer}.hook_{site}": (site, layer)
        for site in saved_sites()
        for layer in range(bridge.cfg.n_layers)
    }

    @torch.no_grad()
    def run(groups: Sequence[Prompts], put: Put) -> None:
        for sample, prompt in enumerate(_flat(groups)):
            tokens = torch.from_numpy(prompt.ids)[None].to(bridge.cfg.device)
            _, cache = bridge.run_with_cache(tokens, names_filter=lambda name: name in wanted)
            for name, (site, layer) in wanted.items():
                put(site, layer, sample, cache[name][0].cpu().numpy().copy())

    return Way(
        name="transformer_lens",
        about="one prompt at a time, TransformerLens run_with_cache (the report's way)",
        single=True,
        run=run,
        computed=_token_count,
    )


def through_hugging_face(model: Any) -> Way:
    """Bare model with forward hooks, one prompt at a time."""

    @torch.no_grad()
    def run(groups: Sequence[Prompts], put: Put) -> None:
        sample = 0

        def take(site: SiteName, layer: int, rows: torch.Tensor) -> None:
            put(site, layer, sample, rows[0].cpu().numpy().copy())

        with _hooked(model, take):
            for number, prompt in enumerate(_flat(groups)):
                sample = number
                model(torch.from_numpy(prompt.ids)[None].to(model.device), use_cache=False)

    return Way(
        name="hugging_face",
        about="one prompt at a time, bare Hugging Face model with forward hooks",
        single=True,
        run=run,
        computed=_token_count,
    )


def in_sorted_batches(model: Any, tokens: int = BATCH_TOKENS) -> Way:
    """Length-sorted batches of all prompts, of at most `tokens`, through the bare base model."""
    body = model.base_model

    @torch.inference_mode()
    def run(groups: Sequence[Prompts], put: Put) -> None:
        one_pass: Pass

        def take(site: SiteName, layer: int, rows: torch.Tensor) -> None:
            array = rows.cpu().numpy()
            for row, (sample, indices) in enumerate(
                zip(one_pass.samples, one_pass.rows, strict=True)
            ):
                put(site, layer, sample, array[row, : len(indices)].copy())

        with _hooked(model, take):
            for one_pass in _batches(groups, tokens):
                body(torch.from_numpy(one_pass.ids).to(model.device), use_cache=False)

    return Way(
        name="hugging_face_batches",
        about=f"sorted batches of {tokens} tokens, bare Hugging Face base model",
        single=False,
        run=run,
        computed=lambda groups: sum(one_pass.ids.size for one_pass in _batches(groups, tokens)),
    )


def by_plan(
    bridge: Any,
    plan: PlanName,
    budget: int,
    *,
    direct: bool,
    by_prompt: bool,
    fixed: float,
) -> Way:
    """Plan of emoact, unit by unit."""
    device = torch.device(bridge.cfg.device)
    reader = HookReader(bridge, saved_sites(), device, direct=direct, by_prompt=by_prompt)

    def passes(prompts: Prompts) -> list[Pass]:
        ids = [prompt.ids for prompt in prompts]
        return plan_passes(ids, plan=plan, budget=budget, fixed=fixed)

    def run(groups: Sequence[Prompts], put: Put) -> None:
        first = 0
        for prompts in groups:

            def shifted(
                site: SiteName, layer: int, sample: int, rows: np.ndarray, first: int = first
            ) -> None:
                # The pipeline copies each sample as well, into the unit's file.
                put(site, layer, first + sample, rows.copy())

            reader.run_all(passes(prompts), shifted, lambda _: None)
            first += len(prompts)

    return Way(
        name=f"emoact_{plan}",
        about=f"emoact, {plan.replace('_', ' ')}",
        single=plan == "one_at_a_time",
        run=run,
        computed=lambda groups: sum(
            one_pass.ids.size for prompts in groups for one_pass in passes(prompts)
        ),
    )


def _batches(groups: Sequence[Prompts], tokens: int) -> list[Pass]:
    ids = [prompt.ids for prompt in _flat(groups)]
    return plan_passes(ids, plan="sorted_batches", budget=tokens)


def _flat(groups: Sequence[Prompts]) -> list[Tokenised]:
    return [prompt for prompts in groups for prompt in prompts]


def _token_count(groups: Sequence[Prompts]) -> int:
    return sum(len(prompt.ids) for prompt in _flat(groups))


@contextmanager
def _hooked(model: Any, take: Callable[[SiteName, int, torch.Tensor], None]) -> Iterator[None]:
    handles = []
    for layer, block in enumerate(blocks_of(model)):

        def before(_module: Any, args: Any, kwargs: Any, layer: int = layer) -> None:
            take("resid_pre", layer, args[0] if args else kwargs["hidden_states"])

        def after(_module: Any, _args: Any, output: Any, layer: int = layer) -> None:
            take("mlp_out", layer, output)

        handles.append(block.register_forward_pre_hook(before, with_kwargs=True))
        handles.append(block.mlp.register_forward_hook(after))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
