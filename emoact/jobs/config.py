"""Configuration of a run: `config.json`, written once and never changed."""

from __future__ import annotations

import dataclasses
import re
import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal, TypeAlias, get_args

from emoact.decode import decode, encode, sha256_of, straight, unchanged
from emoact.errors import RequestError
from emoact.models.source import ModelIdentity
from emoact.schema import SCHEMA_VERSION, ExtractionOptions
from emoact.store.parts import Part, count_parts, parts_of


@dataclass(frozen=True, kw_only=True)
class RunModel(ModelIdentity):
    """A model of a run, as it was resolved before the start; its folder tells it from the others.

    Attributes:
        asked: What resolves to it: short name, hub id with revision, absolute path.
    """

    asked: str
    n_layers: int | None = None
    d_model: int | None = None
    n_heads: int | None = None
    n_parameters: int | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetRef:
    """The file that a run reads its prompts from.

    Attributes:
        path: The same, absolute, so that the worker finds it from anywhere.
        sha256: Hash of the file's bytes; a worker that finds another file refuses it.
        notes: Sentences about rows of the file that are not among the prompts.
    """

    source: str
    path: str
    sha256: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Shard:
    """One of several runs that divide the units of one request among them."""

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count <= MOST_SHARDS:
            raise RequestError(
                f"shard {self.number}/{self.count} does not exist; I/N with I from 1 to N, and N "
                f"up to {MOST_SHARDS:,}, is allowed"
            )

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """The shard that is written `I/N`.

        Raises:
            RequestError: It is written otherwise, or there is no such shard.
        """
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        if found is None:
            raise RequestError(
                f"--shard is {text[:40]!r}; I/N is allowed, such as 2/8 for the second of eight"
            )
        return cls(number=int(found[1]), count=int(found[2]))

    def slice(self, n_units: int) -> slice:
        """Places of its units in the list of all, of which neighbours have one model."""
        return slice(n_units * (self.number - 1) // self.count, n_units * self.number // self.count)

    def run_id(self, request: str) -> str:
        """Name of its run, from the name of the request."""
        return f"{request}.{self.number}-of-{self.count}"

    @classmethod
    def split(cls, run_id: str) -> tuple[str, Shard] | None:
        """Name of the request and shard, by the name of a run; None for runs of other names."""
        named = re.fullmatch(r"(.+)\.([0-9]{1,9})-of-([0-9]{1,9})", run_id)
        if named is None or not 1 <= int(named[2]) <= int(named[3]) <= MOST_SHARDS:
            return None
        return named[1], cls(number=int(named[2]), count=int(named[3]))


MOST_SHARDS = 100_000
MOST_UNITS = 20_000

RateSource = Literal["measured", "guessed"]


@dataclass(frozen=True, kw_only=True)
class ModelEstimate:
    """Estimate for one model of a run.

    Attributes:
        n_samples: Prompts that are not on disk yet.
        n_tokens: Their tokens, BOS included.
        tokens_counted: True when the model's own tokenizer counted them, False when guessed from
            the characters.
        tokens_per_s: Rate that was used.
        rate_source: `measured` on this machine with this model, or `guessed` from its size.
        prepare_s: Seconds for install, download and load.
        extract_s: Seconds for the forward passes and for saving.
    """

    folder: str
    n_samples: int
    n_tokens: int
    tokens_counted: bool
    tokens_per_s: float
    rate_source: RateSource
    prepare_s: float
    extract_s: float
    disk_bytes: int
    memory_bytes: int


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Estimate of time, disk and memory of a run.

    Attributes:
        seconds: Wall time without waiting in the queue.
        peak_disk_bytes: The most that is needed while the largest unit is being written.
        free_disk_bytes: Free in the results folder when the estimate was made, or None.
        warnings: Sentences for the user: disk or memory that will not do.
    """

    seconds: float
    disk_bytes: int
    peak_disk_bytes: int
    memory_bytes: int
    free_disk_bytes: int | None
    free_memory_bytes: int | None
    rate_source: RateSource
    warnings: tuple[str, ...]
    models: tuple[ModelEstimate, ...]

    @property
    def n_tokens(self) -> int:
        """Tokens over all models."""
        return sum(model.n_tokens for model in self.models)


@dataclass(frozen=True, kw_only=True)
class _AnyRun:
    """Part of `config.json` that all kinds of run have.

    Attributes:
        created_at: ISO 8601 with offset.
        emotions: Labels, in the order of work.
    """

    run_id: str
    created_at: str
    emotions: tuple[str, ...]
    results: str
    command: str = ""
    executor: str = "local"

    @property
    def shell_command(self) -> str:
        """The command, quoted so that a shell runs emoact and nothing else; empty for another one.

        The run may come from another machine, and its command is there to be copied.
        """
        try:
            words = shlex.split(self.command)
        except ValueError:
            return ""
        own = words[:3] == ["python", "-m", "emoact"] or words[:1] == ["emoact"]
        return shlex.join(words) if own and straight(self.command) == self.command else ""


@dataclass(frozen=True, kw_only=True)
class RunConfig(_AnyRun):
    """Everything that the worker of an extraction needs to know; what `config.json` holds.

    Attributes:
        models: In the order asked for; at least one, no folder twice.
        counts: Number of prompts of each emotion.
        options: Everything beside model and prompts that decides what an activation is.
        overwrite: True replaces units of another configuration.
        estimate: What the run was expected to take, or None.
        shard: The share of the units that the run works off; None for all of them.
        ray_address: Of the cluster that a run on Ray joins; None for one of this machine.
    """

    kind: ClassVar[Literal["extract"]] = "extract"

    models: tuple[RunModel, ...]
    counts: Mapping[str, int]
    dataset: DatasetRef
    options: ExtractionOptions
    overwrite: bool = False
    allow_pickle_weights: bool = False
    store: str = "pickle"
    estimate: Estimate | None = field(default=None, compare=False)
    shard: Shard | None = None
    ray_address: str | None = None

    def __post_init__(self) -> None:
        folders = [model.folder for model in self.models]
        if not folders or len(set(folders)) != len(folders):
            raise RequestError("a run needs at least one model and no model twice")
        if not self.emotions or len(set(self.emotions)) != len(self.emotions):
            raise RequestError("a run needs at least one emotion and no emotion twice")
        missing = [emotion for emotion in self.emotions if emotion not in self.counts]
        if missing:
            raise RequestError(f"the number of prompts of {missing[0]!r} is missing")
        counts = [self.counts[emotion] for emotion in self.emotions]
        n_units = len(self.models) * sum(map(count_parts, counts))
        if min(counts) < 0 or n_units > MOST_UNITS:
            raise RequestError(
                f"counts ask for {n_units:,} files, the fewest prompts being {min(counts):,}; "
                f"at most {MOST_UNITS:,} files are written by one run"
            )

    @property
    def model_names(self) -> tuple[str, ...]:
        """Names of the models on screen."""
        return tuple(model.name for model in self.models)

    @property
    def units(self) -> tuple[tuple[RunModel, Part], ...]:
        """Model and part of every unit: models in order, emotions in order, parts in order."""
        units = tuple(
            (model, part)
            for model in self.models
            for emotion in self.emotions
            for part in parts_of(emotion, self.counts[emotion])
        )
        return units if self.shard is None else units[self.shard.slice(len(units))]

    @property
    def n_samples(self) -> int:
        """Prompts over all units: each prompt counts once per model."""
        return sum(part.size(self.counts[part.emotion]) for _, part in self.units)

    @property
    def request_id(self) -> str:
        """Name of the request: of the run, without the shard."""
        return self.run_id if self.shard is None else self.run_id.rpartition(".")[0]

    def fingerprint(self) -> str:
        """Equal for two runs that ask for the same files in the same folder.

        The order in which models and emotions were typed, the run id and the command do not count.
        """
        asked = self.asked()
        return sha256_of(asked if self.shard is None else {**asked, "shard": str(self.shard)})

    def asked(self) -> dict[str, Any]:
        """Name of the request and of its place; equal for all shards of one request."""
        return {
            "models": sorted(
                [model.folder, model.model_name, model.revision, model.commit or ""]
                for model in self.models
            ),
            "emotions": sorted(self.emotions),
            "dataset": self.dataset.sha256,
            "options": encode(self.options),
            "results": self.results,
            "overwrite": self.overwrite,
            "store": self.store,
        }

    def to_json(self) -> dict[str, Any]:
        """A mapping of plain scalars, lists and mappings."""
        return {"schema_version": SCHEMA_VERSION, "kind": self.kind, **encode(self)}


JobKind = Literal["analyze", "report", "causes"]
JOB_KINDS: tuple[JobKind, ...] = get_args(JobKind)

JOB_WORKERS: Mapping[JobKind, str] = {
    "analyze": "emoact.analysis.worker",
    "report": "emoact.report.worker",
    "causes": "emoact.host.worker",
}
"""The module that works off each kind, run as a process of its own."""


@dataclass(frozen=True, kw_only=True)
class JobConfig(_AnyRun):
    """Everything that the worker of another kind of run needs to know.

    Attributes:
        request: What is asked for, in plain JSON; the kind's own code checks it.
        needs_model: True where a model is asked first, so that a model host works it off.
    """

    kind: JobKind
    models: tuple[str, ...]
    request: Mapping[str, Any] = field(default_factory=dict)
    needs_model: bool = False

    @property
    def model_names(self) -> tuple[str, ...]:
        """Names of the models on screen."""
        return self.models

    def fingerprint(self) -> str:
        """Equal for two requests that ask for the same in the same folder."""
        asked = {"kind": self.kind, "results": self.results, "request": dict(self.request)}
        return sha256_of(asked)

    def again(self) -> JobConfig:
        """The same request as a new run."""
        return dataclasses.replace(self, run_id=new_run_id(), created_at=now())

    def to_json(self) -> dict[str, Any]:
        """A mapping of plain scalars, lists and mappings."""
        return {"schema_version": SCHEMA_VERSION, **encode(self)}


def new_run_id() -> str:
    """A new name that sorts by time."""
    return f"{datetime.now().astimezone():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def now() -> str:
    """This moment, ISO 8601 with offset."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")


RunKind: TypeAlias = Literal["extract"] | JobKind
AnyConfig: TypeAlias = RunConfig | JobConfig


def config_from_json(fields: Any) -> AnyConfig:
    """The config of a run of any kind; the inverse of `to_json`.

    Raises:
        RequestError: The mapping is of a newer emoact, of an unknown kind, is no such mapping, or
            was changed.
    """
    stated = unchanged(fields, version=SCHEMA_VERSION, what="run")
    kind = stated.get("kind")
    if kind == RunConfig.kind:
        del stated["kind"]
        return decode(RunConfig, stated)
    if kind not in JOB_KINDS:
        raise RequestError(f"no run that this emoact knows (kind {kind!r:.40})")
    found = decode(JobConfig, stated)
    if not found.models:
        raise RequestError("models: at least one is expected")
    return found
