"""Results folders with activations whose norms are known, written by emoact's own writer."""

from __future__ import annotations

import tempfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emoact.models.registry import find_spec
from emoact.sites import SiteName, saved_sites
from emoact.store.shard import ShardLayout, UnitShard
from emoact.store.write import write_unit

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
    target = results / "activations" / folder / f"activations_{emotion}.pkl"
    layout = ShardLayout(sites=sites, n_layers=n_layers, d_model=d_model, lengths=lengths)
    with tempfile.TemporaryDirectory() as scratch:
        shard = UnitShard.create(Path(scratch) / "unit.safetensors", layout=layout)
        for site in sites:
            for layer in layout.layers(site):
                for sample, length in enumerate(lengths):
                    rows = rng.normal(size=(length, d_model))
                    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
                    rows *= scale * planted_norm(site, layer, emotion)
                    rows *= SPREAD[sample % len(SPREAD)]
                    if layer == SINK_LAYER:
                        rows[0] *= SINK_RATIO
                    if spans is not None:
                        rows[: spans[sample][0]] = rows[spans[sample][1] :] = np.nan
                    shard.put(site, layer, sample, rows.astype(np.float32))
        spec = find_spec(folder)
        name = spec.hub_id if spec else folder
        metadata: dict[str, Any] = {
            "model_name": name,
            "n_layers": n_layers,
            "d_model": d_model,
            "d_vocab": 50257,
            "n_samples": n_samples,
            "emotion_label": emotion,
            "save_residual_stream": "resid_pre" in sites,
            "save_mlp_output": "mlp_out" in sites,
            "save_attention": False,
        }
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
        write_unit(
            target,
            shard=shard,
            tokens=[np.arange(length, dtype=np.int64) for length in lengths],
            token_strings=[[f"t{position}" for position in range(length)] for length in lengths],
            labels=[emotion] * n_samples,
            metadata=metadata,
        )
        shard.close_and_remove()
    return target


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
