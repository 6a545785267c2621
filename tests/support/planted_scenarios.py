"""Small files of activations with scenarios, subsets and an emotion along one dimension each."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emoact.sites import SiteName, saved_sites
from emoact.stats.settings import AnalysisSettings
from emoact.store.shard import ShardLayout, UnitShard
from emoact.store.write import write_unit

LABELS = ("anger", "gratitude", "neutral")
FAST = AnalysisSettings(
    n_permutations=1000,
    n_bootstrap=50,
    n_splits=10,
    n_pairings=19,
    n_rotations=9,
    n_shuffles=1,
)
FAST_WORDS = ("--permutations", "1000")
_CUES = {"anger": "how dare you", "gratitude": "thank you", "neutral": "there was"}

Change = Callable[[np.ndarray, SiteName, int, int], None]
"""Changes the rows of a site, layer and sample in place."""


def plant_scenarios(
    results: Path,
    folder: str = "gpt2",
    emotions: Sequence[str] = LABELS,
    *,
    n: int = 12,
    n_layers: int = 3,
    d_model: int = 8,
    sites: Sequence[SiteName] = saved_sites(),
    scenario: Callable[[int], str] = "s{}".format,
    provenance: Mapping[str, Any] | None = None,
    change: Change | None = None,
    noun: str = "soup",
) -> list[Path]:
    """Write one file per emotion, all prompts of three positions; layer 0 holds noise alone."""
    return [
        _plant(
            results / "activations" / folder / f"activations_{emotion}.pkl",
            folder,
            emotion,
            ShardLayout(sites=tuple(sites), n_layers=n_layers, d_model=d_model, lengths=(3,) * n),
            scenario,
            {**made_up_provenance(folder), **(provenance or {})},
            change,
            noun,
        )
        for emotion in emotions
    ]


def _plant(
    target: Path,
    folder: str,
    emotion: str,
    layout: ShardLayout,
    scenario: Callable[[int], str],
    provenance: Mapping[str, Any],
    change: Change | None,
    noun: str,
) -> Path:
    seed = LABELS.index(emotion) if emotion in LABELS else len(LABELS)
    rng = np.random.default_rng([seed, len(folder), ord(folder[-1])])
    n = len(layout.lengths)
    with tempfile.TemporaryDirectory() as scratch:
        shard = UnitShard.create(Path(scratch) / "unit.safetensors", layout=layout)
        for site in layout.sites:
            for layer in layout.layers(site):
                for sample in range(n):
                    rows = rng.normal(size=(3, layout.d_model)).astype(np.float32)
                    if layer and emotion != "neutral":
                        rows[:, seed % layout.d_model] += 4
                    if change is not None:
                        change(rows, site, layer, sample)
                    shard.put(site, layer, sample, rows)
        write_unit(
            target,
            shard=shard,
            tokens=[np.arange(3, dtype=np.int64)] * n,
            token_strings=[["<s>", "a", "b"]] * n,
            labels=[emotion] * n,
            metadata={
                "model_name": folder,
                "n_layers": layout.n_layers,
                "d_model": layout.d_model,
                "d_vocab": 100,
                "n_samples": n,
                "emotion_label": emotion,
                "save_residual_stream": "resid_pre" in layout.sites,
                "save_mlp_output": "mlp_out" in layout.sites,
                "save_attention": False,
                "content_start": 1,
                "sites": list(layout.sites),
                "prompts": [
                    {
                        "id": f"{emotion}-{i}",
                        "scenario_id": scenario(i),
                        "subset": "explicit" if i % 2 else "implicit",
                        "text": f"{_CUES.get(emotion, 'word')} {'abcdefgh'[i % 8]} {noun} {i}.",
                    }
                    for i in range(n)
                ],
                "provenance": dict(provenance),
            },
        )
        shard.close_and_remove()
    return target


def made_up_provenance(folder: str) -> dict[str, Any]:
    """Provenance of a planted file."""
    return {
        "schema_version": 1,
        "model_name": folder,
        "revision": "main",
        "weight_source": "made up",
        "processing": "raw",
        "bos": {"policy": "prepend", "prepended": True, "token": "<s>", "token_id": 0},
        "dtype": "float32",
        "dataset": {"source": "p.jsonl", "sha256": "d" * 64, "prompts_sha256": "e" * 64},
    }
