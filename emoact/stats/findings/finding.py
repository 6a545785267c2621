"""The record of one finding on saved activations."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from emoact.numbers import listed
from emoact.schema import Severity
from emoact.sites import SiteName

FindingKind = Literal[
    "nonfinite_values",
    "mixed_settings",
    "massive_tokens",
    "rogue_dimensions",
    "dead_dimensions",
    "norm_collapse",
    "outlier_prompts",
    "unequal_lengths",
    "first_token_sink",
]

FINDING_KINDS: tuple[FindingKind, ...] = get_args(FindingKind)
"""In reading order: first the kinds that make figures wrong, then those that bias them."""

Figure = int | float | str


@dataclass(frozen=True, kw_only=True)
class ActivationFinding:
    """A finding on the activations of one model, with its figures and a view that shows it.

    Attributes:
        severity: `error` makes figures wrong, `warning` biases them, `note` does neither.
        model: Folder of the model; empty where the finding concerns several.
        emotion: The one class it concerns; None for all or several.
        site: The one site it concerns; None for all.
        layers: Layers of the finding in ascending order; empty where layers do not matter.
        sentence: The finding with its figures; plain text.
        meaning: Explanation in one sentence.
        matters: True where it changes directions, distances or probes.
        phase3: The reason for `matters`; begins with Yes or No.
        figures: Numbers and names in the sentence, for other wordings of it.
        view: Parameters of the address of the Activations page that show it.
    """

    kind: FindingKind
    severity: Severity
    model: str
    emotion: str | None = None
    site: SiteName | None = None
    layers: tuple[int, ...] = ()
    sentence: str
    meaning: str
    matters: bool
    phase3: str
    figures: Mapping[str, Figure] = dataclasses.field(default_factory=dict)
    view: Mapping[str, str | list[str]] = dataclasses.field(default_factory=dict)


def span(layers: tuple[int, ...]) -> str:
    """`layer 3`, `layers 3 to 9`, `layers 1, 2 and 7`, `12 layers from 1 to 29`."""
    if len(layers) == 1:
        return f"layer {layers[0]}"
    if layers == tuple(range(layers[0], layers[-1] + 1)):
        return f"layers {layers[0]} to {layers[-1]}"
    if len(layers) <= 4:
        return f"layers {listed(layers)}"
    return f"{len(layers)} layers from {layers[0]} to {layers[-1]}"
