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


def difference_table(
    units: Sequence[UnitMeasures], site: SiteName, kind: NormKind = "l2", neutral: str = "neutral"
) -> pd.DataFrame:
    """Difference in percent between the norms of each emotion and of neutral, of one model.

    The geometric mean over scenarios of the ratio of norms, each the mean over a prompt's content,
    minus 1. `low` to `high` is its 95 % interval by t, from the logarithms over scenarios. Classes
    that share fewer than two scenarios are compared as samples of scenarios, or prompts without
    one (Welch). `n` counts these scenarios, or the emotion's.
    """
    own = {unit.emotion: _logs(unit, site, kind) for unit in units if site in unit.sites}
    if neutral not in own:
        return pd.DataFrame()
    folder = units[0].folder
    rows = []
    for emotion, logs in own.items():
        if emotion == neutral:
            continue
        mean, reach, n = _compare(logs, own[neutral])
        bounds = {"percent": mean, "low": mean - reach, "high": mean + reach}
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
    """Mean difference of logarithms, half its 95 % interval, and the number that it rests on."""
    a, b = (each[each.index.notna()].groupby(level=0).mean() for each in (emotion, neutral))
    depth = min(emotion.shape[1], neutral.shape[1])
    shared = a.index.intersection(b.index)
    if len(shared) > 1:
        gaps = (a.loc[shared].iloc[:, :depth] - b.loc[shared].iloc[:, :depth]).to_numpy()
        se = gaps.std(axis=0, ddof=1) / np.sqrt(len(gaps))
        return gaps.mean(axis=0), _t_975(np.array([len(gaps) - 1.0])) * se, len(gaps)
    # Prompts of one scenario may be alike; one without a scenario stands for itself.
    first, second = (
        pd.concat([means, each[each.index.isna()]]).to_numpy()[:, :depth]
        for means, each in ((a, emotion), (b, neutral))
    )
    if min(len(first), len(second)) < 2:
        return np.full(depth, np.nan), np.full(depth, np.nan), len(first)
    parts = [each.var(axis=0, ddof=1) / len(each) for each in (first, second)]
    variance = parts[0] + parts[1]
    spent = parts[0] ** 2 / (len(first) - 1) + parts[1] ** 2 / (len(second) - 1)
    freedom = np.divide(variance**2, spent, out=np.ones(depth), where=spent > 0)
    reach = _t_975(freedom) * np.sqrt(variance)
    return first.mean(axis=0) - second.mean(axis=0), reach, len(first)


def _t_975(freedom: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """The 97.5 % quantile of Student's t, to five digits; a page does not import scipy.

    With t = √ν tan θ the density of θ is proportional to cos^(ν−1) θ.
    """
    theta = np.linspace(0.0, np.pi / 2, 20_001)
    found = []
    for each in freedom:
        density = np.cos(theta) ** (each - 1)
        area = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
        found.append(np.sqrt(each) * np.tan(np.interp(0.95 * area[-1], area, theta)))
    return np.array(found)
