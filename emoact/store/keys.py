"""The configuration of a unit as one hash, and differences between two configurations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64

from emoact.errors import EmoactError


def unit_key(configuration: Mapping[str, Any], tokens: Sequence[Int64[np.ndarray, " _pos"]]) -> str:
    """SHA-256 of the configuration and the tokens of a unit.

    Args:
        configuration: Model, revision, processing and so on: strings, integers, booleans, None,
            lists and mappings of them. The order of a mapping does not matter.
        tokens: Token ids of each sample, in order.

    Raises:
        EmoactError: A value has no single spelling, such as a float; names the field.
    """
    canonical = json.dumps(_plain(configuration, ""), sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256()
    # Every part is preceded by its length, so that no two inputs give the same bytes.
    for part in (canonical.encode(), *(ids.astype("<i8").tobytes() for ids in tokens)):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def differences(saved: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Differences between two configurations as `field: saved X, asked Y`, sorted by field.

    Args:
        saved: The configuration on disk.
        asked: The configuration of the request.
    """
    ours, theirs = dict(_leaves(saved)), dict(_leaves(asked))
    return [
        f"{field}: saved {_shown(ours, field)}, asked {_shown(theirs, field)}"
        for field in sorted(ours.keys() | theirs.keys())
        if _shown(ours, field) != _shown(theirs, field)
    ]


def _plain(value: Any, field: str) -> Any:
    if value is None or type(value) in (str, int, bool):
        return value
    if isinstance(value, Mapping):
        for key in value:
            if type(key) is not str:
                raise EmoactError(f"configuration {field or 'itself'} has the key {key!r}, not str")
        return {
            key: _plain(item, f"{field}.{key}" if field else key) for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{field}[{index}]") for index, item in enumerate(value)]
    raise EmoactError(
        f"configuration field {field or 'itself'} is a {type(value).__name__}; allowed are str, "
        "int, bool, None, lists and mappings"
    )


def _leaves(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        field = f"{prefix}{key}"
        if isinstance(item, Mapping) and item:
            yield from _leaves(item, f"{field}.")
        else:
            yield field, item


def _shown(leaves: Mapping[str, Any], field: str) -> str:
    if field not in leaves:
        return "nothing"
    return json.dumps(leaves[field], ensure_ascii=False, sort_keys=True, default=repr)
