"""The interfaces of the pipeline: a model that computes, and a reporter that is told of it.

Nothing here imports torch, so that tests can put stand-ins in both places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64

from emoact.models.source import OnStep, Step
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
    """Facts of a loaded model for metadata and provenance.

    Attributes:
        n_layers: Number of transformer blocks.
        d_model: Width of the residual stream.
        d_vocab: Rows of the embedding.
        n_heads: Attention heads.
        d_head: Width of a head; 0 where it is unknown.
        bos: `policy`, `prepended`, `token`, `token_id`.
        device: Device of the passes.
        plan: Layout of the passes, with the reason for its choice.
        self_check: Results of the checks at load.
        versions: Versions of the libraries.
        random_weights: True when the model is marked as untrained.
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
"""Called after each pass with the samples and tokens that it finished."""


@runtime_checkable
class Engine(Protocol):
    """A loaded model."""

    @property
    def facts(self) -> EngineFacts:
        """Sizes, BOS, plan and self-check."""

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


@runtime_checkable
class Reporter(Protocol):
    """Receives the events of a run. `model` is always the name of the model's folder."""

    def step(
        self,
        step: Step,
        *,
        model: str,
        detail: str = "",
        done: float | None = None,
        total: float | None = None,
    ) -> None:
        """The step under way; `done` and `total` are bytes while something is fetched."""

    def unit_planned(self, *, model: str, emotion: str, n_samples: int, n_tokens: int) -> None:
        """The size of a unit that will be computed."""

    def unit_started(self, *, model: str, emotion: str) -> None:
        """Its first pass begins."""

    def unit_progress(
        self, *, model: str, emotion: str, samples_done: int, tokens_done: int
    ) -> None:
        """A pass is done; the counts are totals within the unit."""

    def unit_saved(
        self,
        *,
        model: str,
        emotion: str,
        path: str,
        size: int,
        sha256: str,
        seconds: float,
        n_samples: int,
        n_tokens: int,
    ) -> None:
        """Its pickle is on disk and acknowledged; seconds of wall time from its first pass on."""

    def unit_skipped(self, *, model: str, emotion: str, path: str, reason: str) -> None:
        """It is on disk already."""

    def note(self, text: str) -> None:
        """A remark for the user."""

    def check_cancelled(self) -> None:
        """Called between passes.

        Raises:
            CancelledError: The run was cancelled.
        """
