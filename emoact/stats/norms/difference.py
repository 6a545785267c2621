"""Norms of an emotion relative to neutral, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float64

from emoact.positions import NormKind
from emoact.sites import SiteName
from emoact.stats.norms.tables import prompt_means, token_norms
from emoact.store.summaries.measures import UnitMeasures

_Z = 1.96


def difference_table(
    units: Sequence[UnitMeasures], site: SiteName, kind: NormKind = "l2", neutral: str = "neutral"
) -> pd.DataFrame:
    """Difference in percent between the norms of each emotion and of neutral, of one model.

    The geometric mean over scenarios of the ratio of norms, each the mean over a prompt's content,
    minus 1. `low` to `high` is its 95 % interval, from the standard error of the logarithms over
    scenarios; over prompts of both classes where they share fewer than two scenarios. `n` counts
    these scenarios or the emotion's prompts.
    """
    own = {unit.emotion: _logs(unit, site, kind) for unit in units if site in unit.sites}
    if neutral not in own:
        return pd.DataFrame()
    folder = units[0].folder
    rows = []
    for emotion, logs in own.items():
        if emotion == neutral:
            continue
        mean, se, n = _compare(logs, own[neutral])
        bounds = {"percent": mean, "low": mean - _Z * se, "high": mean + _Z * se}
        rows.append(
            pd.DataFrame(
                {
                    "model": folder,
                    "emotion": emotion,
                    "site": site,
                    "norm": kind,
                    "layer": np.arange(len(mean)),
                    **{name: 100 * np.expm1(value) for name, value in bounds.items()},
                    "n": n,
                }
            )
        )
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def _logs(unit: UnitMeasures, site: SiteName, kind: NormKind) -> pd.DataFrame:
    """Logarithm of the mean norm of each finite prompt, `[prompt, layer]`, by scenario."""
    means = prompt_means(token_norms(unit, site, kind), unit.lengths, unit.content).T
    usable = np.isfinite(means).all(axis=1) & (means > 0).all(axis=1)
    scenarios = [unit.scenario(sample) for sample in range(unit.n_samples)]
    index = pd.Index(scenarios, name="scenario", dtype=object)
    return pd.DataFrame(np.log(np.where(usable[:, None], means, 1.0)), index=index)[usable]


def _compare(
    emotion: pd.DataFrame, neutral: pd.DataFrame
) -> tuple[Float64[np.ndarray, " layer"], Float64[np.ndarray, " layer"], int]:
    """Mean difference of logarithms, its standard error, and the number that it rests on."""
    a, b = (each[each.index.notna()].groupby(level=0).mean() for each in (emotion, neutral))
    depth = min(emotion.shape[1], neutral.shape[1])
    shared = a.index.intersection(b.index)
    if len(shared) > 1:
        gaps = (a.loc[shared].iloc[:, :depth] - b.loc[shared].iloc[:, :depth]).to_numpy()
        return gaps.mean(axis=0), gaps.std(axis=0, ddof=1) / np.sqrt(len(gaps)), len(gaps)
    first, second = (each.to_numpy()[:, :depth] for each in (emotion, neutral))
    if min(len(first), len(second)) < 2:
        return np.full(depth, np.nan), np.full(depth, np.nan), len(first)
    variance = sum(each.var(axis=0, ddof=1) / len(each) for each in (first, second))
    return first.mean(axis=0) - second.mean(axis=0), np.sqrt(variance), len(first)
