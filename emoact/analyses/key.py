"""What tells one analysis from another: its files, its settings and the emoact that made it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from emoact.analyses.inputs import InputFile
from emoact.analysis.settings import AnalysisSettings
from emoact.version import __version__

ANALYSIS_VERSION = 2
"""Version of the saved form and of what its figures mean."""

_DIGITS = 20


def analysis_id(inputs: Sequence[InputFile], settings: AnalysisSettings) -> str:
    """Equal for equal bytes and settings, whatever the order of the files."""
    asked = {
        "analysis_version": ANALYSIS_VERSION,
        "emoact": __version__,
        "settings": settings.to_json(),
        "inputs": sorted([each.folder, each.emotion, each.sha256] for each in inputs),
    }
    canonical = json.dumps(asked, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:_DIGITS]
