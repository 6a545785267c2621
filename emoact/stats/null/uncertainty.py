"""Standard errors and intervals that resample scenarios."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float64, Int

from emoact.stats.design import Design
from emoact.stats.room import MEMORY, Room, set_down

LEAST_FREEDOM = 10
"""Degrees of freedom below which there is no interval: the variance itself is then too uncertain.
"""

_AT_ONCE = 1 << 20
"""Counts that are drawn at once."""


def bootstrap_counts(
    design: Design, n_draws: int = 1000, *, seed: int = 0, room: Room = MEMORY
) -> Int[np.ndarray, "draw scenario"]:
    """Bootstrap counts of each scenario, drawn among those that hold the same classes."""
    rng = np.random.default_rng([seed, 3])
    pattern = design.pattern_of
    # Of very many scenarios this is a large matrix; they are Poisson of mean 1, far below 127.
    counts = room.table((n_draws, design.n_scenarios), np.int8)
    for value in range(int(pattern.max()) + 1):
        scenarios = np.flatnonzero(pattern == value)
        n = len(scenarios)
        at_once = max(1, _AT_ONCE // n)
        for start in range(0, n_draws, at_once):
            rows = counts[start : start + at_once]
            rows[:, scenarios] = rng.multinomial(n, np.full(n, 1 / n), size=len(rows))
            set_down(counts)
    return counts


def percentile_interval(
    draws: Float[np.ndarray, "draw *rest"], level: float = 0.025
) -> Float64[np.ndarray, "2 *rest"]:
    """Ends with a share `level` of the draws beyond either; draws that are NaN are left out."""
    out = np.full((2, *draws.shape[1:]), np.nan)
    flat = draws.reshape(len(draws), -1)
    for column, target in zip(flat.T, out.reshape(2, -1).T, strict=True):
        finite = column[np.isfinite(column)]
        if len(finite):
            target[:] = np.quantile(finite, [level, 1 - level])
    return out


def small_sample_interval(
    draws: Float[np.ndarray, "draw *rest"], n: int
) -> Float64[np.ndarray, "2 *rest"]:
    """Percentile interval with the width that few scenarios need.

    The quantiles are those beyond which t has 5 % in place of the normal curve, and n - 1 in place
    of n (expanded percentiles).

    Args:
        draws: Values of the bootstrap draws.
        n: Scenarios.

    Source: Hesterberg 2015.
    """
    from scipy.stats import norm, t

    if n < 2:
        return np.full((2, *draws.shape[1:]), np.nan)
    level = norm.cdf(t.ppf(0.025, n - 1) * np.sqrt(n / (n - 1)))
    return percentile_interval(draws, float(level))


def share_interval(
    drawn: Float[np.ndarray, "draw *rest"],
    n_scenarios: int | Int[np.ndarray, "*rest"],
    counted: int | Int[np.ndarray, "*rest"],
    *,
    fewest: int | Int[np.ndarray, "*rest"] | None = None,
    enlarged: float | Float[np.ndarray, "*rest"] = 1.0,
    of_pairs: bool = False,
) -> Float64[np.ndarray, "2 *rest"]:
    """95 % interval of shares of right decisions, or of pairs of prompts in order.

    Both shares from which this one is t standard errors away, their variances being to its own as
    those of binomials are. Where less than half a scenario is wrong there is no variance to
    measure: the upper end is 1, which no share exceeds, and the lower one the share that leaves no
    scenario wrong in 5 % of data sets. No result that is worse has a higher one. Where one scenario
    at most is wrong, the upper end is at least the share that leaves one wrong in 2.5 %. Where as
    few are right, the reverse.

    Args:
        drawn: Shares in the data, and in every bootstrap draw of scenarios.
        n_scenarios: Scenarios.
        counted: Decisions or pairs; the variance is at least that of one that is right for one
            class only (Agresti & Min 2005).
        fewest: Scenarios of the class that has fewer, which has half of a balanced share; None
            where classes do not count.
        enlarged: Variance of the shares over that of the draws.
        of_pairs: One scenario is in many pairs, few of which are wrong where it is.

    Source: Wilson 1927; Clopper & Pearson 1934.
    """
    from scipy.stats import t

    share, draws = drawn[0], drawn[1:]
    fewest = n_scenarios if fewest is None else fewest
    known = np.isfinite(share) & (np.isfinite(draws).sum(axis=0) > 1) & np.greater(fewest, 1)
    n, n_least = np.where(known, n_scenarios, np.nan), np.where(known, fewest, np.nan)
    variance = np.nanvar(np.where(known, draws, 0.0), axis=0) * enlarged
    variance = variance * (1 - 1 / n) if of_pairs else variance
    # Of squares of standard errors, t of them.
    reach = t.ppf(0.975, n - 1) ** 2 * np.maximum(variance, np.maximum(counted, 1.0) ** -2)
    binomial = share * (1 - share)
    middle = share * binomial + reach / 2
    half = np.sqrt(reach * (binomial**2 + reach / 4))
    low, high = (middle - half) / (binomial + reach), (middle + half) / (binomial + reach)
    rare = np.where(n_least < _FEW, 0.025, 0.05) ** (1 / n_least)
    right, wrong = n_least * share, n_least * (1 - share)
    if not of_pairs:
        once = 0.975 ** (1 / n_least)
        high = np.where(wrong <= _ONE, np.maximum(high, once), high)
        low = np.where(right <= _ONE, np.minimum(low, 1 - once), low)
    low = np.where(wrong < _HALF, rare, np.where(right < _HALF, 0.0, np.minimum(low, rare)))
    high = np.where(
        right < _HALF, 1 - rare, np.where(wrong < _HALF, 1.0, np.maximum(high, 1 - rare))
    )
    return np.stack([low, high])


_FEW = 6
"""Scenarios of which fewer are all right or all wrong by chance in more than 5 %."""

_HALF, _ONE = 0.5 - 1e-9, 1 + 1e-9
"""Scenarios of which fewer cannot be told from none; one scenario."""


def finite_mean(values: Float[np.ndarray, "draw *rest"]) -> Float64[np.ndarray, "*rest"]:
    """Mean over the draws without those that are not finite; NaN where none is left."""
    finite = np.isfinite(values)
    n = finite.sum(axis=0)
    return np.asarray(np.where(finite, values, 0.0).sum(axis=0) / np.where(n > 0, n, np.nan))


def jackknife_se(
    replicates: Float[np.ndarray, "scenario *rest"],
    touched: Bool[np.ndarray, " scenario"] | None = None,
) -> Float64[np.ndarray, "*rest"]:
    """sqrt((n - 1) / n * sum (theta_s - mean)^2) over the values with one scenario left out.

    Args:
        replicates: One value per scenario left out.
        touched: The scenarios that hold a class of the statistic; the others change nothing.

    NaN with fewer than two scenarios, or where a value is NaN.

    Source: Efron & Stein 1981.
    """
    used = replicates if touched is None else replicates[touched]
    n = len(used)
    if n < 2:
        return np.full(replicates.shape[1:], np.nan)
    deviations = used - used.mean(axis=0)
    se: Float64[np.ndarray, "*rest"] = np.asarray(
        np.sqrt((n - 1) / n * (deviations**2).sum(axis=0))
    )
    return se


def freedom_of(
    influence: Float[np.ndarray, "scenario *rest"], sides: Bool[np.ndarray, "2 scenario"]
) -> Float64[np.ndarray, "*rest"]:
    """Degrees of freedom of variances that are summed; NaN below `LEAST_FREEDOM`.

    Scenarios that hold both sides of a contrast, and those that hold one only, are drawn from
    groups with variances of their own. Where one group has almost all of the variance, its number
    counts: 12 wide prompts against 48 narrow ones are hardly more than 12. With matched scenarios
    there is one group, and one degree of freedom less than scenarios.

    Args:
        influence: Change of a figure by each scenario; 0 for a scenario without either side.
        sides: True for the scenarios that hold the emotion, and for those that hold the reference.

    Source: Satterthwaite 1946; Welch 1947.
    """
    total, spent = np.zeros(influence.shape[1:]), np.zeros(influence.shape[1:])
    for group in (sides[0] & sides[1], sides[0] & ~sides[1], ~sides[0] & sides[1]):
        if group.any():
            variance = (influence[group] ** 2).sum(axis=0)
            total += variance
            spent += variance**2 / max(group.sum() - 1, 1)
    most = max(int(sides.any(axis=0).sum()) - 1, 1)
    freedom = np.divide(total**2, spent, out=np.full(total.shape, float(most)), where=spent > 0)
    return np.where(freedom > LEAST_FREEDOM - 1e-9, freedom, np.nan)


def sides_of(
    design: Design, contrast: Float[np.ndarray, " label"]
) -> Bool[np.ndarray, "2 scenario"]:
    """True for the scenarios that hold the emotion of a contrast, and those of its reference."""
    held = design.counts > 0
    return np.stack([held[contrast > 0].any(axis=0), held[contrast < 0].any(axis=0)])


def fewest_scenarios(design: Design, contrast: Float[np.ndarray, " label"]) -> int:
    """Scenarios of that side of a contrast that has fewer of them."""
    return int(sides_of(design, contrast).sum(axis=1).min())
