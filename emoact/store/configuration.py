"""Configuration of a unit: the fields that decide its content, for manifest and unit key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from emoact.schema import SCHEMA_VERSION, ExtractionOptions, Prompt


def prompts_sha256(prompts: Sequence[Prompt]) -> str:
    """Hash of the texts and their ids, in order."""
    digest = hashlib.sha256()
    for prompt in prompts:
        digest.update(json.dumps([prompt.id, prompt.text], ensure_ascii=True).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def unit_configuration(
    *,
    model_name: str,
    revision: str,
    commit: str | None,
    weight_source: str,
    options: ExtractionOptions,
    prompts: Sequence[Prompt],
    store: str = "pickle",
) -> dict[str, Any]:
    """Content of the unit key, tokens apart.

    Args:
        model_name: As in the metadata.
        revision: The requested revision.
        commit: Commit or content hash; None where it is not known before a download.
        weight_source: Origin of the weights.
        options: Settings that decide the values of an activation.
        prompts: Those of the unit's emotion, in order.
        store: Name of the store; stated for others than pickles only, whose keys are older.
    """
    stored = {} if store == "pickle" else {"store": store}
    return {
        "model_name": model_name,
        "revision": revision,
        "commit": commit,
        "weight_source": weight_source,
        "processing": options.processing,
        "dtype": options.dtype,
        "sites": list(options.sites),
        "bos": options.bos,
        "truncate": options.truncate,
        "prompts_sha256": prompts_sha256(prompts),
        "schema_version": SCHEMA_VERSION,
        **stored,
    }


def store_in(configuration: Mapping[str, Any]) -> str:
    """Name of the store in a configuration."""
    return str(configuration.get("store", "pickle"))
