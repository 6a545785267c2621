"""How much of the machine a run takes, where the user wants something else than emoact would."""

from __future__ import annotations

import os
from collections.abc import Mapping

from emoact.errors import RequestError

THREADS = "EMOACT_THREADS"
WIDTH = "EMOACT_PASS_TOKENS"


def wanted(name: str, environment: Mapping[str, str] = os.environ) -> int | None:
    """The number in `EMOACT_THREADS` or `EMOACT_PASS_TOKENS`; None where nothing is set.

    Raises:
        RequestError: It is not a positive number.
    """
    text = environment.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 1_000_000:
        raise RequestError(f"{name} is {text!r}; whole numbers from 1 to 1,000,000 are allowed")
    return int(text)
