"""Significance: one permutation test per emotion and model over layers and sites, then Holm."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from emoact.measures import Measure, ends
from emoact.sites import SiteName
from emoact.stats.null.p_values import adjust
from emoact.stats.null.permutation import PermutationTest, max_statistic_test
from emoact.stats.products import signed_root


@dataclass(frozen=True, kw_only=True, eq=False)
class Significance:
    """The test of one emotion in one model.

    Attributes:
        test: Columns are the layers of all sites, one site after the other.
        columns: Where each site's layers lie among the columns.
        p_holm: Holm-adjusted p-value of the whole.
        p_holm_layers: Holm-adjusted p-value of every column.
    """

    test: PermutationTest
    columns: Mapping[SiteName, slice]
    p_holm: float
    p_holm_layers: Float64[np.ndarray, " column"]

    def at(self, site: SiteName) -> Float64[np.ndarray, " layer"]:
        """Holm-adjusted p-value of each layer of a site."""
        return self.p_holm_layers[self.columns[site]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """One emotion, model and site, with the test of all layers and sites and Holm's correction.

    Attributes:
        site: The site.
        significance: The test of the emotion in the model.
        alpha: Largest accepted chance of any false alarm.
    """

    site: SiteName
    significance: Significance
    alpha: float

    @property
    def columns(self) -> slice:
        """Columns of this site in the test."""
        return self.significance.columns[self.site]

    @property
    def p_holm(self) -> Float64[np.ndarray, " layer"]:
        """Holm-adjusted p-value of each layer."""
        return self.significance.at(self.site)


def judge_families(
    families: Sequence[Mapping[SiteName, Float[np.ndarray, "permutation _"]]],
) -> list[Significance]:
    """Tests of all (emotion, model) families together.

    Within a family the maximum runs over layers and sites (Westfall & Young), across families the
    p-values are adjusted by Holm, so that the chance of any false alarm anywhere is at most alpha.

    Args:
        families: Cross-validated squared strengths by site; row 0 as labelled, the others
            relabelled alike at every site.
    """
    tests = [
        max_statistic_test(np.concatenate(list(family.values()), axis=1)) for family in families
    ]
    holm = adjust(np.array([test.p_family for test in tests]))
    found = []
    for index, (family, test) in enumerate(zip(families, tests, strict=True)):
        columns, start = {}, 0
        for site, strengths in family.items():
            columns[site] = slice(start, start + strengths.shape[1])
            start += strengths.shape[1]
        layers = np.maximum(np.minimum(test.p_max * holm.factor[index], 1.0), holm.floor[index])
        found.append(
            Significance(
                test=test,
                columns=columns,
                p_holm=float(holm.adjusted[index]),
                p_holm_layers=layers,
            )
        )
    return found


MEASURES = (
    *(
        dataclasses.replace(end, judged=True)
        for end in ends(
            "null_low",
            "null_high",
            table="strength",
            of="the 95 % band of cv at one layer when labels are swapped within scenarios",
            unit="model units",
            compute=lambda judged: signed_root(
                judged.significance.test.null_band[:, judged.columns]
            ),
        )
    ),
    Measure(
        name="z",
        table="strength",
        definition="cv_squared over its standard deviation under relabelling",
        unit="standard deviations",
        judged=True,
        compute=lambda judged: judged.significance.test.z[judged.columns],
    ),
    Measure(
        name="p",
        table="strength",
        definition="Permutation p-value of one layer alone",
        formula="(1 + #{null ≥ observed}) / (1 + B)",
        source="Phipson & Smyth 2010",
        judged=True,
        compute=lambda judged: judged.significance.test.p[judged.columns],
    ),
    Measure(
        name="p_max",
        table="strength",
        definition="p-value against the maximum over all layers and sites",
        source="Westfall & Young 1993",
        judged=True,
        compute=lambda judged: judged.significance.test.p_max[judged.columns],
    ),
    Measure(
        name="p_holm",
        table="strength",
        definition="p_max after Holm's correction over emotions and models",
        source="Holm 1979",
        judged=True,
        compute=lambda judged: judged.p_holm,
    ),
    Measure(
        name="significant",
        table="strength",
        kind="bool",
        definition="p_holm is at most alpha (.05 by default)",
        judged=True,
        compute=lambda judged: judged.p_holm <= judged.alpha,
    ),
)
