"""Steering and ablation by plain forward hooks on the Hugging Face model."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from emoact.causes.ablation import Part
from tests.support.reference import blocks_of

TEXTS = (
    "Thank you for the soup that you left at our door.",
    "Rain fell.",
    "You kept the keys again, and nobody could get in.",
)
PROJECTIONS = {
    "gpt2": "attn.c_proj",
    "gpt_neo": "attn.attention.out_proj",
    "gpt_neox": "attention.dense",
    "llama": "self_attn.o_proj",
    "gemma3_text": "self_attn.o_proj",
}


@torch.no_grad()
def steered_logits(
    model: Any, ids: list[int], layer: int, vector: np.ndarray, start: int = 1
) -> torch.Tensor:
    """Logits of every position, with a vector added from one on."""

    def add(_block: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        stream = (args[0] if args else kwargs["hidden_states"]).clone()
        stream[:, start:] += torch.tensor(vector).to(stream)
        return (
            ((stream, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": stream})
        )

    handle = blocks_of(model)[layer].register_forward_pre_hook(add, with_kwargs=True)
    logits: torch.Tensor = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    handle.remove()
    return logits.double()


def log_probs(
    model: Any, ids: list[int], layer: int, vector: np.ndarray, start: int = 1
) -> np.ndarray:
    """Log-probability of every token but the first, with a vector added from a position on."""
    said = torch.log_softmax(steered_logits(model, ids, layer, vector, start), dim=-1)
    return np.array([said[at - 1, ids[at]].item() for at in range(1, len(ids))])


@torch.no_grad()
def ablated(
    model: Any,
    projection: str,
    ids: list[int],
    part: Part | None,
    value: Any,
    unit: np.ndarray,
    *,
    read_layer: int,
    words: Sequence[int] = (0,),
) -> tuple[float, float, float]:
    """Projection, log-probability of the text and log-odds of next tokens, by plain forward hooks.

    Behind the first token `value` stands in place of `part`; for directions it is units by layer.
    """
    handles, read = [], []

    def stream(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        rows: torch.Tensor = args[0] if args else kwargs["hidden_states"]
        return rows

    blocks = blocks_of(model)
    if part is not None:
        block = blocks[part.layer]
        inside = dict(block.named_modules())

        def before(_module: object, args: tuple[Any, ...]) -> tuple[Any, ...]:
            z = args[0].clone()
            for at, head in enumerate(part.heads):
                size = len(value[at])
                z[:, 1:, head * size : (head + 1) * size] = torch.tensor(value[at])
            return (z, *args[1:])

        def after(_module: object, _args: object, output: Any) -> Any:
            rows = output.clone()
            rows[:, 1:] = torch.tensor(value)
            return rows

        def project(layer: int) -> Any:
            def out(_block: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
                rows = stream(args, kwargs).clone()
                along = torch.tensor(value[layer], dtype=rows.dtype)
                rows[:, 1:] -= (rows[:, 1:] @ along)[..., None] * along
                return (
                    ((rows, *args[1:]), kwargs)
                    if args
                    else (args, {**kwargs, "hidden_states": rows})
                )

            return out

        if part.kind in ("direction", "directions"):
            handles += [
                blocks[each].register_forward_pre_hook(project(each), with_kwargs=True)
                for each in part.layers or (part.layer,)
            ]
        elif part.kind == "mlp":
            names = ("post_feedforward_layernorm", "mlp")
            module = next(inside[name] for name in names if name in inside)
            handles.append(module.register_forward_hook(after))
        else:
            handles.append(inside[projection].register_forward_pre_hook(before))
    handles.append(
        blocks[read_layer].register_forward_pre_hook(
            lambda _block, args, kwargs: read.append(stream(args, kwargs)[0].double().numpy()),
            with_kwargs=True,
        )
    )
    try:
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].double()
    finally:
        for handle in handles:
            handle.remove()
    said = torch.log_softmax(logits, dim=-1)
    total = sum(said[at - 1, ids[at]].item() for at in range(1, len(ids)))
    chance = torch.softmax(logits[-1], dim=-1)[list(words)].sum()
    return float((read[0][1:] @ unit).mean()), total, float(torch.log(chance / (1 - chance)))
