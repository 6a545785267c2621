"""Zarr arrays as members of an archive: their documents, and their chunks through pcodec.

Source: the Zarr version 3 specification (arrays with a regular grid and the default keys of
chunks), and the codec `numcodecs.pcodec` of zarr-python. Neither is needed to read or write: what a
unit needs is small, its bytes must be the same each time, and zarr takes 0.3 s to import.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from emoact.decode import parsed
from emoact.store.compact.archive import AGAIN
from emoact.store.read.limits import Refused

ArrayType = Literal["float32", "int32", "int64"]
CHUNK_BYTES = 8 << 20
"""Largest chunk, unless one row is larger. A reader holds a few of them."""
LEVELS = (6, 6, 6, 5)
"""Efforts of the codec for layers in turn, the last one also for numbers with fewer bits. One level
more makes files 0.7 % smaller and takes 8 % longer."""
_MANTISSA = 23
PAGE = 1 << 16
"""Numbers that the codec packs at once: they stay in the processor's cache."""
_LARGEST_ROW = 1 << 22
"""Numbers of one row; a row is one position, or one number."""


@dataclass(frozen=True, kw_only=True)
class Form:
    """The form of one array.

    Attributes:
        name: Folder of its members.
        dimensions: Names of its dimensions.
        shape: Sizes of its dimensions.
        dtype: Type of its numbers.
    """

    name: str
    dimensions: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: ArrayType

    @property
    def by_layer(self) -> bool:
        """True where the second dimension is the layer, of which a chunk holds one."""
        return self.dimensions[1:2] == ("layer",)

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row at one layer."""
        return self.shape[2 if self.by_layer else 1 :]

    @property
    def chunk_rows(self) -> int:
        """Rows of a chunk; the last one is filled with zeros, as zarr does."""
        row_bytes = np.dtype(self.dtype).itemsize * math.prod(self.row_shape)
        most = max(1, CHUNK_BYTES // max(row_bytes, 1))
        n_blocks = max(1, math.ceil(self.shape[0] / most))
        return max(1, math.ceil(self.shape[0] / n_blocks))

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Shape of a chunk: rows of one layer."""
        return (self.chunk_rows, *((1,) if self.by_layer else ()), *self.row_shape)

    @property
    def n_blocks(self) -> int:
        """Chunks of a layer."""
        return math.ceil(self.shape[0] / self.chunk_rows)

    @property
    def n_chunks(self) -> int:
        """Chunks of all layers."""
        return self.n_blocks * (self.shape[1] if self.by_layer else 1)

    @property
    def n_bytes(self) -> int:
        """Bytes of all chunks once they are unpacked."""
        return self.n_chunks * math.prod(self.chunk_shape) * np.dtype(self.dtype).itemsize

    @property
    def document_name(self) -> str:
        """Member that describes the array."""
        return f"{self.name}/zarr.json"

    def chunk_name(self, block: int, layer: int = 0) -> str:
        """Member that holds a chunk."""
        at = (block, *((layer,) if self.by_layer else ()), *(0 for _ in self.row_shape))
        return f"{self.name}/c/{'/'.join(map(str, at))}"

    def chunk_names(self) -> Iterator[str]:
        """Members of all chunks."""
        layers = range(self.shape[1] if self.by_layer else 1)
        for layer, block in itertools.product(layers, range(self.n_blocks)):
            yield self.chunk_name(block, layer)

    def document(self) -> dict[str, Any]:
        """The array's metadata."""
        return {
            "shape": list(self.shape),
            "data_type": self.dtype,
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": list(self.chunk_shape)},
            },
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": 0.0 if self.dtype == "float32" else 0,
            "codecs": [{"name": "numcodecs.pcodec", "configuration": {}}],
            "attributes": {},
            "dimension_names": list(self.dimensions),
            "zarr_format": 3,
            "node_type": "array",
            "storage_transformers": [],
        }


def as_json(document: object) -> bytes:
    """A document in its only spelling."""
    return json.dumps(document, separators=(",", ":")).encode()


def read_json(name: str, text: bytes) -> Any:
    """The value of a document.

    Raises:
        Refused: It is not JSON.
    """
    try:
        return parsed(text)
    except ValueError as error:
        raise Refused(f"{name} cannot be read: {error!s:.120}", remedy=AGAIN) from error


def read_form(name: str, text: bytes, *, dimensions: tuple[str, ...], dtype: ArrayType) -> Form:
    """The form that an array's document states.

    Raises:
        Refused: It is not the document of such an array; says what differs.
    """
    where = f"{name}/zarr.json"
    found = read_json(where, text) if len(text) < 1 << 16 else None
    found = found if isinstance(found, dict) else {}
    shape = found.get("shape")
    if (
        not isinstance(shape, list)
        or len(shape) != len(dimensions)
        or not all(type(size) is int and 0 <= size < 1 << 48 for size in shape)
    ):
        raise Refused(f"{where}: its shape is {shape!r:.80}", remedy=AGAIN)
    form = Form(name=name, dimensions=dimensions, shape=tuple(shape), dtype=dtype)
    if math.prod(form.row_shape) > _LARGEST_ROW:
        raise Refused(f"{where}: a row of shape {form.row_shape} is too large", remedy=AGAIN)
    expected = form.document()
    if text != as_json(expected):
        field = next((key for key in expected if found.get(key) != expected[key]), "spelling")
        raise Refused(
            f"{where}: {field} is {found.get(field)!r:.120}; {expected.get(field)!r:.120} is "
            "expected",
            remedy=AGAIN,
        )
    return form


def encode(
    values: np.ndarray[Any, np.dtype[Any]], *, n_dropped: int = 0, level: int = LEVELS[0]
) -> bytes:
    """A C-contiguous chunk as pcodec stores it.

    Args:
        values: The numbers.
        n_dropped: Last bits of floating-point numbers that rounding has made zero.
        level: Effort for floating-point numbers.
    """
    from pcodec import ChunkConfig, DeltaSpec, ModeSpec, PagingSpec, standalone

    if values.dtype.kind == "f":
        # What the codec would find out by trying costs a fifth of its time.
        n_zero = n_dropped or _last_zeros(values)
        config = ChunkConfig(
            compression_level=LEVELS[-1] if n_zero else level,
            mode_spec=ModeSpec.try_float_quant(n_zero) if n_zero else ModeSpec.classic(),
            delta_spec=DeltaSpec.no_op(),
            paging_spec=PagingSpec.equal_pages_up_to(PAGE),
        )
    else:
        config = ChunkConfig()
    return bytes(standalone.simple_compress(values.reshape(-1), config))


def _last_zeros(values: np.ndarray[Any, np.dtype[Any]]) -> int:
    """Last bits that are zero in each of the first numbers, as in those of bfloat16."""
    found = int(np.bitwise_or.reduce(values.reshape(-1)[:PAGE].view(np.uint32), initial=0))
    return min((found & -found).bit_length() - 1, _MANTISSA) if found else 0


def decode(
    text: bytes, *, shape: tuple[int, ...], dtype: ArrayType
) -> np.ndarray[Any, np.dtype[Any]]:
    """The numbers of a chunk, into memory of just this shape; read-only.

    Raises:
        Refused: The chunk holds other numbers, or fewer or more.
    """
    from pcodec import standalone

    values = np.empty(math.prod(shape), dtype=dtype)
    try:
        progress = standalone.simple_decompress_into(text, values)
        whole = progress.finished and progress.n_processed == values.size
    except (RuntimeError, TypeError, ValueError) as error:
        raise Refused(f"a chunk cannot be unpacked: {error!s:.120}", remedy=AGAIN) from error
    except BaseException as error:
        # A panic of the Rust library is no Exception.
        if type(error).__name__ != "PanicException":
            raise
        raise Refused("a chunk cannot be unpacked", remedy=AGAIN) from error
    if not whole:
        raise Refused(f"a chunk does not hold {values.size:,} numbers", remedy=AGAIN)
    values.flags.writeable = False
    return values.reshape(shape)
