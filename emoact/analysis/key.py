"""Identity of an analysis: its files, its settings and the figures that it holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from emoact.analysis.inputs import InputFile
from emoact.stats import catalogue
from emoact.stats.settings import AnalysisSettings

ANALYSIS_VERSION = 1
"""Version of the saved form.

Raised when an older emoact could not read the folder. New columns, tables and fields do not raise
it: readers show the ones that they know.
"""

METHOD_VERSION = 2
"""Version of the computation.

Raised when a figure changes, so that an analysis with the old figure is not taken for this one. A
new column or table does not raise it: their names are part of the id.

2: the null band and expected cosine of the grand mean; blank p where nothing could be tested.
"""

_DIGITS = 20


def analysis_id(inputs: Sequence[InputFile], settings: AnalysisSettings) -> str:
    """Hash of files, settings and columns; the order of the files does not matter.

    It changes where a figure changes (`METHOD_VERSION`) or a new column has to appear. The version
    of emoact is not part of it: a release that computes the same figures finds its old analyses.
    """
    columns = {table.name: list(table.columns) for table in catalogue.TABLES}
    asked = {
        "analysis_version": ANALYSIS_VERSION,
        "method_version": METHOD_VERSION,
        "columns": columns,
        "settings": settings.to_json(),
        "inputs": sorted([each.folder, each.emotion, each.sha256] for each in inputs),
    }
    canonical = json.dumps(asked, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:_DIGITS]
