"""Significance on three levels: one layer alone, an emotion anywhere, and one layer among all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float64

from emoact.measures import Columns
from emoact.sites import SiteName
from emoact.stats.null.permutation import PermutationTest, adjust, max_statistic_test
from emoact.stats.products import signed_root


@dataclass(frozen=True, kw_only=True, eq=False)
class Significance:
    """The test of one emotion in one model.

    Attributes:
        test: Columns are the layers of all sites, one site after the other.
        columns: Where each site's layers lie among the columns.
        p_holm: The emotion anywhere: Holm-adjusted p-value of the whole.
        p_strong: This layer of this emotion: p-value of every column, adjusted for all columns of
            all families.
        least: Smallest p_holm that other data of this family could have beside the other families:
            few scenarios have few relabellings, of which some give the same classes again.
    """

    test: PermutationTest
    columns: Mapping[SiteName, slice]
    p_holm: float
    least: float
    p_strong: Float64[np.ndarray, " column"]

    def at(self, site: SiteName) -> Float64[np.ndarray, " layer"]:
        """p-value of each layer of a site, adjusted for all columns of all families."""
        return self.p_strong[self.columns[site]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """One emotion, model and site, with the test of all layers and sites."""

    site: SiteName
    significance: Significance
    alpha: float

    @property
    def columns(self) -> slice:
        """Columns of this site in the test."""
        return self.significance.columns[self.site]

    @property
    def p_strong(self) -> Float64[np.ndarray, " layer"]:
        """p-value of each layer, adjusted for all layers, sites, emotions and models."""
        return self.significance.at(self.site)

    @property
    def significant(self) -> Bool[np.ndarray, " layer"]:
        """True for the layers at which the direction is significant."""
        return np.asarray(self.p_strong <= self.alpha)


def judge_families(
    families: Sequence[Mapping[SiteName, Float[np.ndarray, "permutation _"]]],
) -> list[Significance]:
    """Tests of all (emotion, model) families together.

    Row 0 of the statistics is as labelled; the others are relabelled alike at every site.

    Within a family the maximum runs over layers and sites (Westfall & Young). A family as a whole
    is adjusted by Holm over the families. A single layer is adjusted by the full number of
    families: with Holm's shrinking factor, a real layer in each of the other families would make a
    layer without an effect significant too often.
    """
    joined = [np.concatenate(list(family.values()), axis=1) for family in families]
    tests = [max_statistic_test(statistics) for statistics in joined]
    p_families = np.array([test.p_family for test in tests])
    adjusted = adjust(p_families)
    found = []
    for family, statistics, test, p_holm in zip(families, joined, tests, adjusted, strict=True):
        columns, start = {}, 0
        for site, own in family.items():
            columns[site] = slice(start, start + own.shape[1])
            start += own.shape[1]
        found.append(
            Significance(
                test=test,
                columns=columns,
                p_holm=float(p_holm),
                least=(least := _least_p(statistics))
                * (p_families.size - int((2 * p_families < least).sum())),
                p_strong=np.minimum(test.p_max * len(families), 1.0),
            )
        )
    return found


def _least_p(statistics: Float[np.ndarray, "draw layer"]) -> float:
    """p-value of the largest statistic there can be, from draws that tie with row 0."""
    varied = statistics[:, np.ptp(statistics, axis=0) > 0]
    ties = np.isclose(varied[1:], varied[0], rtol=1e-9, atol=0.0).all(axis=1) & (varied.size > 0)
    return float((1 + ties.sum()) / len(statistics))


def _of_test(name: str) -> Any:
    return lambda cell: getattr(cell.judged.significance.test, name)[cell.judged.columns]


_strength = Columns("strength", path="judged")

MEASURES = (
    *_strength.ends(
        "null_low",
        "null_high",
        "the 95 % band of cv at one layer when labels are swapped within scenarios (500 draws)",
        lambda cell: signed_root(cell.null_band),
        unit="model units",
    ),
    *_strength.ends(
        "null_normalised_low",
        "null_normalised_high",
        "the 95 % band of cv_normalised at one layer under relabelling",
        lambda cell: signed_root(cell.normalised_band),
        unit="standard deviations",
    ),
    _strength(
        "z_normalised",
        "Noise-normalised statistic of the permutation test, less its mean under relabelling, "
        "over its standard deviation",
        _of_test("z"),
        formula="(T − mean T) / sd T, T = mean over dimensions of t_j² in matched scenarios",
        unit="standard deviations",
        source="Srivastava & Du 2008",
    ),
    _strength(
        "p",
        "This layer alone: permutation p-value of one layer, for a layer that was fixed beforehand",
        _of_test("p"),
        formula="(1 + #{null ≥ observed}) / (1 + B)",
        source="Phipson & Smyth 2010",
    ),
    _strength(
        "p_max",
        "p-value against the maximum over all layers and sites of this emotion and model, for an "
        "emotion and a model that were fixed beforehand",
        _of_test("p_max"),
        source="Westfall & Young 1993",
    ),
    _strength(
        "p_strong",
        "This layer of this emotion: p_max times the number of all emotions and models, with "
        "strong control over layers, sites, emotions and models",
        formula="min(1, p_max · emotions · models)",
        source="Westfall & Young 1993",
    ),
    _strength(
        "significant",
        "This layer of this emotion: p_strong is at most alpha (.05 by default)",
        kind="bool",
    ),
)
