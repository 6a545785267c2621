"""Results folders with activations whose norms are known, written by emoact's own writer."""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emoact.models.registry import find_spec
from emoact.sites import SiteName, saved_sites
from emoact.store.shard import ShardLayout
from tests.support.units import contract_metadata, write_rows

EMOTIONS = ("gratitude", "anger", "apology", "neutral")
SINK_LAYER = 2
SINK_RATIO = 40.0
SPREAD = (0.9, 0.95, 1.0, 1.05, 1.1)
"""Factors of the norms of successive prompts; the median is 1."""


def planted_norm(site: SiteName, layer: int, emotion: str) -> float:
    """Median over prompts of the L2 norm of the content positions of a planted unit."""
    scale = 8.0 if site == "resid_pre" else 2.0
    lift = 1.0 + 0.05 * EMOTIONS.index(emotion) if emotion in EMOTIONS else 1.3
    return scale * (1 + layer) * lift


def plant_unit(
    results: Path,
    folder: str = "gpt2",
    emotion: str = "anger",
    *,
    n_samples: int = 5,
    n_layers: int = 4,
    d_model: int = 12,
    sites: tuple[SiteName, ...] = saved_sites(),
    bos: bool = True,
    scale: float = 1.0,
    provenance: Mapping[str, Any] | None = None,
    known: bool = True,
    texts: Sequence[str] | None = None,
    spans: Sequence[tuple[int, int]] | None = None,
) -> Path:
    """Write one unit; position 0 is a sink at `SINK_LAYER` where a BOS was prepended.

    With `spans` every other position is of a chat template, and NaN.
    """
    rng = np.random.default_rng(zlib.crc32(f"{folder}/{emotion}".encode()))
    lengths = tuple(4 + sample % 3 for sample in range(n_samples))
    words = list(
        texts or [f"Prompt number {sample} about a bicycle." for sample in range(n_samples)]
    )
    layout = ShardLayout(sites=sites, n_layers=n_layers, d_model=d_model, lengths=lengths)
    spec = find_spec(folder)
    name = spec.hub_id if spec else folder
    metadata = contract_metadata(
        name, emotion, n_layers=n_layers, d_model=d_model, n_samples=n_samples, sites=sites
    )
    if known:
        metadata |= {
            "prompts": [{"id": f"p{i}", "text": text} for i, text in enumerate(words)],
            "content_start": 1 if bos else 0,
            "sites": list(sites),
            "provenance": {**_provenance(name, bos=bos), **(provenance or {})},
        }
    if spans is not None:
        metadata["content_spans"] = [list(span) for span in spans]
        metadata["provenance"]["chat"] = {"format": "template"}

    def rows(site: SiteName, layer: int, sample: int) -> np.ndarray:
        drawn = rng.normal(size=(lengths[sample], d_model))
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        drawn *= scale * planted_norm(site, layer, emotion)
        drawn *= SPREAD[sample % len(SPREAD)]
        if layer == SINK_LAYER:
            drawn[0] *= SINK_RATIO
        if spans is not None:
            drawn[: spans[sample][0]] = drawn[spans[sample][1] :] = np.nan
        return np.asarray(drawn)

    return write_rows(
        results / "activations" / folder / f"activations_{emotion}.pkl",
        layout,
        rows,
        emotion=emotion,
        tokens=[f"t{position}" for position in range(max(lengths, default=0))],
        metadata=metadata,
    )


def plant_grid(
    results: Path,
    folders: Sequence[str] = ("smollm2-135m",),
    emotions: Sequence[str] = EMOTIONS,
    **options: Any,
) -> None:
    """Write every (model, emotion) of a grid."""
    for folder in folders:
        for emotion in emotions:
            plant_unit(results, folder, emotion, **options)


def _provenance(model_name: str, *, bos: bool) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "model_name": model_name,
        "revision": "main",
        "weight_source": "Hugging Face hub",
        "processing": "raw",
        "bos": {
            "policy": "prepend" if bos else "none",
            "prepended": bos,
            "token": "<|endoftext|>" if bos else None,
            "token_id": 50256 if bos else None,
        },
        "dtype": "float32",
        "device": "cpu",
        "sites": ["resid_pre", "mlp_out"],
        "dataset": {"source": "data/prompts.jsonl", "sha256": "d" * 64, "prompts_sha256": "e" * 64},
        "versions": {"emoact": "0.1.0", "torch": "2.13.0"},
        "run_id": "planted",
        "ended_at": "2026-01-31T14:05:00+00:00",
    }
