"""What the pipeline needs of a model; the one seam between files and torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from emoact.models.source import OnStep
from emoact.schema import ExtractionOptions
from emoact.sites import SiteName


@dataclass(frozen=True, kw_only=True)
class Tokenised:
    """One prompt as the model sees it.

    Attributes:
        ids: Token ids, with the BOS token where one was prepended.
        strings: One string per id.
        content_start: First position after BOS; 0 where none was prepended.
        full_length: Length before truncation; larger than `len(ids)` where it was cut.
    """

    ids: Int64[np.ndarray, "pos"]
    strings: tuple[str, ...]
    content_start: int
    full_length: int

    @property
    def is_truncated(self) -> bool:
        """True when tokens were cut off to fit the context."""
        return self.full_length > len(self.ids)


@dataclass(frozen=True, kw_only=True)
class EngineFacts:
    """What a loaded model says of itself; goes into metadata and provenance.

    Attributes:
        n_layers: Number of transformer blocks.
        d_model: Width of the residual stream.
        d_vocab: Rows of the embedding.
        n_heads: Attention heads.
        d_head: Width of a head; 0 where it is unknown.
        bos: `policy`, `prepended`, `token`, `token_id`.
        device: Where the passes ran.
        plan: How tokens are laid out in passes, and why.
        self_check: What was measured at load.
        versions: Of the libraries that computed.
        random_weights: True when the weights were never trained, as far as the model says.
    """

    n_layers: int
    d_model: int
    d_vocab: int
    n_heads: int
    bos: Mapping[str, Any]
    device: str
    plan: Mapping[str, Any]
    self_check: Mapping[str, Any]
    versions: Mapping[str, str] = field(default_factory=dict)
    random_weights: bool = False
    d_head: int = 0


Put = Callable[[SiteName, int, int, Float32[np.ndarray, "..."]], None]
"""Takes (site, layer, sample, activations of that sample)."""
OnPass = Callable[[int, int], None]
"""Told after each pass: samples finished and tokens computed by it."""


@runtime_checkable
class Engine(Protocol):
    """A loaded model."""

    @property
    def facts(self) -> EngineFacts:
        """What the model says of itself."""

    def tokenise(self, texts: Sequence[str]) -> list[Tokenised]:
        """One result per text, in their order."""

    def forward(self, prompts: Sequence[Tokenised], *, put: Put, on_pass: OnPass) -> None:
        """Compute the activations of one unit and hand each over exactly once."""

    def again(
        self,
        options: ExtractionOptions,
        *,
        texts: Sequence[str],
        frozen: Mapping[str, Any] | None,
        on_step: OnStep,
    ) -> Engine:
        """The same loaded model for other prompts, sites or a given plan, as a new one would be."""
