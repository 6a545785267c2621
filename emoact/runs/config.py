"""What one run was asked to do: written once, never changed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from emoact.errors import RequestError
from emoact.runs.estimate import Estimate
from emoact.schema import SCHEMA_VERSION, ExtractionOptions


@dataclass(frozen=True, kw_only=True)
class RunModel:
    """A model of a run, as it was resolved before the start.

    Attributes:
        asked: What the user typed: short name, hub id, directory or file.
        name: The `model_name` of the pickles, a hub id where there is one.
        folder: Its folder under `results/activations`; tells the models of a run apart.
        revision: Commit of the hub, or None while it is not downloaded.
        weight_source: Where the weights come from, in the words of the provenance.
        path: Directory or file with the weights, or None while they are not there.
        needs: What the run has to do before it can load the model.
        download_bytes: Size of that step, or None where unknown or nothing is needed.
        n_layers: Number of transformer blocks, or None where not known yet.
        d_model: Width of the residual stream, or None where not known yet.
        n_heads: Attention heads, or None where not known yet.
        n_parameters: Rounded, or None where not known yet.
    """

    asked: str
    name: str
    folder: str
    revision: str | None
    weight_source: str
    path: str | None
    needs: Literal["install", "download"] | None = None
    download_bytes: int | None = None
    n_layers: int | None = None
    d_model: int | None = None
    n_heads: int | None = None
    n_parameters: int | None = None


@dataclass(frozen=True, kw_only=True)
class DatasetRef:
    """The file that a run reads its prompts from.

    Attributes:
        source: The path as the user gave it.
        path: The same, absolute, so that the worker finds it from anywhere.
        sha256: Hash of the file's bytes; a worker that finds another file refuses it.
    """

    source: str
    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Everything a worker needs to know; what `config.json` holds.

    Attributes:
        run_id: Name of the run directory.
        created_at: ISO 8601 with offset.
        models: In the order asked for; at least one, no folder twice.
        emotions: In the order of work; at least one.
        counts: Number of prompts of each emotion.
        dataset: Where the prompts come from.
        options: Everything beside model and prompts that decides what an activation is.
        overwrite: True replaces units of another configuration.
        results: Absolute path of the results root.
        command: The shell command that makes this run.
        estimate: What the run was expected to take, or None.
    """

    run_id: str
    created_at: str
    models: tuple[RunModel, ...]
    emotions: tuple[str, ...]
    counts: Mapping[str, int]
    dataset: DatasetRef
    options: ExtractionOptions
    results: str
    overwrite: bool = False
    command: str = ""
    estimate: Estimate | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        folders = [model.folder for model in self.models]
        if not folders or len(set(folders)) != len(folders):
            raise RequestError("a run needs at least one model and no model twice")
        if not self.emotions or len(set(self.emotions)) != len(self.emotions):
            raise RequestError("a run needs at least one emotion and no emotion twice")
        missing = [emotion for emotion in self.emotions if emotion not in self.counts]
        if missing:
            raise RequestError(f"the number of prompts of {missing[0]!r} is missing")

    @property
    def n_samples(self) -> int:
        """Prompts over all units: each prompt counts once per model."""
        return len(self.models) * sum(self.counts[emotion] for emotion in self.emotions)

    def fingerprint(self) -> str:
        """Equal for two requests that ask for the same files in the same folder.

        The order in which models and emotions were typed, the run id and the command do not count.
        """
        asked = {
            "models": sorted(
                [model.folder, model.name, model.revision, model.weight_source]
                for model in self.models
            ),
            "emotions": sorted(self.emotions),
            "dataset": self.dataset.sha256,
            "options": self.options.to_json(),
            "results": self.results,
            "overwrite": self.overwrite,
        }
        canonical = json.dumps(asked, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """A mapping of plain scalars, lists and mappings."""
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": "extract",
            "run_id": self.run_id,
            "created_at": self.created_at,
            "models": [dataclasses.asdict(model) for model in self.models],
            "emotions": list(self.emotions),
            "counts": dict(self.counts),
            "dataset": dataclasses.asdict(self.dataset),
            "options": self.options.to_json(),
            "overwrite": self.overwrite,
            "results": self.results,
            "command": self.command,
            "estimate": None if self.estimate is None else self.estimate.to_json(),
        }

    @classmethod
    def from_json(cls, fields: Any) -> RunConfig:
        """The inverse of `to_json`.

        Raises:
            RequestError: The mapping is of a newer emoact, or is no such mapping.
        """
        if not isinstance(fields, Mapping):
            raise RequestError(f"expected a JSON object, found {type(fields).__name__}")
        version = fields.get("schema_version")
        if isinstance(version, int) and version > SCHEMA_VERSION:
            raise RequestError(
                f"written by a newer emoact (schema version {version}, this one reads up to "
                f"{SCHEMA_VERSION})",
                remedy="Update emoact to open this run.",
            )
        if version != SCHEMA_VERSION or fields.get("kind") != "extract":
            raise RequestError(
                f"no run that this emoact knows (schema_version {version!r}, kind "
                f"{fields.get('kind')!r})"
            )
        try:
            estimate = fields.get("estimate")
            config = cls(
                run_id=fields["run_id"],
                created_at=fields["created_at"],
                models=tuple(RunModel(**model) for model in fields["models"]),
                emotions=tuple(fields["emotions"]),
                counts=dict(fields["counts"]),
                dataset=DatasetRef(**fields["dataset"]),
                options=ExtractionOptions.from_json(fields["options"]),
                overwrite=fields["overwrite"],
                results=fields["results"],
                command=fields["command"],
                estimate=None if estimate is None else Estimate.from_json(estimate),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RequestError(f"a field is missing or of another type ({error!r})") from None
        config._check_types()
        return config

    def _check_types(self) -> None:
        """Refuse what JSON let through and would break a page later."""
        texts = [self.run_id, self.created_at, self.results, self.command]
        texts += [self.dataset.path, self.dataset.source, self.dataset.sha256, *self.emotions]
        texts += [text for model in self.models for text in (model.asked, model.name, model.folder)]
        if not all(isinstance(text, str) for text in texts):
            raise RequestError("a field that should be text is not")
        counts = self.counts.values()
        if not all(type(count) is int and count >= 0 for count in counts):
            raise RequestError("a number of prompts is no whole number")
