"""The kinds of runs: an extraction, or a job that works on what is on disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from emoact.jobs.config import RunConfig
from emoact.jobs.job import JOB_KINDS, JobConfig, JobKind
from emoact.schema import SCHEMA_VERSION

RunKind: TypeAlias = Literal["extract"] | JobKind
AnyConfig: TypeAlias = RunConfig | JobConfig


def config_from_json(fields: Any) -> AnyConfig:
    """The config of a run of whatever kind.

    Raises:
        RequestError: The mapping is of a newer emoact, of an unknown kind, or is no such mapping.
    """
    known = isinstance(fields, Mapping) and fields.get("schema_version") == SCHEMA_VERSION
    if known and fields.get("kind") in JOB_KINDS:
        return JobConfig.from_json(fields)
    return RunConfig.from_json(fields)
