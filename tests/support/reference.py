"""Activations of one prompt, made without any code of emoact."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import AutoModelForCausalLM

Activations = dict[str, list[np.ndarray]]
"""`resid_pre` and `mlp_out`, each a list over layers of `[pos, d_model]`."""


def hugging_face(folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    """The bare model, with the attention that TransformerLens uses."""
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", local_files_only=True
    )
    return model.eval()


ADDED = ("post_feedforward_layernorm", "mlp")
"""Some families normalise the output of the MLP before they add it to the stream."""


def blocks_of(model: Any) -> list[Any]:
    """The transformer blocks."""
    n_layers = model.config.num_hidden_layers
    lists = (each for each in model.modules() if isinstance(each, nn.ModuleList))
    return next(list(each) for each in lists if len(each) == n_layers)


@torch.no_grad()
def hugging_face_activations(
    model: Any, ids: list[int], *, mlp: Sequence[str] = ADDED, scale: float = 1.0
) -> Activations:
    """Inputs of the blocks and what their MLPs add, by plain forward hooks."""
    found: Activations = {"resid_pre": [], "mlp_out": []}

    def take(site: str, value: Any, factor: float) -> None:
        rows = value[0] if isinstance(value, tuple) else value
        found[site].append(factor * rows.reshape(len(ids), -1).double().numpy())

    handles = []
    for block in blocks_of(model):
        handles.append(
            block.register_forward_pre_hook(
                lambda _module, args, kwargs: take(
                    "resid_pre", args[0] if args else kwargs["hidden_states"], 1.0
                ),
                with_kwargs=True,
            )
        )
        inside = dict(block.named_modules())
        added = next(inside[name] for name in mlp if name in inside)
        handles.append(
            added.register_forward_hook(
                lambda _module, _args, output: take("mlp_out", output, scale)
            )
        )
    try:
        model(input_ids=torch.tensor([ids]), use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return found


@torch.no_grad()
def hugging_face_outputs(model: Any, ids: list[int]) -> list[np.ndarray]:
    """What every block gives, `[pos, d_model]` a layer, by plain forward hooks."""
    found: list[np.ndarray] = []

    def take(_module: object, _args: object, output: Any) -> None:
        rows = output[0] if isinstance(output, tuple) else output
        found.append(rows.reshape(len(ids), -1).double().numpy())

    handles = [block.register_forward_hook(take) for block in blocks_of(model)]
    try:
        model(input_ids=torch.tensor([ids]), use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return found


def transformer_lens_activations(bridge: Any, ids: list[int]) -> Activations:
    """The report's way: one prompt at a time through `run_with_cache`."""
    _, cache = bridge.run_with_cache(torch.tensor([ids]))
    layers = range(bridge.cfg.n_layers)
    return {
        site: [cache[f"blocks.{layer}.hook_{site}"][0].double().numpy() for layer in layers]
        for site in ("resid_pre", "mlp_out")
    }


def largest_difference(ours: np.ndarray, reference: np.ndarray) -> float:
    """Largest ‖a − b‖₂/‖b‖₂ over positions."""
    gap = np.linalg.norm(np.asarray(ours, dtype=np.float64) - reference, axis=-1)
    return float(np.max(gap / np.linalg.norm(reference, axis=-1)))
