"""Data set of the Prompts page, read and audited once for each version of its file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import streamlit as st

from emoact.data import read_prompts
from emoact.decode import is_text
from emoact.files import names_in
from emoact.models.resolve import list_models
from emoact.models.tokenizer_file import count_tokens
from emoact.schema import Dataset
from emoact.stats.audit.command import audit_in_child
from emoact.stats.audit.outcome import AuditReport
from emoact.stats.audit.text import words_of
from emoact.store.layout import ResultsRoot
from emoact.ui import links
from emoact.ui.boxes import Outcome, outcome
from emoact.ui.current_run import runs_of

DEFAULT_DATASET = "data/prompts.jsonl"
Version = tuple[int, int]


def read_dataset(path: str) -> Outcome[Dataset]:
    """Data set at a path."""
    return _read(path, version_of(path))


def audit_of(path: str) -> Outcome[AuditReport]:
    """Audit of the data set at a path, computed in a child process."""
    return _audit(path, version_of(path))


def tokenizer_files() -> dict[str, Path]:
    """Tokenizer files of the installed models of the registry."""
    found = {}
    for source in list_models():
        if source.path is not None and (source.path / "tokenizer.json").is_file():
            found[source.name] = source.path / "tokenizer.json"
    return found


@st.cache_resource(max_entries=8, show_spinner=False)
def listed_prompts(
    sha256: str, counted: Sequence[tuple[str, Version]], _dataset: Dataset
) -> pd.DataFrame:
    """Data frame of a data set with the tokens of some models; it is shared, never change it."""
    files = tokenizer_files()
    known = [(model, version) for model, version in counted if model in files]
    columns = {
        model: _tokens(sha256, model, version, _dataset, files[model]) for model, version in known
    }
    return prompt_frame(_dataset, {model: found for model, found in columns.items() if found})


def prompt_frame(dataset: Dataset, tokens: dict[str, list[int]]) -> pd.DataFrame:
    """Data frame with one row for each prompt."""
    data = pd.DataFrame(
        {
            "id": prompt.id,
            "emotion": prompt.emotion,
            "subset": prompt.subset,
            "scenario": prompt.scenario_id,
            "words": len(words_of(prompt.text)),
        }
        for prompt in dataset.prompts
    )
    for model, counts in tokens.items():
        data[f"tokens {model}"] = counts
    # Last, because a narrow window cuts the last column.
    data["text"] = [prompt.text for prompt in dataset.prompts]
    return data


def version_of(path: str) -> Version:
    """Modification time and size of a file; zeros without one."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)


# Shared by all sessions, as nothing changes them: a copy of 100,000 prompts takes half a second.
@st.cache_resource(max_entries=8, show_spinner="Reading the data set")
def _read(path: str, version: Version) -> Outcome[Dataset]:
    del version  # part of the key: a changed file is read again
    return outcome(lambda: read_prompts(path))


@st.cache_resource(max_entries=32, show_spinner="Auditing the prompts")
def _audit(path: str, version: Version) -> Outcome[AuditReport]:
    del version
    return outcome(lambda: audit_in_child(path))


@st.cache_data(max_entries=32, show_spinner="Counting tokens")
def _tokens(
    sha256: str, model: str, version: Version, _dataset: Dataset, _path: Path
) -> list[int] | None:
    del sha256, model, version
    counted = outcome(lambda: count_tokens(_path, [prompt.text for prompt in _dataset.prompts]))
    return None if counted.value is None else [int(count) for count in counted.value]


def kept_datasets(results: str) -> list[Path]:
    """The data sets that were imported, by name."""
    folder = ResultsRoot(results).datasets
    names = [name for name in names_in(folder) if is_text(name) and not name.startswith(".")]
    # pathlib raises where a link may not be followed.
    return [folder / name for name in names if os.path.isfile(folder / name)]  # noqa: PTH113


def offer_datasets(results: str, key: str) -> list[str]:
    """Paths to choose from for a picker with this key, which begins with that of the last run."""
    offered = [DEFAULT_DATASET, *map(os.fspath, kept_datasets(results))]
    known = {os.path.abspath(path): path for path in offered}  # noqa: PTH100
    last = next((run.dataset for run in runs_of(results) if run.kind == "extract"), "")
    # A received folder may name any file of the disk as that of its last run.
    usual = known.get(os.path.abspath(last), DEFAULT_DATASET)  # noqa: PTH100
    named = st.session_state.get(key) or st.query_params.get(key, "")
    offered = list(dict.fromkeys([*offered, *([named] if named else [])]))
    if usual != DEFAULT_DATASET:
        links.prefer_one(key, usual, allowed=offered)
    return offered
