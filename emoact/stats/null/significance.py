"""One permutation test per emotion and model over all layers and sites, then Holm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from emoact.schema import Site
from emoact.stats.null.holm import adjust
from emoact.stats.null.permutation import PermutationTest, max_statistic_test


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
    columns: Mapping[Site, slice]
    p_holm: float
    p_holm_layers: Float64[np.ndarray, " column"]


def judge_families(
    families: Sequence[Mapping[Site, Float[np.ndarray, "permutation _"]]],
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
