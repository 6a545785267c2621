"""Share of the machine that a run takes: threads, tokens in a pass, waiting threads."""

from __future__ import annotations

import os
from collections.abc import Mapping

from emoact.errors import RequestError

THREADS = "EMOACT_THREADS"
WIDTH = "EMOACT_PASS_TOKENS"


def wanted(name: str, environment: Mapping[str, str] = os.environ) -> int | None:
    """Number in `EMOACT_THREADS` or `EMOACT_PASS_TOKENS`; None where it is not set.

    Raises:
        RequestError: The value is not a positive number.
    """
    text = environment.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 1_000_000:
        raise RequestError(f"{name} is {text!r}; whole numbers from 1 to 1,000,000 are allowed")
    return int(text)


def let_threads_sleep() -> None:
    """Make idle compute threads sleep, unless the user has set `OMP_WAIT_POLICY`.

    By default they spin at every barrier. When the dashboard and the browser need a core as well,
    a spinning thread delays the thread that it waits for.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
