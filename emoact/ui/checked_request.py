"""A request checked while it is being put together, without asking the hub on every keystroke."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from emoact.data import read_prompts
from emoact.errors import EmoactError, RequestError
from emoact.jobs import request
from emoact.jobs.config import RunConfig
from emoact.jobs.request import ExtractRequest, LargeDownloadError


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A request that may start, or why it may not.

    Attributes:
        config: What would start.
        error: What is wrong with the request.
        large: Nothing is wrong but that the user has to agree to a download first.
    """

    config: RunConfig | None = None
    error: EmoactError | None = None
    large: bool = False


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Prompts of each label of a data set, or why it cannot be read."""

    counts: Mapping[str, int] = field(default_factory=dict)
    error: EmoactError | None = None


def check(asked: ExtractRequest) -> Checked:
    """Check a request; the same request is not checked again for ten seconds."""
    return _check(asked, _version(os.fspath(asked.dataset)))


def labels_of(dataset: str) -> Labels:
    """The labels of a data set in the order of the file."""
    return _labels(dataset, _version(dataset))


# Whether a model is there and which files are on disk changes without the request changing.
@st.cache_data(max_entries=64, ttl=10, show_spinner="Checking the request")
def _check(asked: ExtractRequest, version: tuple[int, int]) -> Checked:
    del version  # part of the key: a data set that was changed is read again
    try:
        return Checked(config=request.prepare(asked))
    except LargeDownloadError as error:
        remedy = "Agree to the download below, or choose a model that is on this machine."
        return Checked(error=RequestError(error.message, remedy=remedy), large=True)
    except EmoactError as error:
        return Checked(error=RequestError(error.message, remedy=error.remedy))


@st.cache_data(max_entries=16, show_spinner="Reading the data set")
def _labels(dataset: str, version: tuple[int, int]) -> Labels:
    del version
    try:
        found = read_prompts(dataset)
    except EmoactError as error:
        return Labels(error=RequestError(error.message, remedy=error.remedy))
    return Labels(counts=dict(Counter(prompt.emotion for prompt in found.prompts)))


def _version(path: str) -> tuple[int, int]:
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)
