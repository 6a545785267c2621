"""The fields that decide what a unit holds, in the words of the manifest and of the unit key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
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
) -> dict[str, Any]:
    """What the unit key is made of, tokens apart.

    Args:
        model_name: As in the metadata.
        revision: As it was asked for.
        commit: Commit or content hash; None where it is not known before a download.
        weight_source: Where the weights come from.
        options: What an activation is.
        prompts: Those of the unit's emotion, in order.
    """
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
    }
