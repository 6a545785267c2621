"""Check of a value against the pickle contract of emoact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from emoact import sites
from emoact.schema import Finding
from emoact.store.array_checks import Geometry, check_labels, check_site, check_tokens
from emoact.store.findings import Findings
from emoact.store.metadata_checks import REPAIR, check_metadata, integer
from emoact.store.unit import Unit


def check_contract(payload: object) -> list[Finding]:
    """Errors, warnings and notes about a value; reads no array's content.

    Args:
        payload: As `load_closed` gives it.
    """
    findings = Findings()
    if not isinstance(payload, dict):
        findings.error("not_a_dict", "", "the pickle holds no dict", REPAIR)
        return list(findings)
    metadata = check_metadata(payload.get("metadata"), findings)
    if metadata is None:
        return list(findings)
    check_labels(payload, metadata, findings)
    lengths = check_tokens(payload, metadata, findings)
    if lengths:
        geometry = Geometry(
            n_layers=int(metadata["n_layers"]), d_model=int(metadata["d_model"]), lengths=lengths
        )
        _check_sites(payload, metadata, geometry, findings)
        _check_content(metadata, lengths, findings)
    known = {"tokens", "token_strings", "labels", "metadata", *(site.key for site in sites.SITES)}
    unknown = [key for key in payload if key not in known]
    if unknown:
        named = ", ".join(f"{key!s:.40}" for key in unknown[:5])
        findings.note("unknown_keys", named, "keys beyond the contract; they are ignored")
    return list(findings)


def _check_sites(
    payload: Mapping[Any, Any], metadata: Mapping[str, Any], geometry: Geometry, findings: Findings
) -> None:
    saved = 0
    for site in sites.SITES:
        value = payload.get(site.key)
        present = has_values(value)
        saved += present
        _check_flag(site, present, metadata, findings)
        if present:
            check_site(site, value, geometry, findings)
    if not saved:
        findings.error("no_activations", "residual_stream", "there are no activations", REPAIR)
    named = metadata.get("sites")
    if isinstance(named, list | tuple):
        for site in sites.SITES:
            if (site.name in named) != has_values(payload.get(site.key)):
                findings.error(
                    "sites_differ",
                    site.key,
                    f"metadata.sites is {list(named)}, the file differs",
                    REPAIR,
                )


def has_values(value: object) -> bool:
    """True when a key of the pickle holds arrays; without them it may hold None, [] or [[], []]."""
    if isinstance(value, list | tuple):
        return any(not isinstance(layer, list | tuple | None) or layer for layer in value)
    return value is not None


def _check_flag(
    site: sites.Site, present: bool, metadata: Mapping[str, Any], findings: Findings
) -> None:
    flag, key = site.flag, site.key
    said = metadata.get(flag) if flag else None
    if flag is None or not isinstance(said, bool | np.bool_) or bool(said) == present:
        return
    if present:
        findings.warning("flag", f"metadata.{flag}", f"it is False, but {key} is there")
    else:
        # Other people's files say "attention" of any output of attention, patterns or not.
        add = findings.error if site.is_saved else findings.warning
        add("flag", f"metadata.{flag}", f"it is True, but {key} is missing", REPAIR)


def _check_content(
    metadata: Mapping[str, Any], lengths: tuple[int, ...], findings: Findings
) -> None:
    start = integer(metadata.get("content_start", 1)) or 0
    for sample, length in enumerate(lengths):
        if length <= start:
            findings.warning(
                "no_content",
                f"tokens[{sample}]",
                f"{length} position(s), content starts at {start}: nothing is left to look at",
            )


def check_finite(unit: Unit) -> list[Finding]:
    """Warnings about NaN and infinite values, one per site; reads every array."""
    findings = Findings()
    for site in unit.sites:
        for layer, samples in enumerate(unit.by_site[site]):
            for sample, array in enumerate(samples):
                bad = array.size - int(np.isfinite(array).sum())
                if bad:
                    findings.warning(
                        f"not_finite_{site}",
                        f"{sites.site(site).key}[{layer}][{sample}]",
                        f"{bad:,} of {array.size:,} values are NaN or infinite",
                        "Extract the unit again in float32, or leave the sample out.",
                    )
    return list(findings)
