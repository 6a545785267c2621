"""What a run that extracts nothing was asked to do: an analysis, for one."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from emoact.errors import RequestError
from emoact.jobs.decode import decode
from emoact.schema import SCHEMA_VERSION

JobKind = Literal["analyze", "report"]
JOB_KINDS: tuple[JobKind, ...] = get_args(JobKind)

JOB_WORKERS: Mapping[JobKind, str] = {
    "analyze": "emoact.analysis.worker",
    "report": "emoact.report.worker",
}
"""The module that works off each kind, run as a process of its own."""


@dataclass(frozen=True, kw_only=True)
class JobConfig:
    """Everything a worker of this kind needs to know; what `config.json` holds.

    Attributes:
        kind: Which worker reads `request`.
        run_id: Name of the run directory.
        created_at: ISO 8601 with offset.
        models: What to call them on screen.
        emotions: Labels, for the table of runs.
        results: Absolute path of the results root.
        request: What is asked for, in plain JSON; the kind's own code checks it.
        command: The shell command that makes this run.
        executor: Name of the executor that works it off.
    """

    kind: JobKind
    run_id: str
    created_at: str
    models: tuple[str, ...]
    emotions: tuple[str, ...]
    results: str
    request: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    executor: str = "local"

    @property
    def model_names(self) -> tuple[str, ...]:
        """What to call the models on screen."""
        return self.models

    def fingerprint(self) -> str:
        """Equal for two requests that ask for the same in the same folder."""
        asked = {"kind": self.kind, "results": self.results, "request": dict(self.request)}
        canonical = json.dumps(asked, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def again(self) -> JobConfig:
        """The same request as a new run."""
        return dataclasses.replace(self, run_id=new_run_id(), created_at=now())

    def to_json(self) -> dict[str, Any]:
        """A mapping of plain scalars, lists and mappings."""
        fields = dataclasses.asdict(self)
        lists = {"models": list(self.models), "emotions": list(self.emotions)}
        return {"schema_version": SCHEMA_VERSION, **fields, **lists}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> JobConfig:
        """The inverse of `to_json`.

        Raises:
            RequestError: The mapping is no such mapping; says why.
        """
        found = decode(cls, {key: fields[key] for key in fields if key != "schema_version"})
        if not found.models:
            raise RequestError("models: at least one is expected")
        return found


def new_run_id() -> str:
    """A new name that sorts by time."""
    return f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def now() -> str:
    """This moment, ISO 8601 with offset."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
