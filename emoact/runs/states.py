"""The state of a run, derived from its lock and its files, never from a pid."""

from __future__ import annotations

from typing import Literal, get_args

State = Literal["pending", "loading", "running", "finished", "failed", "cancelled", "crashed"]
STATES: tuple[State, ...] = get_args(State)

ACTIVE: frozenset[State] = frozenset({"pending", "loading", "running"})
"""A worker lives."""

ENDED: frozenset[State] = frozenset({"finished", "failed", "cancelled"})
"""The worker said so before it left; a crashed run has not ended."""

RESUMABLE: frozenset[State] = frozenset({"failed", "cancelled", "crashed"})
