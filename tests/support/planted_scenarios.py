"""Small files of activations with scenarios, subsets and an emotion along one dimension each."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emoact.sites import SiteName, saved_sites
from emoact.stats.settings import AnalysisSettings
from emoact.store.controls import ControlSettings, UnitControls
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read
from emoact.store.shard import ShardLayout
from tests.support.units import contract_metadata, write_rows

LABELS = ("anger", "gratitude", "neutral")
FAST = AnalysisSettings(
    n_permutations=1000, n_bootstrap=50, n_splits=10, n_pairings=19, n_rotations=9, n_shuffles=1
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
    layout = ShardLayout(sites=tuple(sites), n_layers=n_layers, d_model=d_model, lengths=(3,) * n)
    return [
        write_rows(
            results / "activations" / folder / f"activations_{emotion}.pkl",
            layout,
            _rows(folder, emotion, d_model, change),
            emotion=emotion,
            tokens=["<s>", "a", "b"],
            metadata={
                **contract_metadata(
                    folder,
                    emotion,
                    n_layers=n_layers,
                    d_model=d_model,
                    n_samples=n,
                    sites=sites,
                    d_vocab=100,
                ),
                "content_start": 1,
                "sites": list(sites),
                "prompts": [
                    {
                        "id": f"{emotion}-{i}",
                        "scenario_id": scenario(i),
                        "subset": "explicit" if i % 2 else "implicit",
                        "text": f"{_CUES.get(emotion, 'word')} {'abcdefgh'[i % 8]} {noun} {i}.",
                    }
                    for i in range(n)
                ],
                "provenance": {**made_up_provenance(folder), **(provenance or {})},
            },
        )
        for emotion in emotions
    ]


def _rows(
    folder: str, emotion: str, d_model: int, change: Change | None
) -> Callable[[SiteName, int, int], np.ndarray]:
    seed = LABELS.index(emotion) if emotion in LABELS else len(LABELS)
    rng = np.random.default_rng([seed, len(folder), ord(folder[-1])])

    def rows(site: SiteName, layer: int, sample: int) -> np.ndarray:
        drawn = rng.normal(size=(3, d_model)).astype(np.float32)
        if layer and emotion != "neutral":
            drawn[:, seed % d_model] += 4
        if change is not None:
            change(drawn, site, layer, sample)
        return drawn

    return rows


def plant_controls(results: Path, n_shuffles: int = 1) -> UnitControls:
    """Where control extractions of a planted file belong; none is written."""
    (path,) = plant_scenarios(results, emotions=("anger",), n=4)
    settings = ControlSettings(
        sites=("resid_pre", "mlp_out"), pooling="mean_content", n_shuffles=n_shuffles, seed=0
    )
    return UnitControls(root=ResultsRoot(results), unit=read(path), settings=settings)


def control_vectors(controls: UnitControls, seed: int = 0) -> dict[SiteName, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {site: rng.normal(size=n).astype("f4") for site, n in controls.shapes.items()}


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
