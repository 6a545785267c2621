"""How long work on a model says where it stands."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

Step = Literal["install", "download", "load", "self_check", "extract", "save"]


@runtime_checkable
class OnStep(Protocol):
    """Receives the step under way; `done` and `total` are bytes while something is fetched."""

    def __call__(
        self, step: Step, *, detail: str = "", done: float | None = None, total: float | None = None
    ) -> None:
        """Take note of the step."""


def silent(
    step: Step, *, detail: str = "", done: float | None = None, total: float | None = None
) -> None:
    """An `OnStep` for callers that do not show progress."""
