"""Stores: the formats in which a unit lies on disk.

`STORES` is the only list of them. Reading, checking, the names of files, the manifest, the writing
step of an extraction and the command line's help read it when they are asked. A store is light to
import; what it needs to read and write is imported when it does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from emoact.errors import FileRefusedError, RequestError
from emoact.schema import Finding, Precision

if TYPE_CHECKING:
    from emoact.store.shard import Activations
    from emoact.store.unit import Unit

_PREFIX = "activations_"


@runtime_checkable
class Choosable(Protocol):
    """A record that is one of several to choose from."""

    @property
    def name(self) -> str:
        """Value of its option, and of a field of configurations."""

    @property
    def label(self) -> str:
        """Name on a page."""

    @property
    def about(self) -> str:
        """Description in a few words, for the help text and the documentation."""


T = TypeVar("T", bound=Choosable)


@dataclass(frozen=True, kw_only=True)
class Written:
    """A file that is on the disk now."""

    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class Verified:
    """Result of a full check of one file."""

    unit: Unit | None
    findings: tuple[Finding, ...]
    refusal: FileRefusedError | None = None


@runtime_checkable
class Store(Choosable, Protocol):
    """A file format for units: `--store`, and `store` in a unit's configuration."""

    @property
    def suffix(self) -> str:
        """Ending of the files, with its dot."""

    @property
    def precisions(self) -> Mapping[Precision, float]:
        """Values of `--precision` that it can write, the first being the default.

        Each with the number of times that its files are smaller than float32, for estimates.
        """

    def write(
        self,
        target: Path,
        *,
        shard: Activations,
        tokens: Sequence[Any],
        token_strings: Sequence[Sequence[str]],
        labels: Sequence[str],
        metadata: Mapping[str, Any],
    ) -> Written:
        """Put a unit's file in place of `target`, whole and on the disk, or leave `target` alone.

        Args:
            target: The file.
            shard: The activations.
            tokens: Token ids of each sample, int64 [pos].
            token_strings: The same as strings.
            labels: One for each sample.
            metadata: Plain values; written as they are, nothing added.

        Raises:
            EmoactError: The parts do not fit together, or the file could not be written.
        """

    def read(self, path: Path) -> Unit:
        """The unit in a file; nothing in the file is executed.

        Raises:
            FileRefusedError: The file cannot be trusted, or does not keep the contract.
        """

    def verify(self, path: Path) -> Verified:
        """Check the contract and every value of a file; raises nothing for what is in the file."""


class PickleStore:
    """The pickle of the contract, written in place and read without executing it."""

    name = "pickle"
    label = "Pickle"
    about = "one .pkl file for each model and emotion, which any script with NumPy can read"
    suffix = ".pkl"
    precisions: Mapping[Precision, float] = {"lossless": 1.0}

    def write(self, target: Path, **parts: Any) -> Written:
        """Write the contract pickle."""
        from emoact.store.write import write_unit

        return write_unit(target, **parts)

    def read(self, path: Path) -> Unit:
        """The unit; opening costs milliseconds, arrays are looked up when asked for."""
        from emoact.store.reading import read_pickle

        return read_pickle(path)

    def verify(self, path: Path) -> Verified:
        """Check the contract and every value."""
        from emoact.store.reading import verify_pickle

        return verify_pickle(path)


class CompactStore:
    """Zarr arrays in one zip: each distinct prefix once, packed by pcodec."""

    name = "compact"
    label = "Compact"
    about = "one .zarr.zip file for each model and emotion, which zarr opens; smaller"
    suffix = ".zarr.zip"
    # A little less than measured on prompts that share their BOS alone (docs/performance.md).
    precisions: Mapping[Precision, float] = {"lossless": 1.15, "rel1e-3": 2.2, "rel8e-3": 2.8}

    def write(self, target: Path, **parts: Any) -> Written:
        """Write the archive, in the precision that the provenance states."""
        from emoact.store.compact.writing import write_compact

        return write_compact(target, **parts)

    def read(self, path: Path) -> Unit:
        """The unit; opening costs milliseconds, layers are unpacked when asked for."""
        from emoact.store.compact.reading import read_compact

        return read_compact(path)

    def verify(self, path: Path) -> Verified:
        """Check the contract, every checksum and every value."""
        from emoact.store.compact.reading import verify_compact

        return verify_compact(path)


class PooledStore(CompactStore):
    """The pooled vectors of each prompt, all that phase 3 reads, in the form of compact files."""

    name = "pooled"
    label = "Pooled vectors only"
    about = (
        "one .pooled.zarr.zip file for each model and emotion, which analyses read; no positions"
    )
    suffix = ".pooled.zarr.zip"
    # Of the shipped prompts: four vectors in place of 15 positions.
    precisions: Mapping[Precision, float] = {"lossless": 3.0}

    def write(self, target: Path, **parts: Any) -> Written:
        """Write the archive, with every pooling that the unit has."""
        from emoact.store.compact.pooled import write_pooled

        return write_pooled(target, **parts)


STORES: tuple[Store, ...] = (PickleStore(), CompactStore(), PooledStore())
"""Every store; the first is the default."""


def find_store(name: str) -> Store:
    """The store of that name; `RequestError` if there is none."""
    return find_named(STORES, name, kind="store")


def find_named(records: Sequence[T], name: str, *, kind: str) -> T:
    """The record of that name; `RequestError` if there is none."""
    for record in records:
        if record.name == name:
            return record
    known = ", ".join(record.name for record in records)
    raise RequestError(f"{kind} {name!r:.80} is unknown here; known are {known}")


def unit_file_name(emotion: str, suffix: str) -> str:
    """Name of a unit's file."""
    return f"{_PREFIX}{emotion}{suffix}"


def split_unit_file_name(name: str) -> tuple[str, Store] | None:
    """Emotion and store of a unit's file by its name; None for the name of another file."""
    # The longest first: one suffix may be the end of another.
    for store in sorted(STORES, key=lambda store: -len(store.suffix)):
        emotion = name.removeprefix(_PREFIX).removesuffix(store.suffix)
        if emotion and name == unit_file_name(emotion, store.suffix):
            return emotion, store
    return None


def store_of(path: Path) -> Store:
    """The store of a file by its ending; the default one where the ending is unknown."""
    for store in sorted(STORES, key=lambda store: -len(store.suffix)):
        if path.name.endswith(store.suffix):
            return store
    return STORES[0]
