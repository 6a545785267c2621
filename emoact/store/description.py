"""Description of a unit for `emoact inspect`, in JSON values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from emoact.store.read.tokens import BFloat16Array
from emoact.store.unit import Unit

_LONGEST_TEXT = 2000


def describe(unit: Unit) -> dict[str, Any]:
    """Model, emotion, sizes, sites, token statistics and provenance of a unit."""
    lengths = np.array(unit.lengths)
    return {
        "model": unit.model_name,
        "emotion": unit.emotion,
        "n_samples": unit.n_samples,
        "n_layers": unit.n_layers,
        "d_model": unit.d_model,
        "d_vocab": plain(unit.metadata.get("d_vocab")),
        "sites": list(unit.sites),
        "tokens": {
            "total": int(lengths.sum()),
            "min": int(lengths.min()),
            "median": float(np.median(lengths)),
            "max": int(lengths.max()),
        },
        "content_start": unit.content_start,
        "prompts": unit.prompts is not None,
        "configuration_known": unit.configuration is not None,
        "random_weights": unit.random_weights,
        "provenance": plain(unit.provenance),
        "metadata_keys": sorted(map(str, unit.metadata)),
    }


def plain(value: Any) -> Any:
    """The value in JSON types; other values are described by kind and size."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_TEXT else value[:_LONGEST_TEXT] + "…"
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray | BFloat16Array):
        return f"array of shape {value.shape}"
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    return str(value)
