"""emoact: defensible emotion directions from the activations of small language models.

Importing this package is instant; each name below loads what it needs when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from emoact.version import __version__

if TYPE_CHECKING:
    from emoact.analysis.listing import read_analysis
    from emoact.causes.ablate import ablate
    from emoact.causes.heads import contributions
    from emoact.causes.steer import steer
    from emoact.extraction.extractor import ActivationExtractor
    from emoact.jobs.extract import extract
    from emoact.store.reading import read, read_all

__all__ = [
    "ActivationExtractor",
    "__version__",
    "ablate",
    "contributions",
    "extract",
    "read",
    "read_all",
    "read_analysis",
    "steer",
]

_HOMES = {
    "ActivationExtractor": "emoact.extraction.extractor",
    "ablate": "emoact.causes.ablate",
    "contributions": "emoact.causes.heads",
    "extract": "emoact.jobs.extract",
    "read": "emoact.store.reading",
    "read_all": "emoact.store.reading",
    "read_analysis": "emoact.analysis.listing",
    "steer": "emoact.causes.steer",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'emoact' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
