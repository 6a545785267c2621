"""Whether the files on a page may be compared, in words, and what each of them is."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from emoact import numbers
from emoact.models.registry import REGISTRY
from emoact.ui.reading import UnitCard
from emoact.views.text import listed, md, mono

# These differ between any two models and make no comparison unfair.
_OF_THE_MODEL = frozenset({"model_name", "revision", "weight_source"})


def warnings(cards: Sequence[UnitCard]) -> list[str]:
    """Sentences in Markdown: unknown configuration, mixed configuration, random weights."""
    found = []
    unknown = [card for card in cards if card.configuration is None]
    if unknown:
        found.append(
            f"The configuration of {_names(unknown)} is unknown: the files do not say how they "
            "were made. Position 0 is taken for a BOS and left out."
        )
    mixed = _mixed([card for card in cards if card.configuration is not None])
    if mixed:
        found.append(
            f"The files differ in {listed([mono(field) for field in mixed])}; what is drawn "
            "together here is not made alike. The settings below say which is which."
        )
    random = [card for card in cards if card.random_weights]
    if random:
        found.append(
            f"{_names(random)}: random weights. They show that the tools work and say nothing "
            "about emotion."
        )
    return found


def frame(cards: Sequence[UnitCard]) -> pd.DataFrame:
    """One row for each file."""
    return pd.DataFrame([_row(card) for card in cards])


def footnotes(cards: Sequence[UnitCard]) -> list[str]:
    """What a reader has to know of the models shown when sites are compared."""
    notes = {
        f"{spec.name}: {spec.footnote}"
        for card in cards
        for spec in REGISTRY
        if spec.hub_id == card.model_name and spec.footnote
    }
    return sorted(notes)


def bos_words(configuration: Mapping[str, Any] | None) -> str:
    """`prepended <|endoftext|>`, `none` or `unknown`."""
    bos = (configuration or {}).get("bos")
    if not isinstance(bos, Mapping):
        return "unknown"
    if not bos.get("prepended"):
        return "none"
    return f"prepended {bos.get('token') or ''}".strip()


def short_words(card: UnitCard) -> str:
    """The configuration of one file in a few words, `raw, float32, BOS prepended`."""
    if card.configuration is None:
        return "unknown"
    bos = card.configuration.get("bos")
    prepended = isinstance(bos, Mapping) and bool(bos.get("prepended"))
    return (
        f"{_text(card.configuration.get('processing'))}, {_text(card.configuration.get('dtype'))}, "
        f"{'BOS prepended' if prepended else 'no BOS'}"
    )


def _mixed(cards: Sequence[UnitCard]) -> list[str]:
    values = defaultdict(set)
    for card in cards:
        several = len({other.file.folder for other in cards}) > 1
        for field, value in (card.configuration or {}).items():
            if field in _OF_THE_MODEL:
                # Within one folder the model has to be one and the same.
                values[field, card.file.folder].add(_canonical(value))
            elif field == "bos" and several and isinstance(value, Mapping):
                # Every tokenizer has a BOS of its own; whether there is one is what counts.
                values[field, ""].add(_canonical(bool(value.get("prepended"))))
            else:
                values[field, ""].add(_canonical(value))
    return list(dict.fromkeys(field for (field, _), found in values.items() if len(found) > 1))


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _names(cards: Sequence[UnitCard]) -> str:
    folders: dict[str, list[str]] = defaultdict(list)
    for card in cards:
        folders[card.file.folder].append(card.file.emotion)
    return listed(
        [f"{mono(folder)} ({', '.join(map(md, names))})" for folder, names in folders.items()]
    )


def _row(card: UnitCard) -> dict[str, Any]:
    made = card.provenance or {}
    versions = made.get("versions")
    dataset = made.get("dataset")
    return {
        "folder": card.file.folder,
        "emotion": card.file.emotion,
        "model": card.model_name,
        "revision": _text(made.get("revision")),
        "weights": _text(made.get("weight_source")),
        "layers": card.n_layers,
        "d_model": card.d_model,
        "prompts": card.n_samples,
        "tokens": card.n_tokens,
        "BOS": bos_words(card.configuration or made),
        "processing": _text(made.get("processing")),
        "dtype": _text(made.get("dtype")),
        "device": _text(made.get("device")),
        "data set": _text(dataset.get("source") if isinstance(dataset, Mapping) else None),
        "run": _text(made.get("run_id")),
        "made": _text(made.get("ended_at")),
        "emoact": _text(versions.get("emoact") if isinstance(versions, Mapping) else None),
        "size": numbers.size(card.file.size),
    }


def _text(value: Any) -> str:
    return "unknown" if value in (None, "") else str(value)


def badges(cards: Sequence[UnitCard]) -> tuple[str, ...]:
    """What marks every figure and table made of these files."""
    found = []
    if any(card.random_weights for card in cards):
        found.append("random weights: says nothing about emotion")
    mixed = _mixed([card for card in cards if card.configuration is not None])
    if mixed:
        found.append(f"files differ in {', '.join(mixed)}")
    return tuple(found)


def made_words(cards: Sequence[UnitCard]) -> str:
    """One sentence on what figures are made of, for their captions."""
    names = ", ".join(dict.fromkeys(card.model_name or card.file.folder for card in cards))
    made = ", ".join(dict.fromkeys(short_words(card) for card in cards))
    n_prompts = sum(card.n_samples for card in cards)
    return f"{names}; {numbers.plural(n_prompts, 'prompt')}; {made}."
