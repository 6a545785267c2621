"""Checks of saved activations before directions are computed from them.

Each threshold is a statement about size that can be derived without data and stands beside its
check. None was tuned to the data set that comes with emoact.
"""

from __future__ import annotations

from collections.abc import Sequence

from emoact.stats.findings.dimensions import dead_dimensions, rogue_dimensions
from emoact.stats.findings.finding import FINDING_KINDS, ActivationFinding
from emoact.stats.findings.pool import site_pools
from emoact.stats.findings.prompts import outlier_prompts, unequal_lengths
from emoact.stats.findings.settings import mixed_settings
from emoact.stats.findings.sinks import first_token_sink, massive_tokens
from emoact.stats.findings.values import nonfinite_values, norm_collapse
from emoact.store.summaries.measures import UnitMeasures

_ON_SITES = (
    nonfinite_values,
    massive_tokens,
    rogue_dimensions,
    dead_dimensions,
    norm_collapse,
    outlier_prompts,
    first_token_sink,
)


def activation_findings(units: Sequence[UnitMeasures]) -> tuple[ActivationFinding, ...]:
    """All findings on the units, by kind and then by model; emotions keep their order."""
    found: list[ActivationFinding] = list(mixed_settings(units))
    for folder in dict.fromkeys(unit.folder for unit in units):
        own = [unit for unit in units if unit.folder == folder]
        found += unequal_lengths(own)
        # Files of another width, which `mixed_settings` names, are checked by themselves.
        for width in dict.fromkeys(unit.d_model for unit in own):
            for pool in site_pools([unit for unit in own if unit.d_model == width]):
                for check in _ON_SITES:
                    found += check(pool)
    return tuple(sorted(found, key=lambda finding: FINDING_KINDS.index(finding.kind)))
