"""Reports of the extraction, which become the run's events and its status."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from emoact.models.source import Step


@runtime_checkable
class Reporter(Protocol):
    """Receives everything that happens. `model` is the model's folder name throughout."""

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
            CancelledError: The run was asked to stop.
        """
