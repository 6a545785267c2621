"""One thing that a look at saved activations found."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from emoact.schema import Severity, Site

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
"""In the order in which a reader hears of them: what breaks numbers before what bends them."""

SITE_WORDS: Mapping[Site, str] = {
    "resid_pre": "residual",
    "mlp_out": "MLP output",
    "attn_out": "attention output",
    "resid_post": "final residual",
}
"""What a site is called within a sentence."""

Figure = int | float | str


@dataclass(frozen=True, kw_only=True)
class ActivationFinding:
    """A finding on the activations of one model, with its numbers and where to see them.

    Attributes:
        kind: Which of the checks found it.
        severity: `error` makes figures wrong, `warning` bends them, `note` is good to know.
        model: Folder of the model; empty where the finding concerns several.
        emotion: The one class it concerns; None for all or several.
        site: The one site it concerns; None for all.
        layers: Where it was found, in order; empty where layers do not matter.
        sentence: What was found, with its numbers; plain text.
        meaning: What that is, in one sentence.
        matters: Whether it changes directions, distances or probes.
        phase3: Why it does or does not, in one sentence.
        figures: The numbers and names that the sentence holds, for other wordings of it.
        view: Parameters of the address of the Activations page that show it.
    """

    kind: FindingKind
    severity: Severity
    model: str
    emotion: str | None = None
    site: Site | None = None
    layers: tuple[int, ...] = ()
    sentence: str
    meaning: str
    matters: bool
    phase3: str
    figures: Mapping[str, Figure] = dataclasses.field(default_factory=dict)
    view: Mapping[str, str | list[str]] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A mapping of plain values."""
        return {**dataclasses.asdict(self), "layers": list(self.layers)}


def span(layers: tuple[int, ...]) -> str:
    """`layer 3`, `layers 3 to 9`, `layers 1, 2 and 7`, `12 layers from 1 to 29`."""
    if len(layers) == 1:
        return f"layer {layers[0]}"
    if layers == tuple(range(layers[0], layers[-1] + 1)):
        return f"layers {layers[0]} to {layers[-1]}"
    if len(layers) <= 4:
        return f"layers {', '.join(map(str, layers[:-1]))} and {layers[-1]}"
    return f"{len(layers)} layers from {layers[0]} to {layers[-1]}"
