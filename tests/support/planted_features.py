"""Pooled vectors with planted effects, as `analyse_grid` takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from emoact.sites import SiteName
from emoact.stats.comparable import Configuration
from emoact.stats.features import PromptInfo, UnitFeatures
from emoact.stats.settings import AnalysisSettings

SITE: SiteName = "resid_pre"
QUICK = AnalysisSettings(
    sites=(SITE,),
    n_permutations=1000,
    n_bootstrap=20,
    n_splits=4,
    n_shuffles=1,
    probes=("mass_mean",),
)


def units_of(
    classes: Mapping[str, np.ndarray], *, model: str = "m", scenarios: bool = True
) -> list[UnitFeatures]:
    """One unit for each class of vectors `[prompt, layer, d_model]`.

    Prompts of one number share a scenario. Ids, scenarios and texts name no class.
    """
    return [
        UnitFeatures(
            model=model,
            emotion=emotion,
            prompts=tuple(
                PromptInfo(
                    id=f"{place}-{i}",
                    scenario_id=f"s{i}" if scenarios else None,
                    subset=None,
                    text="",
                    n_tokens=8,
                )
                for i in range(len(vectors))
            ),
            sites={SITE: vectors.astype(np.float32)},
            configuration=Configuration(
                model=model,
                processing="raw",
                bos="prepend",
                dtype="float32",
                dataset="planted",
                pooling="mean_content",
            ),
        )
        for place, (emotion, vectors) in enumerate(classes.items())
    ]


def noise(
    seed: Sequence[int], n: int, *, layers: int = 1, width: int = 40, rogue: int = 0
) -> np.ndarray:
    """Unit noise `[prompt, layer, width]`, a hundred times as large in the rogue dimensions."""
    x = np.random.default_rng(seed).normal(size=(n, layers, width))
    x[:, :, :rogue] *= 100
    return np.asarray(x)
