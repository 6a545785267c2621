"""Pooled vectors with planted effects, as `analyse_grid` takes them."""

from collections.abc import Mapping, Sequence

import numpy as np

from emoact.sites import SiteName
from emoact.stats.comparable import Configuration
from emoact.stats.features import Controls, PromptInfo, UnitFeatures
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


def unit_of(
    model: str,
    emotion: str,
    sites: Mapping[SiteName, np.ndarray],
    *,
    ids: str | None = None,
    scenarios: bool = True,
    subsets: Sequence[str | None] = (None,),
    texts: Sequence[str] | None = None,
    lengths: Sequence[int] | None = None,
    controls: Controls | None = None,
) -> UnitFeatures:
    """A unit of vectors `[prompt, layer, d_model]`; prompts of one number share a scenario."""
    n = len(next(iter(sites.values())))
    return UnitFeatures(
        model=model,
        emotion=emotion,
        prompts=tuple(
            PromptInfo(
                id=f"{ids or emotion}-{i}",
                scenario_id=f"s{i}" if scenarios else None,
                subset=subsets[i % len(subsets)],
                text="the same words" if texts is None else texts[i],
                n_tokens=8 if lengths is None else lengths[i],
            )
            for i in range(n)
        ),
        sites={site: vectors.astype(np.float32) for site, vectors in sites.items()},
        configuration=Configuration(
            model=model,
            processing="raw",
            bos="prepend",
            dtype="float32",
            dataset="planted",
            pooling="mean_content",
        ),
        controls=controls,
    )


def units_of(
    classes: Mapping[str, np.ndarray], *, model: str = "m", scenarios: bool = True
) -> list[UnitFeatures]:
    """One unit for each class of vectors; ids, scenarios and texts name no class."""
    return [
        unit_of(
            model,
            emotion,
            {SITE: vectors},
            ids=str(place),
            scenarios=scenarios,
            texts=[""] * len(vectors),
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
