"""Share of the machine that a run takes: threads, tokens in a pass, waiting threads."""

from __future__ import annotations

import os
from collections.abc import Mapping

from emoact.errors import RequestError

THREADS = "EMOACT_THREADS"
WIDTH = "EMOACT_PASS_TOKENS"


def wanted(
    name: str, environment: Mapping[str, str] = os.environ, *, most: int = 1_000_000
) -> int | None:
    """Number in a variable of the environment, such as `EMOACT_THREADS`; None where it is not set.

    Raises:
        RequestError: The value is not a whole number from 1 to `most`.
    """
    text = environment.get(name, "").strip()
    if not text:
        return None
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= number <= most:
        raise RequestError(f"{name} is {text[:40]!r}; whole numbers from 1 to {most:,} are allowed")
    return number


def let_threads_sleep() -> None:
    """Make idle compute threads sleep, unless the user has set `OMP_WAIT_POLICY`.

    By default they spin at every barrier. When the dashboard and the browser need a core as well,
    a spinning thread delays the thread that it waits for.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
