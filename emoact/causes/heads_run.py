"""Contributions from saved prompts, in the process that has the model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from emoact.causes.components import check_sum, collect_terms
from emoact.causes.contributions import Contributions, contributions, rows_of
from emoact.causes.direction import pooled_at
from emoact.causes.heads import N_LARGEST, HeadsWork, name_of
from emoact.causes.loaded import (
    AGAIN,
    SAME,
    Loaded,
    design_of_units,
    saved_prompts,
    unit_prompts,
)
from emoact.decode import encode
from emoact.errors import EmoactError
from emoact.store.unit import Unit

_PASS_SHARE = 0.8
_MOST_PROMPTS = 2000


def found_heads(asked: Loaded) -> dict[str, Any]:
    """Contributions of every component to the direction that is asked for.

    Raises:
        CancelledError: The reporter was asked to stop.
        EmoactError: The model is not that of the files.
        RequestError: Contributions of this model cannot be given; says why.
    """
    units, work, reporter = asked.units, asked.work, asked.reporter
    prompts = [prompt for unit in units for prompt in saved_prompts(unit)]

    def on_part(part: float) -> None:
        reporter.step(
            "extract",
            model=work.folder,
            detail="heads, MLPs and embedding",
            done=round(part * len(prompts)),
            total=len(prompts),
            share=_PASS_SHARE * part,
        )

    terms = collect_terms(asked.engine, prompts, work.target, on_part)
    reporter.step("analyze", model="", detail="relabelling", share=_PASS_SHARE)
    found = contributions(terms, design_of_units(units), work.emotion, work.settings)
    check_sum(found.gap, asked.dtype)
    _check_direction(units, work, found)
    return {
        "emotion": work.emotion,
        "neutral": work.settings.neutral,
        "target": encode(work.target),
        "n_prompts": len(prompts),
        "direction_norm": found.direction_norm,
        "total": found.total,
        "gap": found.gap,
        "n_permutations": work.settings.n_permutations,
        "components": rows_of(found.table),
        "by_layer": rows_of(found.by_layer),
        "by_prompt": _by_prompt(units, found),
    }


def _by_prompt(units: Sequence[Unit], found: Contributions) -> dict[str, Any]:
    """Contributions of the largest components to each prompt, and the sum of all, in columns.

    Of many prompts some, evenly spaced.
    """
    owners = [(unit.emotion, name) for unit in units for name in unit_prompts(unit)]
    kept = slice(None, None, math.ceil(len(owners) / _MOST_PROMPTS) or 1)
    sizes = found.table["contrast"].abs()
    largest = sizes.sort_values(ascending=False, kind="stable").index[:N_LARGEST]
    return {
        "emotion": [emotion for emotion, _ in owners[kept]],
        "prompt": [name for _, name in owners[kept]],
        "projection": found.values[kept].sum(axis=1).tolist(),
        "contributions": {
            name_of(found.table.loc[at].to_dict()): found.values[kept, at].tolist()
            for at in largest
        },
    }


def _check_direction(units: Sequence[Unit], work: HeadsWork, found: Contributions) -> None:
    place = (work.target.site, work.target.pooling)
    if any(place not in unit.pooled for unit in units if unit.pooled):
        return
    if any(place[0] not in unit.sites for unit in units):
        return
    means = [pooled_at(unit, work.target).mean(axis=0, dtype=np.float64) for unit in units]
    saved = means[0] - means[1]
    apart = float(np.linalg.norm(saved - found.direction) / np.linalg.norm(saved))
    if not apart <= SAME:
        raise EmoactError(
            f"the direction of {work.emotion} in the files and that of the installed model differ "
            f"by {apart:.2g} of its norm",
            remedy=AGAIN,
        )
