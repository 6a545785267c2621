"""Prompts whose vectors are not finite: refused, or left out on request and named."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from emoact.errors import RequestError
from emoact.numbers import some
from emoact.schema import Finding
from emoact.stats.features import UnitFeatures
from emoact.stats.room import set_down


def finite_units(
    units: Sequence[UnitFeatures], *, leave_out: bool = False
) -> tuple[list[UnitFeatures], list[Finding]]:
    """The units without prompts that hold a NaN or an infinity, and what was left out.

    A prompt is left out of its unit at every layer and site, so that all figures rest on the same
    prompts.

    Raises:
        RequestError: There is such a prompt and `leave_out` is not set, or a unit has no other.
    """
    kept: list[UnitFeatures] = []
    findings: list[Finding] = []
    for unit in units:
        broken = _broken(unit)
        if not broken.any():
            kept.append(unit)
            continue
        findings.append(_finding(unit, broken))
        if leave_out and broken.all():
            raise RequestError(
                f"no prompt of {unit.name} has finite vectors, so that the unit cannot be analysed",
                remedy="Extract it again, or analyse without this emotion or model.",
            )
        if leave_out:
            kept.append(_without(unit, broken))
    if findings and not leave_out:
        raise RequestError(
            "; ".join(f"{finding.where}: {finding.message}" for finding in findings),
            remedy="Extract these files again, or leave out the prompts named here "
            "(--leave-out-nonfinite).",
        )
    return kept, findings


def _broken(unit: UnitFeatures) -> Bool[np.ndarray, " prompt"]:
    broken = np.zeros(len(unit.prompts), dtype=bool)
    for pooled in unit.sites.values():
        for layer in range(pooled.shape[1]):
            broken |= ~np.isfinite(pooled[:, layer]).all(axis=1)
            set_down(pooled)
    return broken


def _finding(unit: UnitFeatures, broken: Bool[np.ndarray, " prompt"]) -> Finding:
    empty = broken & np.array([prompt.n_tokens < 1 for prompt in unit.prompts])
    said = []
    if (broken & ~empty).any():
        where = [
            f"{site} layer {', '.join(str(layer) for layer in layers)}"
            for site, pooled in unit.sites.items()
            if len(layers := np.flatnonzero(~np.isfinite(pooled[~empty]).all(axis=(0, 2))))
        ]
        said.append(
            f"NaN or infinite values in {'; '.join(where)}, {_prompts(unit, broken & ~empty)}"
        )
    if empty.any():
        said.append(f"no content position to pool in {_prompts(unit, empty)}")
    return Finding(
        code="nonfinite_features",
        severity="warning",
        where=unit.name,
        message="; ".join(said),
        remedy="Left out of this analysis; extract the file again.",
    )


def _prompts(unit: UnitFeatures, chosen: Bool[np.ndarray, " prompt"]) -> str:
    ids = [unit.prompts[index].id for index in np.flatnonzero(chosen).tolist()]
    return f"prompts {some(ids)} ({len(ids)} of {len(unit.prompts)})"


def _without(unit: UnitFeatures, broken: Bool[np.ndarray, " prompt"]) -> UnitFeatures:
    return dataclasses.replace(
        unit,
        prompts=[p for p, bad in zip(unit.prompts, broken, strict=True) if not bad],
        sites={site: pooled[~broken] for site, pooled in unit.sites.items()},
        controls=None
        if unit.controls is None
        else unit.controls.rows(np.flatnonzero(~broken).tolist()),
    )
