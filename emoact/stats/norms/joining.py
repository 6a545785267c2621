"""Units of one model put together, for statistics over all of their prompts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from emoact.store.summaries.measures import SiteMeasures, UnitMeasures


def join_norms(units: Sequence[UnitMeasures]) -> UnitMeasures:
    """One unit with the prompts and norms of all; it has norms by token and nothing else.

    Args:
        units: Of one model; only sites and layers that all of them have are kept.
    """
    first = units[0]
    n_layers = {
        site: min(unit.sites[site].n_layers for unit in units)
        for site in first.sites
        if all(site in unit.sites for unit in units)
    }
    return dataclasses.replace(
        first,
        lengths=tuple(length for unit in units for length in unit.lengths),
        token_strings=tuple(texts for unit in units for texts in unit.token_strings),
        prompts=None,
        sites={
            site: SiteMeasures(
                arrays={
                    name: np.concatenate(
                        [getattr(unit.sites[site], name)[:held] for unit in units], axis=1
                    )
                    for name in ("l2", "l1", "n_bad")
                },
                n_layers=held,
            )
            for site, held in n_layers.items()
        },
        steps={},
    )
