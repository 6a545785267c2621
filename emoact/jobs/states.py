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


def derive_state(stated: State | None, *, held: bool, cancel_requested: bool) -> State:
    """The state that a run is shown in.

    Args:
        stated: What the worker last said; None where that cannot be read.
        held: Whether the lock was held, looked at before `stated` was read.
        cancel_requested: Whether the cancel flag is there.
    """
    if stated is not None and stated in ENDED:
        return stated
    if held:
        return stated or "running"
    return "cancelled" if cancel_requested else "crashed"
