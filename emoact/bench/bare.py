"""The model as Hugging Face gives it, without TransformerLens around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from emoact.errors import RequestError


def load_bare(path: Path) -> Any:
    """The model in float32 with the attention that Hugging Face picks by itself."""
    model: Any = AutoModelForCausalLM.from_pretrained(
        path, dtype=torch.float32, local_files_only=True, trust_remote_code=False
    )
    return model.eval().requires_grad_(False)


def blocks_of(model: Any) -> Any:
    """Its transformer blocks, each with an `mlp`.

    Raises:
        RequestError: They are not where the four families have them.
    """
    body = model.base_model
    blocks = getattr(body, "h", None) or getattr(body, "layers", None)
    if blocks is None or not all(hasattr(block, "mlp") for block in blocks):
        raise RequestError(
            f"the blocks of a {type(model).__name__} are not where the bench looks for them",
            remedy="Choose a GPT-2, GPT-NeoX, GPT-Neo or Llama model.",
        )
    return blocks
