"""The folder where emoact keeps what it can make again: converted models, rates, hashes."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """`EMOACT_CACHE`, or the user's cache folder."""
    named = os.environ.get("EMOACT_CACHE")
    if named:
        return Path(named).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "emoact"
