"""What is on disk, read once for each version of a file and kept small.

Everything kept is keyed by path, modification time and size, so that a file that was written again
is read again; activations themselves are never kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from emoact.errors import EmoactError, FileRefusedError, RequestError
from emoact.positions import NormKind
from emoact.schema import Site
from emoact.stats.findings.activations import activation_findings
from emoact.stats.findings.finding import ActivationFinding
from emoact.stats.norms.tables import layer_table, sink_table
from emoact.store.layout import ResultsRoot
from emoact.store.reading import read
from emoact.store.summaries import kept_measures, unit_measures
from emoact.store.summaries.measures import UnitMeasures
from emoact.store.unit import Unit
from emoact.ui.boxes import error_box

# Four labels of a few dozen models; norms are some kilobytes for each.
_MAX_FILES = 512


@dataclass(frozen=True, kw_only=True)
class UnitFile:
    """One version of one file.

    Attributes:
        results: The results folder.
        folder: The model's folder.
        emotion: Class label, from the file's name.
        path: The file.
        modified_ns: Modification time.
        size: Bytes.
    """

    results: str
    folder: str
    emotion: str
    path: str
    modified_ns: int
    size: int

    @property
    def modified(self) -> datetime:
        """Modification time in UTC."""
        return datetime.fromtimestamp(self.modified_ns / 1e9, tz=UTC)


@dataclass(frozen=True, kw_only=True)
class UnitCard:
    """What a page says of a file without its activations.

    Attributes:
        file: Which version of which file.
        problem: Why the file was refused, or None; everything below is empty then.
        remedy: What to do about the problem.
        model_name: Hub id.
        n_layers: Layers of the model.
        d_model: Width of the residual stream.
        n_samples: Prompts in the file.
        n_tokens: Their tokens.
        content_start: First position that belongs to the prompt.
        sites: The sites that were saved.
        configuration: What must match before two files are compared, None where unknown.
        provenance: How the file was made, None where it does not say.
        random_weights: Whether the model's weights say nothing about language.
        notes: What the contract check remarked without refusing the file.
    """

    file: UnitFile
    problem: str | None = None
    remedy: str | None = None
    model_name: str = ""
    n_layers: int = 0
    d_model: int = 0
    n_samples: int = 0
    n_tokens: int = 0
    content_start: int = 1
    sites: tuple[Site, ...] = ()
    configuration: Mapping[str, Any] | None = None
    provenance: Mapping[str, Any] | None = None
    random_weights: bool = False
    notes: tuple[str, ...] = ()


def unit_files(results: str) -> list[UnitFile]:
    """Every unit file of a results folder, by folder and emotion; asks the disk every time.

    A results folder that cannot be listed becomes a box on the page.
    """
    found = []
    try:
        for folder, emotion, path in ResultsRoot(results).units():
            try:
                status = path.stat()
            except FileNotFoundError:
                # Replaced or removed between the listing and now.
                continue
            found.append(
                UnitFile(
                    results=results,
                    folder=folder,
                    emotion=emotion,
                    path=str(path),
                    modified_ns=status.st_mtime_ns,
                    size=status.st_size,
                )
            )
    except EmoactError as error:
        error_box(error, title="The results folder cannot be read")
    except OSError as error:
        error_box(
            RequestError(f"{results}: {error.strerror or error}"),
            title="The results folder cannot be read",
        )
    return found


def unit_cards(results: str) -> list[UnitCard]:
    """One card for every unit file of a results folder."""
    return [unit_card(file) for file in unit_files(results)]


@st.cache_data(max_entries=_MAX_FILES, show_spinner="Reading activations")
def unit_card(file: UnitFile) -> UnitCard:
    """What a page says of one version of a file; a file that is refused says why."""
    try:
        # Other pages need no more than this; measuring is left to the page that shows it.
        unit = kept_measures(ResultsRoot(file.results), file.folder, file.emotion) or read(
            file.path
        )
    except FileRefusedError as error:
        return UnitCard(file=file, problem=error.reason, remedy=error.remedy)
    except EmoactError as error:
        return UnitCard(file=file, problem=error.message, remedy=error.remedy)
    return UnitCard(
        file=file,
        model_name=unit.model_name,
        n_layers=unit.n_layers,
        d_model=unit.d_model,
        n_samples=unit.n_samples,
        n_tokens=sum(unit.lengths),
        content_start=unit.content_start,
        sites=unit.sites if isinstance(unit, Unit) else unit.saved_sites,
        configuration=_plain(unit.configuration),
        provenance=_plain(unit.provenance),
        random_weights=unit.random_weights,
        notes=tuple(note.message for note in unit.notes) if isinstance(unit, Unit) else unit.notes,
    )


def _plain(known: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if known is None else dict(known)


@st.cache_resource(max_entries=_MAX_FILES, show_spinner="Measuring activations, once for each file")
def measures(file: UnitFile) -> UnitMeasures:
    """The measures of one version of a file; arrays come from its summary when asked for.

    Raises:
        FileRefusedError: The file cannot be trusted, or does not keep the contract.
        EmoactError: The file cannot be read.
    """
    return unit_measures(ResultsRoot(file.results), file.folder, file.emotion)


@st.cache_data(max_entries=4 * _MAX_FILES, show_spinner=False)
def unit_norms(file: UnitFile, site: Site, kind: NormKind) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`layer_table` and `sink_table` of one version of a file that `unit_card` did not refuse."""
    unit = measures(file)
    return layer_table(unit, site, kind), sink_table(unit, site, kind)


@st.cache_data(max_entries=64, show_spinner="Looking for what is unusual")
def findings(files: tuple[UnitFile, ...]) -> tuple[ActivationFinding, ...]:
    """What is unusual about these files together; none of them may be refused."""
    return activation_findings([measures(file) for file in files])
