"""What tells one analysis from another: its files, its settings and the emoact that made it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from emoact.analysis.inputs import InputFile
from emoact.stats.settings import AnalysisSettings
from emoact.version import __version__

ANALYSIS_VERSION = 1
"""Version of the saved form."""

METHOD_VERSION = 2
"""Raised when a figure is computed otherwise, so that no earlier answer is taken for this one.

2: the null band and expected cosine of the grand mean; blank p where nothing could be tested.
"""

_DIGITS = 20


def analysis_id(inputs: Sequence[InputFile], settings: AnalysisSettings) -> str:
    """Equal for equal bytes and settings, whatever the order of the files."""
    asked = {
        "analysis_version": ANALYSIS_VERSION,
        "method_version": METHOD_VERSION,
        "emoact": __version__,
        "settings": settings.to_json(),
        "inputs": sorted([each.folder, each.emotion, each.sha256] for each in inputs),
    }
    canonical = json.dumps(asked, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:_DIGITS]
