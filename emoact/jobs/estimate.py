"""What a run will take: time, disk and memory, before it starts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

RateSource = Literal["measured", "guessed"]


@dataclass(frozen=True, kw_only=True)
class ModelEstimate:
    """What one model of a run will take.

    Attributes:
        folder: The model's folder, as in `RunModel`.
        n_samples: Prompts that are not on disk yet.
        n_tokens: Their tokens, BOS included.
        tokens_counted: True when the model's own tokenizer counted them, False when guessed from
            the characters.
        tokens_per_s: Rate that was used.
        rate_source: `measured` on this machine with this model, or `guessed` from its size.
        prepare_s: Seconds for install, download and load.
        extract_s: Seconds for the forward passes and for saving.
        disk_bytes: What the new files will occupy.
        memory_bytes: Resident memory at the peak.
    """

    folder: str
    n_samples: int
    n_tokens: int
    tokens_counted: bool
    tokens_per_s: float
    rate_source: RateSource
    prepare_s: float
    extract_s: float
    disk_bytes: int
    memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a run will take.

    Attributes:
        seconds: Wall time without waiting in the queue.
        disk_bytes: What the new files will occupy in the end.
        peak_disk_bytes: The most that is needed while the largest unit is being written.
        memory_bytes: Resident memory at the peak.
        free_disk_bytes: Free in the results folder when the estimate was made, or None.
        free_memory_bytes: Available when the estimate was made, or None.
        rate_source: `guessed` when any of the rates was.
        warnings: Sentences for the user: disk or memory that will not do.
        models: The same, model by model.
    """

    seconds: float
    disk_bytes: int
    peak_disk_bytes: int
    memory_bytes: int
    free_disk_bytes: int | None
    free_memory_bytes: int | None
    rate_source: RateSource
    warnings: tuple[str, ...]
    models: tuple[ModelEstimate, ...]

    @property
    def n_tokens(self) -> int:
        """Tokens over all models."""
        return sum(model.n_tokens for model in self.models)

    def to_json(self) -> dict[str, Any]:
        """A mapping of plain scalars, lists and mappings."""
        fields = dataclasses.asdict(self)
        return {**fields, "warnings": list(self.warnings), "models": list(fields["models"])}
