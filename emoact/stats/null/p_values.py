"""P-values of permutation tests, and Holm's correction over several families."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64


def permutation_p(
    null: Float[np.ndarray, "draw *rest"], observed: Float[np.ndarray, "*rest"] | float
) -> Float64[np.ndarray, "*rest"]:
    """(1 + #{null >= observed}) / (1 + B), with B draws in the first axis.

    Source: Phipson & Smyth 2010.
    """
    return np.asarray((1 + (null >= observed).sum(axis=0)) / (1 + len(null)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Holm:
    """Step-down adjustment.

    Attributes:
        adjusted: Adjusted p-value of each family.
        factor: Multiplier of each p-value: number of families at this step.
        floor: Largest adjusted p-value of the steps before; the lower bound of this one.
    """

    adjusted: Float64[np.ndarray, " family"]
    factor: Float64[np.ndarray, " family"]
    floor: Float64[np.ndarray, " family"]


def adjust(p: Float[np.ndarray, " family"]) -> Holm:
    """Adjusted p-values that keep the chance of any false alarm over all families at alpha.

    A family that could not be tested has NaN and counts like one with the p-value 1.

    Source: Holm 1979.
    """
    tested = np.isfinite(p)
    p = np.where(tested, p, 1.0)
    order = np.argsort(p, kind="stable")
    n = len(p)
    adjusted, factor, floor = np.empty(n), np.empty(n), np.empty(n)
    reached = 0.0
    for rank, family in enumerate(order):
        factor[family] = n - rank
        floor[family] = reached
        reached = max(reached, min(1.0, float((n - rank) * p[family])))
        adjusted[family] = reached
    return Holm(adjusted=np.where(tested, adjusted, np.nan), factor=factor, floor=floor)
