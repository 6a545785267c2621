"""Settings of an analysis; all of them are saved with its result."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from emoact.data.controls import LEAST_SHUFFLES, MOST_DRAWS
from emoact.errors import RequestError
from emoact.positions import POOLINGS, Pooling
from emoact.sites import SiteName, analysed_sites, site, vector_sites
from emoact.stats.probes.probes import PROBE_KINDS, ProbeKind

Reference = Literal["neutral", "grand_mean"]

_LEAST = {
    "n_permutations": 1000,
    "n_folds": 2,
    "seed": 0,
    "n_bootstrap": 1,
    "n_splits": 1,
    "n_pairings": 1,
    "n_rotations": 1,
    "n_shuffles": 1,
}


@dataclass(frozen=True, kw_only=True)
class AnalysisSettings:
    """Settings of `analyse_grid`.

    Attributes:
        neutral: Label of the class that directions are measured from.
        reference: `neutral`, or `grand_mean` to measure each emotion from the mean of all classes.
        pooling: How positions became one vector.
        sites: Which sites to analyse; the maximum statistic runs over all of them.
        alpha: Largest chance of any false alarm over all layers, sites, emotions and models.
        n_permutations: Relabellings of each emotion.
        n_bootstrap: Bootstrap draws of scenarios for each interval.
        n_splits: Splits into disjoint halves for stability.
        n_folds: Folds of scenarios for held-out figures.
        n_pairings: Null pairings of prompts between two models.
        n_rotations: Null pairings for Procrustes, which costs the most.
        n_shuffles: Relabellings that the label-shuffled probe is averaged over.
        control_shuffles: Shuffles of the words of every prompt among the control extractions; 0
            analyses without control extractions, and 20 or more with them.
        neutral_variance: Share of neutral variance whose components are projected out.
        probes: Which probes to fit.
        seed: Of every random draw.
        allow_mixed: Accept units that were made differently; the result carries a badge.
        leave_out_nonfinite: Leave out prompts whose vectors are not finite, and name them.
    """

    neutral: str = "neutral"
    reference: Reference = "neutral"
    pooling: Pooling = "mean_content"
    sites: tuple[SiteName, ...] = field(default_factory=analysed_sites)
    alpha: float = 0.05
    n_permutations: int = 2000
    n_bootstrap: int = 1000
    n_splits: int = 100
    n_folds: int = 5
    n_pairings: int = 200
    n_rotations: int = 100
    n_shuffles: int = 3
    control_shuffles: int = 0
    neutral_variance: float = 0.5
    probes: tuple[ProbeKind, ...] = PROBE_KINDS
    seed: int = 0
    allow_mixed: bool = False
    leave_out_nonfinite: bool = False

    def __post_init__(self) -> None:
        references, probes = ", ".join(get_args(Reference)), ", ".join(PROBE_KINDS)
        _check(self.reference in get_args(Reference), "reference", self.reference, references)
        _check(self.pooling in POOLINGS, "pooling", self.pooling, ", ".join(POOLINGS))
        _check(len(self.sites) > 0, "sites", self.sites, "at least one site")
        for name in self.sites:
            _check(site(name).has_vectors, "sites", self.sites, ", ".join(vector_sites()))
        _check(0 < self.alpha < 1, "alpha", self.alpha, "between 0 and 1")
        for name, least in _LEAST.items():
            value, most = getattr(self, name), math.inf if name == "seed" else MOST_DRAWS
            _check(least <= value <= most, name, value, f"{least} or more, up to {most:,}")
        _check(0 <= self.neutral_variance <= 1, "neutral_variance", self.neutral_variance, "0 to 1")
        shuffles = self.control_shuffles
        enough = shuffles == 0 or LEAST_SHUFFLES <= shuffles <= MOST_DRAWS
        _check(enough, "control_shuffles", shuffles, f"0 or at least {LEAST_SHUFFLES}")
        known = bool(self.probes) and set(self.probes) <= set(PROBE_KINDS)
        _check(known, "probes", self.probes, f"at least one of {probes}")


def _check(allowed: bool, field: str, value: object, choices: str) -> None:
    if not allowed:
        raise RequestError(f"{field} is {value!r}; allowed: {choices}")
