"""Identity of an analysis: its input files, its settings and the figures that it holds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from emoact.decode import encode, sha256_of
from emoact.errors import EmoactError, RequestError
from emoact.models.cache import file_sha256
from emoact.stats import catalogue
from emoact.stats.settings import AnalysisSettings
from emoact.store.controls import CONTROLS_VERSION
from emoact.store.layout import ResultsRoot
from emoact.store.unit import Unit

ANALYSIS_VERSION = 1
"""Version of the saved form.

Raised when an older emoact could not read the folder. New columns, tables and fields do not raise
it: readers show the ones that they know.
"""

METHOD_VERSION = 11
"""Version of the computation.

Raised when a figure changes, so that an analysis with the old figure is not taken for this one. A
new column or table does not raise it: their names are part of the id.

2: the null band and expected cosine of the grand mean; blank p where nothing could be tested.
3: a noise-normalised, studentised test; single layers judged over all; cosines gated by it;
   intervals of d' and AUROC; probes with classes of equal weight and the median over the layers.
4: Welch's degrees of freedom in intervals of strength, d' and AUROC without matched scenarios;
   exact ends of intervals of accuracies where every prompt is right.
5: intervals of cv and cv_normalised from the variance at their ends.
6: no cross-validated cosine of squares that are not clear of 0; no words_suffice of a probe that
   calls most prompts one class, and no beyond_words beside such a control; intervals of
   the AUROC from those of d'.
7: intervals of d' and AUROC narrower where 0 is excluded; none below 10 degrees of freedom;
   no no_separation of a probe whose threshold does not carry over.
8: findings `near_copies` and `far_prompts`, without which verdicts were too sure.
9: 0 is tried on one side in intervals of d' and AUROC; degrees of freedom of intervals of cv and
   cv_normalised are those of both parts of their variance; near copies warn from 1 % on.
"""

_DIGITS = 20
_LONGEST = 1000
"""Characters of the path of a file of activations."""


@dataclass(frozen=True, kw_only=True)
class InputFile:
    """One file of activations.

    Attributes:
        folder: Folder of the model; what tables call the model.
        model: Hub id.
        file: Path below the results folder.
        size: Bytes.
    """

    folder: str
    emotion: str
    model: str
    file: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        parts = PurePosixPath(self.file).parts
        inside = len(parts) == 3 and parts[:2] == ("activations", self.folder)
        if not inside or parts[2] == ".." or "\0" in self.file or len(self.file) > _LONGEST:
            raise RequestError(
                f"file {self.file!r:.100} is no file of activations of {self.folder}"
            )


def input_of(root: ResultsRoot, unit: Unit, path: Path, sha256: str) -> InputFile:
    """A file of a unit as an input file of an analysis."""
    return InputFile(
        folder=unit.folder,
        emotion=unit.emotion,
        model=unit.model_name,
        file=os.path.relpath(path, root.path),
        size=path.stat().st_size,
        sha256=sha256,
    )


def check_unchanged(root: ResultsRoot, inputs: Sequence[InputFile]) -> None:
    """Raise `EmoactError` unless the files are still those that were hashed."""
    for each in inputs:
        path = root.path / each.file
        if file_sha256(path) != each.sha256:
            raise EmoactError(f"{path} changed while it was analysed", remedy="Analyse again.")


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
        "settings": encode(settings),
        **({"controls_version": CONTROLS_VERSION} if settings.control_shuffles else {}),
        "inputs": sorted([each.folder, each.emotion, each.sha256] for each in inputs),
    }
    return sha256_of(asked)[:_DIGITS]
