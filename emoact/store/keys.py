"""Configuration of a unit, its hash, and the differences between two configurations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64

from emoact.errors import EmoactError
from emoact.models.source import ModelIdentity
from emoact.schema import SCHEMA_VERSION, ExtractionOptions, Prompt

WEIGHTS = "weight_sha256"
STORED = ("store", "precision")
"""Fields of a configuration that say how a unit is kept, and not what it is."""


def prompts_sha256(prompts: Sequence[Prompt]) -> str:
    """Hash of the texts and their ids, in order."""
    digest = hashlib.sha256()
    for prompt in prompts:
        digest.update(json.dumps([prompt.id, prompt.text], ensure_ascii=True).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def unit_configuration(
    model: ModelIdentity,
    prompts: Sequence[Prompt],
    *,
    options: ExtractionOptions,
    store: str = "pickle",
    weight_sha256: str | None = None,
) -> dict[str, Any]:
    """Content of the unit key, tokens apart.

    The commit of the model is None where it is not known before a download. `store` is stated for
    others than pickles only, whose keys are older; `weight_sha256` for weights that the commit
    alone does not fix. Units from before it was stated lack it.
    """
    stored: dict[str, Any] = {} if weight_sha256 is None else {WEIGHTS: weight_sha256}
    if store != "pickle":
        stored |= {"store": store, "precision": options.precision}
    if options.chat is not None:
        stored["chat"] = options.chat.words
    if options.generation is not None:
        stored["generation"] = options.generation.words
    return {
        "model_name": model.model_name,
        "revision": model.revision,
        "commit": model.commit,
        "weight_source": model.weight_source,
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


def unit_key(configuration: Mapping[str, Any], tokens: Sequence[Int64[np.ndarray, " _pos"]]) -> str:
    """SHA-256 of the configuration and the tokens of a unit.

    The configuration has strings, integers, booleans, None, lists and mappings, whose order does
    not matter.

    Raises:
        EmoactError: A value has no single spelling, such as a float; names the field.
    """
    values = {name: value for name, value in configuration.items() if name not in STORED}
    stored = {name: value for name, value in configuration.items() if name in STORED}
    digest = hashlib.sha256()
    # Every part is preceded by its length, so that no two inputs give the same bytes.
    for part in (_canonical(values).encode(), *(ids.astype("<i8").tobytes() for ids in tokens)):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return stored_key(digest.hexdigest(), stored)


def stored_key(key: str, stored: Mapping[str, Any]) -> str:
    """Key of a unit with such a form and precision, from its key as a pickle."""
    if not stored:
        return key
    return hashlib.sha256(f"{key} {_canonical(stored)}".encode()).hexdigest()


def _canonical(values: Mapping[str, Any]) -> str:
    return json.dumps(_plain(values, ""), sort_keys=True, separators=(",", ":"))


def differences(saved: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Differences between two configurations as `field: saved X, asked Y`, sorted by field.

    Weights that one of them does not state are not compared.
    """
    ours, theirs = dict(_leaves(saved)), dict(_leaves(asked))
    if WEIGHTS not in ours or WEIGHTS not in theirs:
        ours.pop(WEIGHTS, None)
        theirs.pop(WEIGHTS, None)
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
