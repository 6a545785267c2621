"""Control extractions on disk: pooled vectors of the derived prompts of a unit, found by a key.

`results/controls/<key>/` holds one safetensors file for the contextless vectors and one for each
shuffle. The key names everything that decides the vectors, so that a file is found again or is
another one. The folder may be deleted at any time.
"""

from __future__ import annotations

import functools
import hashlib
import math
import operator
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import Float32

from emoact.data.controls import DERIVATION
from emoact.decode import parsed, sha256_of
from emoact.errors import FileRefusedError, RequestError
from emoact.files import open_regular
from emoact.positions import Pooling, vectors
from emoact.sites import SiteName, in_order
from emoact.store.atomic import replace_atomically
from emoact.store.layout import ResultsRoot
from emoact.store.unit import Unit

Pooled = Float32[np.ndarray, "prompt _ _"]

CONTROLS_VERSION = 1
"""Version of the files; raised when their vectors or their form change."""

CONTEXTLESS = "contextless"

_SUFFIX = ".safetensors"
_LONGEST_HEADER = 1_000_000
_CHUNK = 1 << 24
_DIGITS = 20


def shuffle_name(number: int) -> str:
    """Name of the data set of one shuffle."""
    return f"shuffle-{number:03}"


@dataclass(frozen=True, kw_only=True)
class ControlSettings:
    """Settings that decide control extractions, beside the unit."""

    sites: tuple[SiteName, ...]
    pooling: Pooling
    n_shuffles: int
    seed: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the derived data sets."""
        return (CONTEXTLESS, *map(shuffle_name, range(self.n_shuffles)))


@dataclass(frozen=True, kw_only=True)
class UnitControls:
    """The control extractions of one unit."""

    root: ResultsRoot
    unit: Unit
    settings: ControlSettings

    def __post_init__(self) -> None:
        if self.unit.prompts is None:
            raise RequestError(
                f"{self.unit.path} holds no texts, and control extractions need them",
                remedy="Extract the unit with emoact, or analyse without --controls.",
            )

    @property
    def texts(self) -> tuple[str, ...]:
        """The prompts."""
        return tuple(str(prompt["text"]) for prompt in self.unit.prompts or ())

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the prompts; their number where the file has none."""
        return tuple(
            str(prompt.get("id", index)) for index, prompt in enumerate(self.unit.prompts or ())
        )

    @functools.cached_property
    def key(self) -> str:
        """Hash of prompts, tokens, model, settings and versions; the number of shuffles apart.

        Each shuffle is a file of its own, so that more of them add files and repeat none.
        """
        asked = {
            "version": [CONTROLS_VERSION, DERIVATION],
            "configuration": self.unit.made,
            "content_start": self.unit.content_start,
            "prompts": [list(self.ids), list(self.texts)],
            "tokens": [[int(token) for token in ids] for ids in self.unit.tokens],
            "sites": list(self.settings.sites),
            "pooling": self.settings.pooling,
            "seed": self.settings.seed,
        }
        return sha256_of(asked)[:_DIGITS]

    @functools.cached_property
    def shapes(self) -> dict[SiteName, tuple[int, int, int]]:
        """`(prompt, layer, d)` of each site."""
        found = {}
        for site in self.settings.sites:
            kept = self.unit.pooled.get((site, self.settings.pooling))
            if kept is None:
                layers = self.unit.site(site)
                n_layers, width = len(layers), vectors(layers[0][0]).shape[1]
            else:
                _, n_layers, width = kept().shape
            found[site] = (self.unit.n_samples, n_layers, width)
        return found

    @property
    def n_bytes(self) -> int:
        """Bytes of the vectors of one data set."""
        return 4 * sum(math.prod(shape) for shape in self.shapes.values())

    def path(self, name: str) -> Path:
        """File of one data set."""
        return self.root.controls_dir(self.key) / f"{name}{_SUFFIX}"

    def absent(self) -> tuple[str, ...]:
        """Data sets without a file of the right size; contents are not looked at."""
        paths = ((name, self.path(name)) for name in self.settings.names)
        return tuple(
            name
            for name, path in paths
            if not (path.is_file() and path.stat().st_size > self.n_bytes)
        )

    def read(self, name: str) -> dict[SiteName, Pooled]:
        """The vectors of one data set, mapped from the file: 21 of them would fill the memory.

        Raises:
            FileRefusedError: The file is missing, damaged, or not what was written.
        """
        path = self.path(name)
        if not path.is_file():
            raise _refused(path, "it is missing")
        try:
            with open_regular(path, follow=False) as file:
                header, start = _header(file)
            found: dict[SiteName, np.ndarray] = {
                site: np.memmap(
                    path,
                    dtype=np.float32,
                    mode="r",
                    offset=start + int(header[site]["data_offsets"][0]),
                    shape=self.shapes[site],
                )
                for site in self.settings.sites
            }
            stated = header["__metadata__"]
            whole = stated["sha256"] == _digest(found) and stated["key"] == self.key
        except (OSError, ValueError, LookupError, TypeError, OverflowError) as error:
            raise _refused(path, f"it is damaged ({error})") from error
        if not whole:
            raise _refused(path, "its content is not what was written")
        return found

    def write(self, name: str, pooled: Mapping[SiteName, Pooled]) -> None:
        """Put the file of one data set in place, whole or not at all.

        Raises:
            EmoactError: It could not be written.
        """
        from safetensors.numpy import save

        ordered = {site: np.ascontiguousarray(pooled[site]) for site in self.settings.sites}
        about = {
            "version": str(CONTROLS_VERSION),
            "key": self.key,
            "data_set": name,
            "model": self.unit.model_name,
            "pooling": self.settings.pooling,
            "seed": str(self.settings.seed),
            "sha256": _digest(ordered),
        }
        data = save(ordered, metadata=about)
        with replace_atomically(self.path(name), need=len(data)) as file:
            file.write(data)


def damage_of(path: Path) -> str:
    """Difference between the vectors of a file and the hash that it records; empty for none.

    Raises:
        OSError, ValueError, LookupError: It is no file of control extractions.
    """
    digest = hashlib.sha256()
    with open_regular(path, follow=False) as file:
        header, start = _header(file)
        stated = header["__metadata__"]["sha256"]
        written = [header[site] for site in in_order(header)]
        n_bytes = os.fstat(file.fileno()).st_size - start
        if max(one["data_offsets"][1] for one in written) != n_bytes:
            return "it is shorter or longer than what was written"
        for one in written:
            begin, end = one["data_offsets"]
            size = 4 * math.prod(map(operator.index, one["shape"]))
            if one["dtype"] != "F32" or not 0 <= begin <= end <= n_bytes or end - begin != size:
                return "its header is not what was written"
            file.seek(start + begin)
            # Not whole in memory: a sparse file can be as long as its author likes.
            for at in range(begin, end, _CHUNK):
                digest.update(file.read(min(_CHUNK, end - at)))
    return "" if stated == digest.hexdigest() else "its content is not what was written"


def _header(file: BinaryIO) -> tuple[Any, int]:
    """Header of a safetensors file, and the position of the first array."""
    size = int.from_bytes(file.read(8), "little")
    return parsed(file.read(min(size, _LONGEST_HEADER))), 8 + size


def _digest(arrays: Mapping[SiteName, Pooled]) -> str:
    digest = hashlib.sha256()
    for array in arrays.values():
        digest.update(array.data)
    return digest.hexdigest()


def _refused(path: Path, why: str) -> FileRefusedError:
    return FileRefusedError(
        why,
        path=str(path),
        remedy="Install its model and analyse again with --controls: what is missing is extracted.",
    )
