"""Fields of provenance that must agree before two files are compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

COMPARED: tuple[str, ...] = (
    "schema_version",
    "model_name",
    "revision",
    "weight_source",
    "processing",
    "bos",
    "dtype",
    "dataset",
)
"""Fields of provenance that a comparison looks at."""


def missing_fields(provenance: Mapping[str, Any]) -> tuple[str, ...]:
    """The compared fields that a provenance does not have."""
    return tuple(field for field in COMPARED if field not in provenance)


def configuration_of(provenance: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The compared fields, or None where one of them is unknown.

    `bos` is the policy with its token, `dataset` the hash of the data set's file, and `revision`
    the commit that was loaded where it is known.
    """
    if provenance is None or missing_fields(provenance):
        return None
    chosen = {field: provenance[field] for field in COMPARED}
    chosen["revision"] = provenance.get("commit") or chosen["revision"]
    dataset = chosen["dataset"]
    if isinstance(dataset, Mapping):
        chosen["dataset"] = dataset.get("sha256")
    return chosen


def prompts_of(metadata: Mapping[str, Any], n_samples: int) -> tuple[Mapping[str, Any], ...] | None:
    """One mapping with a `text` per sample, or None where the file has no such thing.

    A plain list of texts counts: other people's files have that.
    """
    found = metadata.get("prompts")
    if not isinstance(found, list | tuple) or len(found) != n_samples:
        return None
    prompts = tuple({"text": prompt} if isinstance(prompt, str) else prompt for prompt in found)
    if all(isinstance(each, Mapping) and isinstance(each.get("text"), str) for each in prompts):
        return prompts
    return None
