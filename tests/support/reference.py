"""Activations of one prompt, made without any code of emoact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM

Activations = dict[str, list[np.ndarray]]
"""`resid_pre` and `mlp_out`, each a list over layers of `[pos, d_model]`."""


def hugging_face(folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    """The bare model, with the attention that TransformerLens uses."""
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, attn_implementation="eager", local_files_only=True
    )
    return model.eval()


def blocks_of(model: Any) -> Any:
    """The list of transformer blocks."""
    body = model.base_model
    return body.h if hasattr(body, "h") else body.layers


@torch.no_grad()
def hugging_face_activations(model: Any, ids: list[int]) -> Activations:
    """Inputs of the blocks and what their MLPs add, by plain forward hooks."""
    found: Activations = {"resid_pre": [], "mlp_out": []}
    handles = []
    for block in blocks_of(model):
        handles.append(
            block.register_forward_pre_hook(
                lambda _module, args, kwargs: found["resid_pre"].append(
                    (args[0] if args else kwargs["hidden_states"])[0].double().numpy().copy()
                ),
                with_kwargs=True,
            )
        )
        # Some families normalise the output of the MLP before they add it to the stream.
        added = getattr(block, "post_feedforward_layernorm", block.mlp)
        handles.append(
            added.register_forward_hook(
                lambda _module, _args, output: found["mlp_out"].append(
                    output[0].double().numpy().copy()
                )
            )
        )
    try:
        model(torch.tensor([ids]))
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
